"""--output: where a build goes when it is not, or not only, an image in the store.

type=image (the default)        an image; name=NAME,… besides --tag, push=true
type=registry                   the same, pushed
type=local,dest=DIR  or  DIR    the files of the target, the caller's
type=tar,dest=FILE   or  -      the same as an archive
type=oci|docker,dest=FILE       an archive of the image; tar=false: a directory
"""

from __future__ import annotations

import csv
import os
import stat
from typing import TYPE_CHECKING

from crate.build.records import dataclass, field
from crate.errors import HostError, UsageError
from crate.linux.fs import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from crate.ns.recorded_owner import NAME
from crate.ns.single_id import maps_one_id
from crate.storage.durable import write_all
from crate.storage.rootfs import mount_layers
from crate.storage.tree.archive import TreeArchive
from crate.storage.tree.copy import apply_layer
from crate.storage.tree.walk import directories

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crate.build.state import State
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

_FILES, _IMAGES = ("local", "tar"), ("oci", "docker")
#: what may be said of each type besides type and dest
_KEYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_FILES, ()),
    **dict.fromkeys(_IMAGES, ("name", "tar")),
    **dict.fromkeys(("image", "registry"), ("name", "push")),
}
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass
class Output:
    """One destination. `fields` are the others of its text."""

    type: str
    destination: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def wants_image(self) -> bool:
        """Does it want an image, and not only files?"""
        return self.type not in _FILES

    @property
    def names(self) -> list[str]:
        """The names of `name=`."""
        return [name for name in self.fields.get("name", "").split(",") if name]

    @property
    def pushes(self) -> bool:
        """Is it to be pushed?"""
        return self.type == "registry" or self.fields.get("push", "").lower() in ("true", "1")


def parse_outputs(texts: Iterable[str]) -> list[Output]:
    """UsageError for what is none."""
    found = []
    for text in texts:
        if "=" not in text:
            if not text:
                raise UsageError('invalid argument "" for "-o, --output" flag', "a directory, or type=…,dest=…")
            found.append(Output("tar", "-") if text == "-" else Output("local", text))
            continue
        try:
            words = next(csv.reader([text], strict=True))
        except (csv.Error, StopIteration):
            raise UsageError(f"invalid --output {text}") from None
        odd = next((word for word in words if "=" not in word), None)
        if odd is not None:
            raise UsageError(
                f"invalid --output {text}: {odd} is not key=value", "for instance type=local,dest=DIRECTORY"
            )
        pairs = dict(word.partition("=")[::2] for word in words)
        kind = pairs.pop("type", "")
        destination = pairs.pop("dest", "")
        if kind not in _KEYS:
            raise UsageError(f'invalid --output {text}: unknown type "{kind}"', ", ".join(_KEYS))
        unknown = next((key for key in pairs if key not in _KEYS[kind]), None)
        if unknown is not None:
            known = ", ".join(("type", "dest", *_KEYS[kind]))
            raise UsageError(f'invalid --output {text}: unknown key "{unknown}" of type {kind}', f"known are {known}")
        if kind == "local" and not destination:
            raise UsageError(f"invalid --output {text}: dest is missing", "dest=DIRECTORY")
        if kind in ("tar", *_IMAGES) and not destination:
            destination = "-"
        if destination == "-" and kind in ("tar", *_IMAGES) and os.isatty(1):
            raise UsageError("an archive is not written to a terminal", "dest=FILE, or redirect it")
        found.append(Output(kind, destination, pairs))
    return found


def write_files(roots: Roots, state: State, output: Output) -> None:
    """The files of the target, for `local` and `tar`. HostError."""
    root_fd = mount_layers(roots, state.layers)
    try:
        if output.type == "local":
            _write_directory(root_fd, output.destination)
            return
        fd = _open(output.destination)
        try:
            archive = TreeArchive(lambda data: write_all(fd, data))
            archive.add_tree(root_fd, "", "")
            archive.finish()
        finally:
            os.close(fd)
    except OSError as error:
        raise HostError(f"cannot write {output.destination}: {os.strerror(error.errno or 0)}") from None
    finally:
        os.close(root_fd)


def _write_directory(root_fd: int, path: str) -> None:
    os.makedirs(path, exist_ok=True)
    target_fd = os.open(path, _DIRECTORY)
    try:
        apply_layer(root_fd, target_fd, link=False)
        own = (os.geteuid(), os.getegid())
        for here, fd, entries in directories(root_fd):
            strange = [name for name, found in entries if (found.st_uid, found.st_gid) != own]
            if strange:
                there = openat2(target_fd, here or ".", _DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
                for name in strange:
                    os.chown(name, *own, dir_fd=there, follow_symlinks=False)
                os.close(there)
            del fd
        if maps_one_id():
            _forget_owners(target_fd)
    finally:
        os.close(target_fd)


def _forget_owners(root_fd: int) -> None:
    """The files are the caller's, whoever else was recorded."""
    for _, fd, entries in directories(root_fd):
        for name, found in entries:
            if not stat.S_ISLNK(found.st_mode):
                try:
                    os.removexattr(f"/proc/self/fd/{fd}/{name}", NAME, follow_symlinks=False)
                except OSError:
                    pass  # it had none


def write_image(roots: Roots, record: ImageRecord, names: Sequence[str], output: Output) -> None:
    """The image, for `oci` and `docker`. HostError."""
    from crate.image import save

    chosen = [(record, list(names))]
    try:
        if output.fields.get("tar", "").lower() in ("false", "0"):
            save.save(roots, chosen, f"{output.type}-dir", output.destination)
            return
        fd = _open(output.destination)
        try:
            save.save(roots, chosen, f"{output.type}-archive", fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise HostError(f"cannot write {output.destination}: {os.strerror(error.errno or 0)}") from None


def _open(path: str) -> int:
    if path == "-":
        return os.dup(1)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
