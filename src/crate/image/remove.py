"""Removing images by podman's rules: a name goes first, the image with its last name, and untagged parents with it."""

from __future__ import annotations

from crate.errors import CrateError, NotFoundError, StateError
from crate.image import history, local
from crate.image.manifest import list as manifest_list
from crate.storage import image_record, images, journal, manifest_lists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

IN_USE_STATUS = 2
NOT_FOUND_STATUS = 1


class Removal:
    """What was done to one image: names taken, and whether it is gone. `freed`: bytes of blobs."""

    __slots__ = ("deleted", "freed", "id", "untagged")

    def __init__(self, image_id: str) -> None:
        self.id = image_id
        self.untagged: list[str] = []
        self.deleted = False
        self.freed = 0


class Users:
    """What of the engine a removal needs to know and do.

    `containers(image_id)`: ids of the containers made from an image; `layers()`: chain ids that any container stands
    on; `remove_containers(image_id)`: removes those containers, for `force`.
    """

    __slots__ = ("containers", "layers", "remove_containers")

    def __init__(
        self,
        containers: Callable[[str], Sequence[str]],
        layers: Callable[[], Iterable[str]],
        remove_containers: Callable[[str], object],
    ) -> None:
        self.containers = containers
        self.layers = layers
        self.remove_containers = remove_containers


def remove(
    roots: Roots, texts: Sequence[str], users: Users, *, force: bool = False, prune: bool = True, ignore: bool = False
) -> tuple[list[Removal], list[CrateError]]:
    """Removes what each text means: a name, or by id the whole image. Goes on after failures and gives them too.

    `force`: containers that use an image go with it, and an id removes all names; `prune`: untagged parents go as
    well; `ignore`: what does not exist is no failure. `exit_status` makes podman's status of the failures.
    """
    removals: dict[str, Removal] = {}
    failures: list[CrateError] = []
    for text in texts:
        try:
            listed = manifest_list.find(roots, text)
            if listed is not None:
                removals[listed["id"]] = _remove_list(roots, listed["id"])
                continue
            found = local.find_named(roots, text)
            if found is None:
                gone = any(removal.deleted and removal.id.startswith(text) for removal in removals.values())
                if not ignore and not gone:
                    raise NotFoundError(f"{text}: image not known", exit_status=NOT_FOUND_STATUS)
                continue
            removal = removals.setdefault(found[0]["id"], Removal(found[0]["id"]))
            _remove_one(roots, *found, removal, users, force)
            if removal.deleted and prune:
                _prune_parents(roots, found[0], removals, users)
        except CrateError as error:
            failures.append(error)
    return list(removals.values()), failures


def _remove_list(roots: Roots, list_id: str) -> Removal:
    """A list goes with all its names; the images in it stay."""
    removal = Removal(list_id)
    removal.untagged = manifest_lists.remove(roots, list_id)
    removal.deleted = True
    journal.record(roots, "image", "remove", list_id, next(iter(removal.untagged), ""))
    return removal


def remove_all(
    roots: Roots, users: Users, *, force: bool = False, only_dangling: bool = False, passes: Iterable[str] | None = None
) -> tuple[list[Removal], list[CrateError]]:
    """Removes all images, children before parents: `rmi --all`, and with `passes` (ids that a filter let through)
    or `only_dangling` what `image prune` wants. Images in use are failures; `prune` ignores them.
    """
    removals, failures = [], []
    records = image_record.list_all(roots)
    everything = {*(record["id"] for record in records), *manifest_lists.list_ids(roots)}
    chosen = set(passes) if passes is not None else everything
    for list_id in manifest_lists.list_ids(roots):
        if list_id in chosen and not (only_dangling and manifest_lists.names(roots, list_id)):
            removals.append(_remove_list(roots, list_id))
    records.sort(key=lambda record: len(record["config"].get("history") or []), reverse=True)
    for record in records:
        if record["id"] not in chosen or (only_dangling and record["names"]):
            continue
        removal = Removal(record["id"])
        try:
            _delete(roots, record, removal, users, force)
            removals.append(removal)
        except CrateError as error:
            failures.append(error)
    return removals, failures


def exit_status(failures: Sequence[CrateError]) -> int:
    """podman's status: 125 for other failures, 2 for images in use, 1 when all that failed does not exist, else 0."""
    statuses = {failure.exit_status for failure in failures}
    if statuses - {IN_USE_STATUS, NOT_FOUND_STATUS}:
        return 125
    return max(statuses, default=0)


def _remove_one(roots: Roots, record: ImageRecord, name: str, removal: Removal, users: Users, force: bool) -> None:
    if name and len(record["names"]) > 1:
        images.untag(roots, name)
        journal.record(roots, "image", "untag", record["id"], name)
        removal.untagged.append(name)
        return
    if len(record["names"]) > 1 and not force:
        raise StateError(
            f"unable to delete image {record['id'][:12]} by ID with more than one tag ({', '.join(record['names'])})",
            "remove the names one by one, or force removal with -f",
            exit_status=125,
        )
    _delete(roots, record, removal, users, force)


def _delete(roots: Roots, record: ImageRecord, removal: Removal, users: Users, force: bool) -> None:
    if force and users.containers(record["id"]):
        users.remove_containers(record["id"])

    def used_layers() -> Iterable[str]:
        # Asked under the lock in which a container becomes visible: none can appear between the question and the act.
        using = users.containers(record["id"])
        if using:
            shown = ", ".join(container[:12] for container in using[:5])
            raise StateError(
                f"image used by {shown}: image is in use by a container: consider listing external containers and "
                "force-removing image",  # podman's words
                exit_status=IN_USE_STATUS,
            )
        return users.layers()

    removal.freed += images.remove(roots, record["id"], used_layers)
    removal.untagged += record["names"]
    removal.deleted = True
    for name in record["names"]:
        journal.record(roots, "image", "untag", record["id"], name)
    journal.record(roots, "image", "remove", record["id"], next(iter(record["names"]), ""))


def _prune_parents(roots: Roots, record: ImageRecord, removals: dict[str, Removal], users: Users) -> None:
    """Removes the untagged images that `record` was built on, as long as nothing else was built on them."""
    child = record
    while True:
        others = image_record.list_all(roots)
        parent = history.nearest_parent(child, others)
        if parent is None or parent["names"] or any(history.is_parent(parent, other) for other in others):
            return
        removal = Removal(parent["id"])
        try:
            _delete(roots, parent, removal, users, force=False)
        except StateError:
            return
        removals[parent["id"]] = removal
        child = parent
