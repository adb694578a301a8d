"""`gc`: makes the store small enough by removing what was used last the longest ago, of every kind together.

    holders     images, containers, steps of the build cache, manifest lists       each holds layers and blobs
    candidates  images and steps (what they alone hold goes with them), directories of RUN --mount=type=cache,
                anonymous volumes without a container

What nobody holds goes first. What a container uses is no candidate; a removal asks again, under the store's lock. While
images are being built or pulled no image and no step is one, as they may stand on any.
"""

from __future__ import annotations

import os

from crate.engine import containers
from crate.engine.usage import sizes
from crate.errors import CrateError
from crate.storage import (
    build_cache,
    compressed,
    content,
    image_record,
    images,
    last_use,
    layers,
    manifest_lists,
    volumes,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crate.engine.context import Engine
    from crate.image.remove import Users
    from crate.storage.image_record import ImageRecord


class Candidate:
    """What may go. `freed`: bytes that go with it, after all that goes before; `last_use`: 0 for what nobody needs."""

    __slots__ = ("freed", "id", "kind", "last_use", "name", "needs", "remove")

    def __init__(
        self, kind: str, object_id: str, name: str, last_use: float, needs: set[str], remove: Callable[[], object]
    ) -> None:
        """`needs`: the layers (chain ids) and blobs (digests) that it holds; `remove` raises CrateError."""
        self.kind = kind
        self.id = object_id
        self.name = name
        self.last_use = last_use
        self.needs = needs
        self.remove = remove
        self.freed = 0


class Plan:
    """What is to go so that the store has at most `keep_bytes`: `chosen`, in order. `before`, `after`: bytes.

    `is_held`: somebody builds, pulls or loads, so that images, steps, layers and blobs stay for now.
    """

    def __init__(self, engine: Engine, users: Users, keep_bytes: int) -> None:
        self._engine = engine
        self._users = users
        self._roots = engine.roots
        self.is_held = images.are_coming(engine.roots)
        self._sizes = self._part_sizes()
        every = containers.listing(engine)
        mounted = {mount["name"] for one in every for mount in one.record.get("mounts") or ()}
        self._volume_sizes = {
            record["name"]: sizes.tree_bytes(volumes.data_path(engine.roots, record["name"]))
            for record in volumes.list_all(engine.roots)
        }
        self._caches = {place: sizes.tree_bytes(place) for place, _, _ in build_cache.mounts(engine.roots)}
        self.before = sum(self._sizes.values()) + sum(self._volume_sizes.values()) + sum(self._caches.values())
        self.before += sum(sizes.tree_bytes(one.paths.upper) for one in every)
        self._records = build_cache.list_all(engine.roots)
        self._uses = build_cache.last_uses(self._records)
        candidates = [*self._directories(), *self._volumes(mounted)]
        if not self.is_held:
            candidates += [*self._images(), *self._steps()]
        self._counts = self._holders(candidates)
        self.after = self.before
        self.keep_bytes = keep_bytes
        self.chosen: list[Candidate] = []
        self._choose(sorted(candidates, key=lambda one: (one.last_use, one.kind, one.id)))

    def run(self) -> list[Candidate]:
        """Removes what was chosen, and gives what went; what somebody uses meanwhile stays."""
        removed = []
        for one in self.chosen:
            try:
                one.remove()
            except CrateError:
                continue
            removed.append(one)
        images.collect(self._roots, self._users.layers)  # what steps of builds held
        return removed

    def _choose(self, candidates: list[Candidate]) -> None:
        """Takes candidates until it is enough; one that would free nothing is passed over until it does."""
        nobodys = sum(size for part, size in self._sizes.items() if not self._counts.get(part))
        if nobodys and not self.is_held and self.after > self.keep_bytes:
            one = Candidate("unneeded", "-", "layers and blobs that nothing needs", 0.0, set(), lambda: None)
            one.freed = nobodys
            self.chosen.append(one)
            self.after -= nobodys
        for one in candidates:
            if self.after <= self.keep_bytes:
                return
            for part in one.needs:
                self._counts[part] -= 1
                if not self._counts[part]:
                    one.freed += self._sizes.get(part, 0)
            self.chosen.append(one)
            self.after -= one.freed

    def _part_sizes(self) -> dict[str, int]:
        """Bytes of each layer and each blob; what was compressed of a blob counts with it, as it goes with it."""
        found = {chain: layers.size(self._roots, [chain]) for chain in layers.list_ids(self._roots)}
        blobs = {digest: _blob_size(self, digest) for digest in content.list_digests(self._roots)}
        for digest in list(blobs):
            for made in compressed.made_of_blob(self._roots, digest):
                if made in blobs and made != digest:
                    blobs[digest] += blobs.pop(made)
        return found | blobs

    def _holders(self, candidates: list[Candidate]) -> dict[str, int]:
        """How many hold each part: the candidates, and who is none."""
        counts: dict[str, int] = {}
        kept: list[Iterable[str]] = [self._users.layers(), manifest_lists.kept_blobs(self._roots)]
        chosen = {one.id for one in candidates if one.kind == "image"}
        kept += [self._needs(record) for record in image_record.list_all(self._roots) if record["id"] not in chosen]
        for needs in [*(one.needs for one in candidates), *kept]:
            for part in set(needs):
                counts[part] = counts.get(part, 0) + 1
        return counts

    def _needs(self, record: ImageRecord) -> set[str]:
        blobs = {f"sha256:{record['id']}", *image_record.known_digests(self._roots, record["id"])}
        return {*record["layers"], *blobs, *(layer["digest"] for layer in record["manifest"].get("layers") or ())}

    def _images(self) -> list[Candidate]:
        from crate.engine.files import mounting
        from crate.image import remove

        found = []
        mounted = {record["id"] for record, _ in mounting.mounted_images(self._engine)}
        for record in image_record.list_all(self._roots):
            image_id = record["id"]
            if image_id in mounted or self._users.containers(image_id):
                continue

            def act(image_id: str = image_id) -> None:
                _, failures = remove.remove_all(self._roots, self._users, passes=[image_id])
                if failures:
                    raise failures[0]

            name = ", ".join(record["names"]) or "<none>"
            used = last_use.of_image(self._roots, image_id)
            used = max([used, *(self._uses.get(layer, 0.0) for layer in record["layers"][-1:])])
            found.append(Candidate("image", image_id, name, used, self._needs(record), act))
        return found

    def _steps(self) -> list[Candidate]:
        """The steps that made one layer are one candidate, since they are of use together."""
        by_layer: dict[str, list[dict[str, object]]] = {}
        for record in self._records:
            by_layer.setdefault(str(record["layer"]), []).append(record)
        found = []
        for layer, records in by_layer.items():
            keys = [str(record["key"]) for record in records]
            needs = {layer} if layer else set()
            for record in records:
                descriptor = record.get("descriptor")
                if isinstance(descriptor, dict):
                    needs.add(str(descriptor["digest"]))
            text = " ".join(str(records[0].get("text") or "").split())

            def act(keys: list[str] = keys) -> None:
                for key in keys:
                    build_cache.remove(self._roots, key)

            found.append(Candidate("build step", layer or keys[0], text, self._uses[layer], needs, act))
        return found

    def _directories(self) -> list[Candidate]:
        found = []
        for place, facts, used in build_cache.mounts(self._roots):

            def act(place: str = place) -> None:
                build_cache.remove_mount(self._roots, place)

            one = Candidate("build cache", os.path.basename(place), f"mount {facts.get('id')}", used, set(), act)
            one.freed = self._caches.get(place, 0)
            found.append(one)
        return found

    def _volumes(self, mounted: set[str]) -> list[Candidate]:
        from crate.engine import volumes as verbs

        found = []
        for record in volumes.list_all(self._roots):
            name = record["name"]
            if not record["anonymous"] or name in mounted:
                continue

            def act(name: str = name) -> None:
                verbs.remove(self._engine, name)

            one = Candidate("volume", name, name, last_use.of_volume(self._roots, name), set(), act)
            one.freed = self._volume_sizes.get(name, 0)
            found.append(one)
        return found


def _blob_size(plan: Plan, digest: str) -> int:
    try:
        return os.stat(content.blob_path(plan._roots, digest)).st_size
    except FileNotFoundError:
        return 0
