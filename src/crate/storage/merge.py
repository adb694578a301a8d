"""Whole trees made of layers: for more layers than the kernel stacks, and for hosts without overlay.

`layers/<chain id>/flat` is what all layers up to this one make together. Its files are hard links to those of the
layers, so it costs directories only.
"""

from __future__ import annotations

import os

from crate.storage import staging
from crate.storage.durable import sync_file_system
from crate.storage.trash import remove_tree
from crate.storage.tree.copy import apply_layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.storage.roots import Roots


def flatten(roots: Roots, layers: Sequence[str]) -> str:
    """Makes the flat tree of these layers (chain ids, bottom first) once; gives its path beneath `layers`."""
    path = f"{layers[-1]}/flat"
    place = f"{roots.graphroot}/layers/{path}"
    if os.access(place, os.F_OK):
        return path
    stage = staging.make(roots, f"flat-{os.urandom(8).hex()}")
    try:
        target_fd = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for layer in layers:
                layer_fd = os.open(
                    f"{roots.graphroot}/layers/{layer}/diff", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
                )
                try:
                    apply_layer(layer_fd, target_fd, link=True)
                finally:
                    os.close(layer_fd)
        finally:
            os.close(target_fd)
        sync_file_system(stage)
        try:
            os.rename(stage, place)
        except OSError:
            if not os.access(place, os.F_OK):  # another process was faster
                raise
    finally:
        remove_tree(os.path.dirname(stage), os.path.basename(stage))
    return path
