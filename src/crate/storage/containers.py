"""Containers on disk: their directories, names and record files; what the records mean is the engine's matter.

    <graphroot>/containers/<id>/   config.json  container.json  upper  work  <id>-json.log  hosts …
    <graphroot>/names/<name>       a symbolic link to ../containers/<id>
    <runroot>/containers/<id>/     state.json  attach.sock; with --rm also config.json and container.json

A container is there while its directory in the graph root is: that comes last when it is made, and goes first.
A name is a symbolic link because symlink(2) makes it and what it says in one exclusive step; a link to nothing is what
a killed process left, and whoever wants the name takes it over.
"""

from __future__ import annotations

import os

from crate.errors import NameInUseError, NotFoundError, StateError, UsageError
from crate.oci import json
from crate.storage import staging
from crate.storage.durable import RUN_FILE_MODE, read_file, sync_directory, write_file
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from crate.storage.roots import Roots

RECORD = "container.json"
_NAME_MAX = 255
_ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_HEX = "0123456789abcdef"


class ContainerPaths:
    """Where the parts of one container lie. `files` holds config.json and container.json."""

    __slots__ = ("directory", "files", "id", "run_directory")

    def __init__(self, container_id: str, directory: str, run_directory: str, files: str) -> None:
        self.id = container_id
        self.directory = directory
        self.run_directory = run_directory
        self.files = files

    @property
    def config(self) -> str:
        """The OCI configuration."""
        return f"{self.files}/config.json"

    @property
    def record(self) -> str:
        """What crate knows of the container beyond the OCI configuration."""
        return f"{self.files}/{RECORD}"

    @property
    def state(self) -> str:
        """The state of this boot: process, exit status."""
        return f"{self.run_directory}/state.json"

    @property
    def attach_socket(self) -> str:
        """Where the monitor listens."""
        return f"{self.run_directory}/attach.sock"

    @property
    def log(self) -> str:
        """The json-file log, under the name that log shippers look for."""
        return f"{self.directory}/{self.id}-json.log"

    @property
    def upper(self) -> str:
        """The container's own files, as the overlay keeps them."""
        return f"{self.directory}/upper"

    @property
    def work(self) -> str:
        """The work directory of the overlay."""
        return f"{self.directory}/work"


def new_id() -> str:
    """A container id: 64 hexadecimal digits that nobody else has drawn."""
    return os.urandom(32).hex()


def paths(roots: Roots, container_id: str) -> ContainerPaths:
    """The paths of a container that is there, by its full id."""
    directory = f"{roots.graphroot}/containers/{container_id}"
    run = f"{roots.runroot}/containers/{container_id}"
    kept = os.access(f"{directory}/{RECORD}", os.F_OK)
    return ContainerPaths(container_id, directory, run, directory if kept else run)


def check_name(name: str) -> None:
    """Raises UsageError unless podman would take this as a container's name."""
    if not name or len(name) > _NAME_MAX or name[0] not in _ALNUM or name.strip(_ALNUM + "_.-"):
        raise UsageError(f'invalid container name "{name}"', "a-z A-Z 0-9 _ . - beginning with a letter or digit")


def create(
    roots: Roots,
    container_id: str,
    name: str,
    complete: Callable[[str], Mapping[str, str]],
    *,
    layers: Sequence[str] = (),
    ephemeral: bool = False,
) -> ContainerPaths:
    """Makes the container visible with its name and its files, or not at all.

    `complete` is called with the staging directory, which has `upper` and `work` already, and gives the files
    (config.json, container.json: name to text).
    `ephemeral` (--rm) keeps the files in the run root. `layers` are the chain ids of its image, bottom first: the root
    directory gets the owner and mode that it has there. Nothing is synced to disk: `sync` does that when somebody was
    promised it. Raises NameInUseError, UsageError; OSError with the path.
    """
    check_name(name)
    run = f"{roots.runroot}/containers/{container_id}"
    directory = f"{roots.graphroot}/containers/{container_id}"
    made_name = False
    # First: a run directory of no staging and no container is what a killed process left, and anybody removes it.
    stage = staging.make(roots, container_id)
    try:
        try:
            os.mkdir(run, 0o700)
        except FileNotFoundError:
            os.makedirs(run, 0o700)  # cleaned out of /tmp when it was empty: docs/decisions/0024
        os.mkdir(f"{stage}/work", 0o700)
        make_upper(roots, f"{stage}/upper", layers)
        place, mode = (run, RUN_FILE_MODE) if ephemeral else (stage, 0o600)
        for file, text in complete(stage).items():
            write_file(None, f"{place}/{file}", text, durable=False, mode=mode)
        claim_name(roots, name, container_id)
        made_name = True
        _make_visible(roots, stage, directory, layers)
    except BaseException:
        from crate.storage.trash import remove_tree

        if made_name:
            free_name(roots, name, container_id)
        remove_tree(f"{roots.graphroot}/stage", f"{staging.owner_name()}.{container_id}")
        remove_tree(f"{roots.runroot}/containers", container_id)
        raise
    return ContainerPaths(container_id, directory, run, run if ephemeral else directory)


def _make_visible(roots: Roots, stage: str, directory: str, layers: Sequence[str]) -> None:
    """The one step. Who removes an image holds this lock alone while it looks for containers and takes layers away."""
    if not layers:
        os.rename(stage, directory)
        return
    with Lock(f"{roots.graphroot}/images", shared=True):
        if not os.access(f"{roots.graphroot}/layers/{layers[-1]}", os.F_OK):
            raise StateError("the image was removed while the container was made", "pull the image again")
        os.rename(stage, directory)


def make_upper(roots: Roots, upper: str, layers: Sequence[str]) -> None:
    """The upper directory is what the container sees as the attributes of `/`."""
    os.mkdir(upper)
    if layers:
        try:
            root = os.stat(f"{roots.graphroot}/layers/{layers[-1]}/diff")
        except FileNotFoundError:
            raise StateError(f"layer {layers[-1][:12]} of the image is missing", "pull the image again") from None
        if root.st_uid != os.geteuid() or root.st_gid != os.getegid():
            os.chown(upper, root.st_uid, root.st_gid)
        os.chmod(upper, root.st_mode & 0o7777)
        os.utime(upper, ns=(root.st_atime_ns, root.st_mtime_ns))
    else:
        os.chmod(upper, 0o755)


def write_record(where: ContainerPaths, record: Mapping[str, Any], durable: bool = False) -> None:
    """Replaces container.json in one step."""
    mode = RUN_FILE_MODE if where.files == where.run_directory else 0o600
    write_file(None, where.record, json.dumps(record), durable, mode)


def read_record(roots: Roots, container_id: str) -> dict[str, Any] | None:
    """container.json of a container; None when the container is not there, or was a --rm one that a reboot ended.

    Of such a one the remains go to the trash here. Raises StateError when the record is damaged.
    """
    where = paths(roots, container_id)
    try:
        text = read_file(where.record)
    except FileNotFoundError:
        # Its run directory was complete before it became visible: so it was lost, or is being removed just now.
        release(roots, container_id, "")
        return None
    try:
        record = json.loads(text)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise StateError(f"cannot read {where.record}: it is damaged", f"crate rm --force {container_id[:12]}")
    return record


def sync(where: ContainerPaths) -> None:
    """Puts the record files, and the container's being there, on disk."""
    for path in (where.config, where.record):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    parent = os.path.dirname(where.directory)
    for path in (where.directory, parent, f"{os.path.dirname(parent)}/names"):
        sync_directory(path)


def release(roots: Roots, container_id: str, name: str) -> None:
    """Takes the container away: its directory goes to the trash in one step, then its name and run directory.

    Whatever is already gone is passed over, so this finishes what a killed process began. The trash is emptied by
    crate.storage.trash, when nobody waits. The container must not run.
    """
    try:
        os.rename(
            f"{roots.graphroot}/containers/{container_id}",
            f"{roots.graphroot}/trash/{container_id}.{os.urandom(4).hex()}",
        )
    except FileNotFoundError:
        pass
    if name:
        free_name(roots, name, container_id)
    run = f"{roots.runroot}/containers/{container_id}"
    try:
        for file in os.listdir(run):
            os.unlink(f"{run}/{file}")
        os.rmdir(run)
    except FileNotFoundError:
        pass
    except OSError:
        from crate.storage.trash import remove_tree

        remove_tree(f"{roots.runroot}/containers", container_id)


def list_ids(roots: Roots) -> list[str]:
    """The full ids of all containers, in no order: one readdir."""
    return os.listdir(f"{roots.graphroot}/containers")


def exists(roots: Roots, container_id: str) -> bool:
    """Is there a container of this full id?"""
    return os.access(f"{roots.graphroot}/containers/{container_id}", os.F_OK)


def find(roots: Roots, text: str) -> str:
    """The full id of the container that `text` means: an id, a name, or the beginning of one id.

    Raises NotFoundError; UsageError when several ids begin so.
    """
    is_hex = not text.strip(_HEX)
    if len(text) == 64 and is_hex and exists(roots, text):
        return text
    if text and "/" not in text and "\0" not in text:
        named = holder(roots, text)
        if named and exists(roots, named):
            return named
        if is_hex:
            candidates = [known for known in list_ids(roots) if known.startswith(text)]
            if len(candidates) == 1:
                return candidates[0]
            if candidates:
                shown = ", ".join(sorted(known[:12] for known in candidates))
                raise UsageError(f"more than one container id begins with {text}: {shown}", "give more of the id")
    raise NotFoundError(f'no container with name or ID "{text}" found: no such container')


def holder(roots: Roots, name: str) -> str:
    """The id that a name says it stands for, or "": whether such a container is there is another question."""
    try:
        return os.readlink(f"{roots.graphroot}/names/{name}").rpartition("/")[2]
    except OSError:
        return ""


def claim_name(roots: Roots, name: str, container_id: str) -> None:
    """Gives the name to the container, or raises NameInUseError. A name that stands for nothing is taken over."""
    link = f"{roots.graphroot}/names/{name}"
    for _attempt in range(8):
        try:
            os.symlink(f"../containers/{container_id}", link)
            return
        except FileExistsError:
            if _is_held(roots, name):
                break
            heal_name(roots, name)
    raise _taken(roots, name)


def _taken(roots: Roots, name: str) -> NameInUseError:
    return NameInUseError(
        f'cannot use name: the container name "{name}" is already in use by {holder(roots, name)}. You have to remove '
        "that container to be able to reuse that name: that name is already in use",
        f"crate rm {name}, or take another --name",
    )


def free_name(roots: Roots, name: str, container_id: str) -> None:
    """Frees the name if it stands for this container, and not meanwhile for another."""
    with Lock(f"{roots.graphroot}/names"):
        if holder(roots, name) == container_id:
            os.unlink(f"{roots.graphroot}/names/{name}")


def rename(roots: Roots, where: ContainerPaths, record: dict[str, Any], new: str) -> None:
    """Gives the container of this record another name, and the record too. Raises NameInUseError, UsageError.

    The caller holds the container's lock. Killed on the way, it leaves two links to the container; the record tells
    which of them is none of its names.
    """
    check_name(new)
    old = record["name"]
    with Lock(f"{roots.graphroot}/names"):
        if _is_held(roots, new):
            raise _taken(roots, new)
        links = f"{roots.graphroot}/names"
        try:
            os.unlink(f"{links}/{new}")
        except FileNotFoundError:
            pass
        try:
            os.symlink(f"../containers/{where.id}", f"{links}/{new}")
        except FileExistsError:  # a new container's, which takes no lock for it
            raise _taken(roots, new) from None
        record["name"] = new
        try:
            write_record(where, record, durable=where.files != where.run_directory)
        except BaseException:
            os.unlink(f"{links}/{new}")
            raise
        if holder(roots, old) == where.id:
            os.unlink(f"{links}/{old}")


def heal_name(roots: Roots, name: str) -> None:
    """Removes a name that stands for nothing. Under the lock, so that it is not another's new name by now."""
    with Lock(f"{roots.graphroot}/names"):
        if not _is_held(roots, name):
            try:
                os.unlink(f"{roots.graphroot}/names/{name}")
            except FileNotFoundError:
                pass


def _is_held(roots: Roots, name: str) -> bool:
    known = holder(roots, name)
    # Looked for again at the end: it may have moved from the staging to its place between the first two looks.
    if not known:
        return False
    if not exists(roots, known) and staging.is_staged(roots, known):
        return True
    return exists(roots, known) and _has_name(roots, known, name)


def _has_name(roots: Roots, container_id: str, name: str) -> bool:
    """Whether the record says so too; a container whose record cannot be read keeps what names it has."""
    try:
        record = json.loads(read_file(paths(roots, container_id).record))
    except (OSError, ValueError):
        return True
    return not isinstance(record, dict) or record.get("name", name) == name
