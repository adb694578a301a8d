"""Layers made here, of a container's files or of an archive that somebody gives.

LayerPack: the files of a container become the tree that the layer store keeps, and an archive of it.

The tree is copied first (shared with the original where the file system can) and the archive is written from the copy,
which nobody changes: so both are the same whatever a running container does, it needs to stand still only for the
copy, and nothing is ever unpacked.

Archives made here are not compressed: their digest is the diff id.
"""

from __future__ import annotations

import os

from crate.oci import digest as digests
from crate.storage import content, staging
from crate.storage.durable import write_all
from crate.storage.layers import LayerTree, chain_ids, diff_path
from crate.storage.settle import settle
from crate.storage.tree.archive import TreeArchive
from crate.storage.tree.copy import apply_layer, copy_tree, is_whiteout, keep_layer, merge_layer
from crate.storage.tree.walk import directories
from crate.storage.tree.writer import Unpacked
from crate.storage.unpack import Unpacker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from crate.ns.idmap import IdShift
    from crate.storage.roots import Roots

_CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class LayerMade(LayerTree):
    """A layer whose ids are known when its archive is, which goes into the content store.

    Then `diff_id` is the digest of the blob too, and `archive_bytes` its size.
    """

    def __init__(self, roots: Roots, parents: Sequence[str]) -> None:
        """`parents`: the diff ids of the layers below, lowest first."""
        chains = chain_ids(parents)
        staging.sweep(roots)  # what a killed process left
        super().__init__(roots, "", "", chains[-1] if chains else "")
        content.prepare(roots)
        self._parents = list(parents)
        self._blob = f"{self.stage}/blob"
        self.archive_bytes = 0

    def _create_blob(self) -> int:
        return os.open(self._blob, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)

    def _settle(self, digest: str, unpacked: Unpacked) -> None:
        self.unpacked = unpacked
        self.diff_id = digest
        self.chain_id = chain_ids([*self._parents, digest])[-1]
        os.rename(self._blob, content.blob_path(self._roots, digest))

    def write_archive(self) -> None:
        """Writes the blob, and so knows the ids of the layer."""
        hasher = digests.hasher()
        fd = self._create_blob()

        def write(data: bytes | memoryview) -> None:
            hasher.update(data)
            write_all(fd, data)
            self.archive_bytes += len(data)

        tree_fd = os.open(f"{self.stage}/diff", _DIRECTORY)
        try:
            archive = TreeArchive(write, whiteouts=True)
            archive.add_tree(tree_fd, "", "")
            archive.finish()
        finally:
            os.close(tree_fd)
            os.close(fd)
        unpacked = Unpacked()
        unpacked.size, unpacked.entries = archive.file_bytes, archive.entries
        self._settle(f"sha256:{hasher.hexdigest()}", unpacked)


class LayerPack(LayerMade):
    """A layer of files that are there: `take`, `write_archive`, then crate.storage.layers.publish.

    Inside `with`, a failure leaves nothing behind.
    """

    def take(self, tree_fd: int, *, overlay: bool, skip: Collection[str] = (), shift: IdShift | None = None) -> None:
        """Copies a tree: with `overlay` an upper directory with its marks, less the paths `skip`; else a whole one.

        `shift` gives the copies other owners.
        """
        target_fd = os.open(f"{self.stage}/diff", _DIRECTORY)
        umask = os.umask(0)
        try:
            if overlay:
                keep_layer(tree_fd, target_fd, skip, shift)
            else:
                copy_tree(tree_fd, target_fd, shift)
        finally:
            os.umask(umask)
            os.close(target_fd)

    def merge(self, chains: Sequence[str], below: Sequence[str]) -> None:
        """Copies layers of the store laid onto one another, lowest first; they hide what they hid of those `below`."""
        target_fd = os.open(f"{self.stage}/diff", _DIRECTORY)
        umask = os.umask(0)
        try:
            for chain in chains:
                layer_fd = os.open(diff_path(self._roots, chain), _DIRECTORY)
                try:
                    if below:
                        merge_layer(layer_fd, target_fd)
                    else:
                        apply_layer(layer_fd, target_fd, link=False)
                finally:
                    os.close(layer_fd)
            if below:
                self._drop_whiteouts(target_fd, [diff_path(self._roots, chain) for chain in reversed(below)])
        finally:
            os.umask(umask)
            os.close(target_fd)

    def _drop_whiteouts(self, target_fd: int, parents: Sequence[str]) -> None:
        """Those that hid nothing but what a merged layer had: overlay would list them."""
        left = Unpacked()
        for path, _, entries in directories(target_fd):
            within = f"{path}/" if path else ""
            left.whiteouts += [os.fsencode(f"{within}{name}") for name, found in entries if is_whiteout(found)]
        settle(f"{self.stage}/diff", left, parents)


class LayerImport(LayerMade):
    """A layer, the only one of its image, of a tar archive: `fill`, then crate.storage.layers.publish."""

    def __init__(self, roots: Roots) -> None:
        super().__init__(roots, ())

    def fill(self, read: Callable[[int], bytes]) -> None:
        """Takes in the whole archive; `read` gives its plain bytes. Raises ImageError, HostError."""
        unpacker = Unpacker(f"{self.stage}/diff", rootless=self._roots.rootless)
        fd = self._create_blob()
        try:
            while data := read(_CHUNK):
                write_all(fd, data)
                unpacker.write(data)
                self.archive_bytes += len(data)
            unpacked, digest = unpacker.finish()
        except BaseException:
            unpacker.abort()
            raise
        finally:
            os.close(fd)
        self._settle(digest, unpacked)
