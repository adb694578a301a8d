"""A layer made here: the files of a container become the tree that the layer store keeps, and an archive of it.

The tree is copied first (shared with the original where the file system can) and the archive is written from the copy,
which nobody changes: so both are the same whatever a running container does, it needs to stand still only for the
copy, and nothing is ever unpacked. The archive is not compressed: its digest is the diff id.
"""

from __future__ import annotations

import os

from crate.oci import digest as digests
from crate.storage import content
from crate.storage.durable import write_all
from crate.storage.layers import LayerTree, chain_ids
from crate.storage.tree_archive import TreeArchive
from crate.storage.tree_copy import copy_tree, keep_layer
from crate.storage.tree_writer import Unpacked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from crate.storage.roots import Roots

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class LayerPack(LayerTree):
    """One layer on its way: `take`, `write_archive`, then crate.storage.layers.publish with others or alone.

    Inside `with`, a failure leaves nothing behind. After `write_archive`, `diff_id` is the digest of the blob too, and
    `archive_bytes` its size; the blob is in the content store.
    """

    def __init__(self, roots: Roots, parents: Sequence[str]) -> None:
        """`parents`: the diff ids of the layers below, lowest first."""
        chains = chain_ids(parents)
        super().__init__(roots, "", "", chains[-1] if chains else "")
        self._parents = list(parents)
        self.archive_bytes = 0

    def take(self, tree_fd: int, *, overlay: bool, skip: Collection[str] = ()) -> None:
        """Copies a tree: with `overlay` an upper directory with its marks, less the paths `skip`; else a whole one."""
        target_fd = os.open(f"{self.stage}/diff", _DIRECTORY)
        umask = os.umask(0)
        try:
            if overlay:
                keep_layer(tree_fd, target_fd, skip)
            else:
                copy_tree(tree_fd, target_fd)
        finally:
            os.umask(umask)
            os.close(target_fd)

    def write_archive(self) -> None:
        """Writes the blob, and so knows the ids of the layer."""
        content.prepare(self._roots)
        blob = f"{self.stage}/blob"
        hasher = digests.hasher()
        fd = os.open(blob, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

        def write(data: bytes | memoryview) -> None:
            hasher.update(data)
            write_all(fd, data)
            self.archive_bytes += len(data)

        tree_fd = os.open(f"{self.stage}/diff", _DIRECTORY)
        try:
            archive = TreeArchive(write, whiteouts=True)
            archive.add_tree(tree_fd, "", "")
            archive.finish()
            os.fchmod(fd, 0o444)
        finally:
            os.close(tree_fd)
            os.close(fd)
        self.unpacked = Unpacked()
        self.unpacked.size, self.unpacked.entries = archive.file_bytes, archive.entries
        self.diff_id = f"sha256:{hasher.hexdigest()}"
        self.chain_id = chain_ids([*self._parents, self.diff_id])[-1]
        os.rename(blob, content.blob_path(self._roots, self.diff_id))
