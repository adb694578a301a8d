"""Layers: unpacked once, kept by chain id, shared by every image and container that has them.

    layers/<chain id>/diff         the files, in overlay's form
    layers/<chain id>/layer.json   {"version", "chain_id", "diff_id", "parent", "size", "entries"}
    layers/<chain id>/alias        a link that says `l/<alias>`
    layers/l/<alias>               a link to ../<chain id>/diff: a short name, for mount options are bounded
    layers/<chain id>/flat         crate.storage.merge
    layers/<chain id>/unsynced     a link that says the boot id: it may be lost in a power cut until it is synced

A chain id names a layer with all that lie below it (image-spec config.md, "Layer ChainID"): the same tar on another
base is another layer here.
"""

from __future__ import annotations

import os

from crate.errors import ImageError, NotFoundError
from crate.oci import digest as digests
from crate.oci import json
from crate.storage import staging
from crate.storage.durable import read_file, sync_directory, sync_file_system, write_file
from crate.storage.roots import boot_id
from crate.storage.settle import settle
from crate.storage.trash import remove_tree, throw
from crate.storage.unpack import Unpacker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self, TypedDict

    from crate.storage.content import Ingest
    from crate.storage.roots import Roots
    from crate.storage.tree.writer import Unpacked

    class LayerRecord(TypedDict):
        """layer.json: `size` is the bytes of the files, `parent` a chain id or ""."""

        version: int
        chain_id: str
        diff_id: str
        parent: str
        size: int
        entries: int


_ALIAS_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ALIAS_LENGTH = 3
_CHUNK = 1 << 18
_UNSYNCED = "unsynced"


def chain_ids(diff_ids: Iterable[str]) -> list[str]:
    """The chain ids, as bare hexadecimal digits, of a configuration's `rootfs.diff_ids`, bottom first."""
    chain = ""
    chains = []
    for diff_id in diff_ids:
        chain = digests.of(f"{chain} {diff_id}".encode()) if chain else diff_id
        chains.append(chain.partition(":")[2])
    return chains


def exists(roots: Roots, chain_id: str) -> bool:
    """Is the layer there, whole?"""
    place = f"{roots.graphroot}/layers/{chain_id}"
    return os.access(f"{place}/layer.json", os.F_OK) and not _is_doubtful(place)


def _is_doubtful(place: str) -> bool:
    """Was the layer published without a sync, in another boot? A power cut may have emptied its files."""
    try:
        return os.readlink(f"{place}/{_UNSYNCED}") != boot_id()
    except OSError:
        return False


def note_synced(roots: Roots, chains: Iterable[str]) -> None:
    """These layers are on the disk by now: see `publish`."""
    for chain in chains:
        _unlink(f"{roots.graphroot}/layers/{chain}/{_UNSYNCED}")


def missing(roots: Roots, chains: Iterable[str]) -> list[str]:
    """Which of these layers are not there."""
    return [chain for chain in chains if not exists(roots, chain)]


def diff_path(roots: Roots, chain_id: str) -> str:
    """The tree of one layer."""
    return f"{roots.graphroot}/layers/{chain_id}/diff"


def read(roots: Roots, chain_id: str) -> LayerRecord:
    """layer.json. Raises NotFoundError, ImageError when it is damaged."""
    try:
        record: LayerRecord = json.loads(read_file(f"{roots.graphroot}/layers/{chain_id}/layer.json"))
    except FileNotFoundError:
        raise NotFoundError(f"no such layer: {chain_id[:12]}", "pull the image again") from None
    except ValueError:
        raise ImageError(f"layer {chain_id[:12]} is damaged", "remove the image and pull it again") from None
    return record


def list_ids(roots: Roots) -> list[str]:
    """The chain ids of all layers, in no order."""
    return [name for name in os.listdir(f"{roots.graphroot}/layers") if len(name) == 64]


def size(roots: Roots, chains: Iterable[str]) -> int:
    """The bytes of the files of these layers together."""
    return sum(read(roots, chain)["size"] for chain in chains)


class LayerTree:
    """The files of one layer in a staging of its own, until `publish`. Inside `with`, a failure leaves nothing behind.

    `parent` is the chain id of the layer below, "" for the lowest; `unpacked` tells what the files are, once all are
    there.
    """

    def __init__(self, roots: Roots, chain_id: str, diff_id: str, parent: str) -> None:
        self.chain_id = chain_id
        self.diff_id = diff_id
        self.parent = parent
        self.unpacked: Unpacked | None = None
        self._roots = roots
        self.stage = staging.make(roots, f"layer-{os.urandom(8).hex()}")
        try:
            os.mkdir(f"{self.stage}/diff", 0o755)
            os.chmod(f"{self.stage}/diff", 0o755)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Throws the files away; after `publish` there is nothing to throw."""
        remove_tree(os.path.dirname(self.stage), os.path.basename(self.stage))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        if kind is not None:
            self.abort()


class LayerUnpack(LayerTree):
    """One layer on its way in: compressed bytes by `write`, then `finish`, then `publish` with the others of its image.

    Layers of an image may be unpacked side by side, in any order; each has a staging of its own, so two processes that
    unpack the same layer do not meet before `publish`.
    """

    def __init__(self, roots: Roots, chain_id: str, diff_id: str, parent: str = "") -> None:
        super().__init__(roots, chain_id, diff_id, parent)
        try:
            self._unpacker = Unpacker(f"{self.stage}/diff", rootless=roots.rootless)
        except BaseException:
            super().abort()
            raise

    def write(self, chunk: bytes) -> None:
        """Takes the next compressed bytes. Raises ImageError, HostError."""
        self._unpacker.write(chunk)

    def finish(self) -> None:
        """The archive is complete: checks its diff id. Raises DigestError, ImageError, HostError."""
        self.unpacked, _ = self._unpacker.finish(self.diff_id)

    def abort(self) -> None:
        """Ends the unpacking, and throws away what was unpacked."""
        self._unpacker.abort()
        super().abort()


def receive(ingest: Ingest, layer: LayerUnpack) -> None:
    """Unpacks what an earlier attempt left of the blob; afterwards the rest goes to both, by `write` of each."""
    for chunk in ingest.replay():
        layer.write(chunk)


def unpack_blob(layer: LayerUnpack, path: str) -> None:
    """Unpacks a layer from a blob that is there; `finish` is still to be called."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while chunk := os.read(fd, _CHUNK):
            layer.write(chunk)
    finally:
        os.close(fd)


def publish(roots: Roots, layers: Sequence[LayerTree], *, synced: bool = True) -> None:
    """Makes finished layers of one image visible, bottom first, durable: one sync for all that was written so far.

    Without `synced` nothing waits for the disk: the layers count until the next boot, and for good once an image with
    them was enrolled (crate.storage.images).

    The layers below the first of them are there already. One that another process published meanwhile is dropped here
    and taken from there. Raises ImageError where a layer contradicts the ones below it: all are dropped then.
    """
    try:
        _publish(roots, layers, synced)
    except BaseException:
        for layer in layers:
            layer.abort()
        raise


def _publish(roots: Roots, layers: Sequence[LayerTree], synced: bool) -> None:
    staged: dict[str, LayerTree] = {}
    parents: dict[str, str] = {}
    for layer in layers:
        assert layer.unpacked is not None, "publish before finish"
        staged[layer.chain_id] = layer
        parents[layer.chain_id] = layer.parent
        if layer.unpacked.needs_settling:
            below = []
            chain = layer.parent
            while chain:
                below.append(f"{staged[chain].stage}/diff" if chain in staged else diff_path(roots, chain))
                chain = parents[chain] if chain in parents else read(roots, chain)["parent"]
            settle(f"{layer.stage}/diff", layer.unpacked, below)
        _describe(roots, layer)
    directory = f"{roots.graphroot}/layers"
    if synced:
        sync_file_system(directory)
    for layer in layers:
        place = f"{directory}/{layer.chain_id}"
        if not synced:
            os.symlink(boot_id(), f"{layer.stage}/{_UNSYNCED}")
        if _is_doubtful(place):
            remove(roots, layer.chain_id)
        try:
            os.rename(layer.stage, place)
        except OSError:
            if not exists(roots, layer.chain_id):
                raise
            _unlink(f"{directory}/{_alias_of(layer.stage)}")
            layer.abort()
    if not synced:
        return
    sync_directory(directory)
    _share(roots, [layer.chain_id for layer in layers])


def _share(roots: Roots, chains: Sequence[str]) -> None:
    """Has the files of new layers share their extents with equal ones of others, where the file system can."""
    from crate.storage import sharing

    directory = f"{roots.graphroot}/layers"
    if not sharing.can_share(directory):
        return
    others = sorted(
        (chain for chain in list_ids(roots) if chain not in chains and exists(roots, chain)),
        key=lambda chain: os.stat(f"{directory}/{chain}").st_mtime,
        reverse=True,
    )
    for chain in chains:
        try:
            sharing.share(diff_path(roots, chain), [diff_path(roots, other) for other in others])
        except OSError:
            pass  # it is only for space


def _describe(roots: Roots, layer: LayerTree) -> None:
    assert layer.unpacked is not None
    record: LayerRecord = {
        "version": 1,
        "chain_id": layer.chain_id,
        "diff_id": layer.diff_id,
        "parent": layer.parent,
        "size": layer.unpacked.size,
        "entries": layer.unpacked.entries,
    }
    write_file(None, f"{layer.stage}/layer.json", json.dumps(record), durable=False, mode=0o644)
    make_alias(f"{roots.graphroot}/layers", layer.chain_id, layer.stage)


def make_alias(directory: str, chain_id: str, place: str) -> str:
    """Draws a free short name for the layer and notes it in `place`, the layer's directory; gives `l/<alias>`."""
    try:
        os.mkdir(f"{directory}/l", 0o700)
    except FileExistsError:
        pass
    while True:
        letters = (_ALIAS_LETTERS[byte % len(_ALIAS_LETTERS)] for byte in os.urandom(_ALIAS_LENGTH))
        alias = "l/" + "".join(letters)
        try:
            os.symlink(f"../{chain_id}/diff", f"{directory}/{alias}")
        except FileExistsError:
            continue
        try:
            os.symlink(alias, f"{place}/alias")
        except FileExistsError:
            os.unlink(f"{directory}/{alias}")
            return os.readlink(f"{place}/alias")
        return alias


def _alias_of(place: str) -> str:
    try:
        return os.readlink(f"{place}/alias")
    except OSError:
        return "l/-"  # there is none: a name that is never drawn


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def remove(roots: Roots, chain_id: str) -> bool:
    """Takes a layer away, into the trash; False when it was not there. The caller knows that nothing uses it."""
    directory = f"{roots.graphroot}/layers"
    place = f"{directory}/{chain_id}"
    alias = f"{directory}/{_alias_of(place)}"
    try:
        throw(roots, place)
    except FileNotFoundError:
        return False
    _unlink(alias)
    return True
