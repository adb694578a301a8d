"""The image of the sandboxes of pods: one layer with `sandbox_program`, made for the first pod and kept in the store.

Its name is podman's, `localhost/podman-pause:VERSION-BUILT` with crate's own version and time: scripts know by it what
is not theirs, and what to remove for the last traces of pods.
"""

from __future__ import annotations

import os
import stat

import crate
from crate.engine.pods import sandbox_program
from crate.plan.pod import PROGRAM, SANDBOX
from crate.storage import image_record, layers, reference
from crate.storage.durable import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots


def name() -> str:
    """Its full name: another crate has another."""
    return f"{SANDBOX}:{crate.__version__}-{crate.built()}"


def ensure(roots: Roots, wanted: str) -> tuple[ImageRecord, str]:
    """The image and its `name`, made where it is not there, not whole, or another of that name, as archives may bring.

    HostError for a machine without a program.
    """
    digest = reference.resolve(roots, wanted)
    record = image_record.by_digest(roots, digest) if digest else None
    if record is None or layers.missing(roots, record["layers"]) or not _is_own(roots, record):
        record = _make(roots, wanted)
    return record, wanted


def _is_own(roots: Roots, record: ImageRecord) -> bool:
    """Whether the image is the program and nothing else."""
    if record["config"].get("config") != {"Entrypoint": [PROGRAM]} or len(record["layers"]) != 1:
        return False
    name = PROGRAM[1:]
    tree_fd = os.open(layers.diff_path(roots, record["layers"][0]), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.listdir(tree_fd) != [name] or not stat.S_ISREG(os.lstat(name, dir_fd=tree_fd).st_mode):
            return False
        return read_file(name, tree_fd) == sandbox_program.program(os.uname().machine)
    finally:
        os.close(tree_fd)


def _make(roots: Roots, wanted: str) -> ImageRecord:
    """The same each time, whoever makes it: times are those of this crate."""
    from crate.image import making
    from crate.oci import platform
    from crate.storage import images
    from crate.storage.layer_pack import LayerMade

    built, own = crate.built(), platform.host()
    created = making.stamp(built * 1_000_000_000)
    with images.bring_in(roots), LayerMade(roots, ()) as layer:
        tree_fd = os.open(f"{layer.stage}/diff", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sandbox_program.write(tree_fd)
            os.utime(PROGRAM[1:], (built, built), dir_fd=tree_fd)
            os.utime(tree_fd, (built, built))
        finally:
            os.close(tree_fd)
        layer.write_archive()
        config = {
            "created": created,
            "author": "crate",
            "architecture": own.architecture,
            **({"variant": own.variant} if own.variant else {}),
            "os": own.os,
            "config": {"Entrypoint": [PROGRAM]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [{"created": created, "created_by": "crate: the program of a pod's sandbox"}],
        }
        return making.make(roots, config, [making.layer_descriptor(layer)], [wanted], made=[layer])
