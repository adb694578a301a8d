"""A layer that is made by changing files: a step of a build writes to it through a mount of all that lies below.

    work = LayerWork(roots, diff_ids)
    fd = work.mount(layers)          a detached mount; what is changed beneath it is the layer
    ...                              the descriptor and every process in it are gone by now
    work.seal()                      archive and ids, then crate.storage.layers.publish

The upper directory becomes the layer's tree by a rename, so that nothing is copied.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager

from crate.storage.containers import make_upper
from crate.storage.difference import write_difference
from crate.storage.layer_pack import LayerMade
from crate.storage.rootfs import mount_layers, mount_rootfs
from crate.storage.trash import remove_tree
from crate.storage.tree.walk import directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crate.storage.roots import Roots

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class LayerWork(LayerMade):
    """One layer on its way. Inside `with`, a failure leaves nothing behind."""

    def __init__(self, roots: Roots, parents: Sequence[str]) -> None:
        """`parents`: the diff ids of the layers below, lowest first."""
        super().__init__(roots, parents)
        self._layers: Sequence[str] = ()

    def mount(self, layers: Sequence[str]) -> int:
        """A descriptor of the file system that the layer lies upon, writable. `layers`: chain ids, lowest first."""
        self._layers = layers
        os.mkdir(f"{self.stage}/work", 0o700)
        make_upper(self._roots, f"{self.stage}/upper", layers)
        return mount_rootfs(self._roots, self.stage, layers, volatile=True)

    @contextmanager
    def open_tree(self) -> Iterator[tuple[int, bool]]:
        """(descriptor, whether it is a whole tree) of what was changed, in overlay's form where it is not."""
        whole = os.access(f"{self.stage}/rootfs", os.F_OK)
        fd = os.open(f"{self.stage}/rootfs" if whole else f"{self.stage}/upper", _DIRECTORY)
        try:
            yield fd, whole
        finally:
            os.close(fd)

    def is_empty(self) -> bool:
        """Was nothing changed? Never so where the driver keeps whole trees."""
        return not os.access(f"{self.stage}/rootfs", os.F_OK) and not os.listdir(f"{self.stage}/upper")

    def seal(self, latest_ns: int = -1, exact: bool = False) -> None:
        """Nobody changes anything any more: writes the archive, and so knows the ids of the layer.

        No file gets a later time than `latest_ns`, if that is not negative, or with `exact` every file that one.
        """
        os.rmdir(f"{self.stage}/diff")
        if os.access(f"{self.stage}/rootfs", os.F_OK):
            self._find_difference()
            remove_tree(self.stage, "rootfs")
        os.rename(f"{self.stage}/upper", f"{self.stage}/diff")
        remove_tree(self.stage, "work")
        remove_tree(self.stage, "merged")
        if latest_ns >= 0:
            clamp_times(f"{self.stage}/diff", latest_ns, exact)
        self.write_archive()

    def _find_difference(self) -> None:
        lower_fd = mount_layers(self._roots, self._layers)
        tree_fd = os.open(f"{self.stage}/rootfs", _DIRECTORY)
        try:
            write_difference(tree_fd, lower_fd, f"{self.stage}/upper")
        finally:
            os.close(tree_fd)
            os.close(lower_fd)


def clamp_times(path: str, latest_ns: int, exact: bool) -> None:
    """Gives the files of a tree that are later than `latest_ns` (or, with `exact`, all) this time."""
    root_fd = os.open(path, _DIRECTORY)
    times = (latest_ns, latest_ns)
    try:
        for _, fd, entries in directories(root_fd):
            for name, found in entries:
                if not stat.S_ISDIR(found.st_mode) and (exact or found.st_mtime_ns > latest_ns):
                    os.utime(name, ns=times, dir_fd=fd, follow_symlinks=False)
            if exact or os.fstat(fd).st_mtime_ns > latest_ns:
                os.utime(fd, ns=times)
    finally:
        os.close(root_fd)
