"""The images of the reserved registry `crate.local`: assembled here, from what the host has, without any network.

`crate.local/busybox` is the host's static busybox as a normal OCI image of one layer. The same binary always gives the
same digests: the order is fixed, so are the times, and the layer is not compressed (zlib's output changes with its
version).
"""

from __future__ import annotations

from struct import unpack_from

from crate.errors import HostError, NotFoundError
from crate.oci import digest as digests
from crate.oci import image_spec, json, platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable

    from crate.oci.reference import Reference

DOMAIN = "crate.local"
CANDIDATES = ("/bin/busybox", "/usr/bin/busybox")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CREATED = "2025-01-01T00:00:00Z"
_MTIME = 1735689600
_HINT = "install Debian's package busybox-static: apt install busybox-static"
_PT_INTERP = 3
_DIRECTORIES = {
    "bin": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "proc": 0o755,
    "root": 0o700,
    "run": 0o755,
    "sbin": 0o755,
    "sys": 0o755,
    "tmp": 0o1777,
    "usr": 0o755,
    "usr/bin": 0o755,
    "usr/sbin": 0o755,
    "var": 0o755,
    "var/log": 0o755,
    "var/tmp": 0o1777,
}
_FILES = {
    "etc/group": (
        "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nmail:x:8:\nwheel:x:10:root\n"
        "www-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n"
    ),
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nbin:x:2:2:bin:/bin:/bin/false\n"
        "sys:x:3:3:sys:/dev:/bin/false\nmail:x:8:8:mail:/var/mail:/bin/false\n"
        "www-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n"
    ),
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


class Embedded:
    """An assembled image: its manifest, and the two blobs that the manifest names."""

    __slots__ = ("blobs", "manifest", "manifest_digest")

    def __init__(self, config: bytes, layer: bytes) -> None:
        self.blobs = {digests.of(config): config, digests.of(layer): layer}
        config_digest, layer_digest = self.blobs
        self.manifest = json.canonical(
            {
                "schemaVersion": 2,
                "mediaType": image_spec.OCI_MANIFEST,
                "config": {"mediaType": image_spec.OCI_CONFIG, "digest": config_digest, "size": len(config)},
                "layers": [{"mediaType": image_spec.OCI_LAYER, "digest": layer_digest, "size": len(layer)}],
            }
        ).encode()
        self.manifest_digest = digests.of(self.manifest)

    def small_blob(self, digest: str, size: int, limit: int) -> bytes:
        """As of a registry's client: the blob as a whole."""
        return self.blobs[digest]

    def blob(self, digest: str, size: int, write: Callable[[bytes], object], start: int = 0) -> None:
        """As of a registry's client: the blob from `start`, handed to `write`."""
        write(self.blobs[digest][start:])

    def close(self) -> None:
        """As of a registry's client: nothing is held."""


def is_embedded(reference: Reference) -> bool:
    """Is this one of crate's own images, for which no registry is asked?"""
    return reference.domain == DOMAIN


def assemble(reference: Reference, candidates: tuple[str, ...] = CANDIDATES) -> Embedded:
    """The image that `reference` names. Raises NotFoundError for an unknown one, HostError without a static busybox."""
    if reference.path != "busybox" or reference.tag not in ("", "latest"):
        raise NotFoundError(f"no such embedded image: {reference}", f"there is {DOMAIN}/busybox:latest")
    path, program = _busybox(candidates)
    image = busybox(program, _applets(path))
    if reference.digest and reference.digest != image.manifest_digest:
        raise NotFoundError(
            f"no such embedded image: {reference}", f"from this host's busybox it is {image.manifest_digest}"
        )
    return image


def busybox(program: bytes, applets: list[str]) -> Embedded:
    """The image of this binary and its applets (`bin/ls`, `usr/bin/env`, …)."""
    layer = _layer(program, applets)
    own = platform.host()
    config = {
        "created": _CREATED,
        "author": "crate",
        "architecture": own.architecture,
        **({"variant": own.variant} if own.variant else {}),
        "os": own.os,
        "config": {"Cmd": ["sh"], "Env": [f"PATH={PATH}"], "Labels": {"org.opencontainers.image.title": "busybox"}},
        "rootfs": {"type": "layers", "diff_ids": [digests.of(layer)]},
        "history": [{"created": _CREATED, "created_by": "crate: busybox of this host", "comment": "crate.local"}],
    }
    return Embedded(json.canonical(config).encode(), layer)


def _busybox(candidates: tuple[str, ...]) -> tuple[str, bytes]:
    fault = ""
    for path in candidates:
        try:
            with open(path, "rb") as file:
                program = file.read()
        except OSError:
            continue
        if is_static(program):
            return path, program
        fault = f"{path} is not a static ELF program"
    raise HostError(f"cannot assemble {DOMAIN}/busybox: {fault or 'there is none'}", _HINT)


def is_static(program: bytes) -> bool:
    """Is this an ELF program that needs no dynamic linker and no libraries (elf(5): no PT_INTERP)?

    A static PIE has a PT_DYNAMIC segment, but no interpreter.
    """
    if program[:4] != b"\x7fELF" or len(program) < 64:
        return False
    order = "<" if program[5] == 1 else ">"
    is_64 = program[4] == 2
    try:
        offset = unpack_from(f"{order}Q", program, 32)[0] if is_64 else unpack_from(f"{order}I", program, 28)[0]
        size, count = unpack_from(f"{order}HH", program, 54 if is_64 else 42)
        kinds = [unpack_from(f"{order}I", program, offset + number * size)[0] for number in range(count)]
    except Exception:  # struct.error: headers that point beyond the file
        return False
    return bool(kinds) and _PT_INTERP not in kinds


def _applets(path: str) -> list[str]:
    """The paths of its applets, without a leading slash, as it tells them itself."""
    import subprocess

    try:
        done = subprocess.run([path, "--list-full"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        raise HostError(f"cannot assemble {DOMAIN}/busybox: {path} does not run", _HINT) from None
    found = [line.strip().lstrip("/") for line in done.stdout.decode(errors="replace").splitlines()]
    applets = sorted({path for path in found if path and ".." not in path.split("/") and path != "bin/busybox"})
    if done.returncode or not applets:
        raise HostError(f"cannot assemble {DOMAIN}/busybox: {path} does not list its applets", _HINT)
    return applets


def _layer(program: bytes, applets: list[str]) -> bytes:
    import io
    import tarfile

    stream = io.BytesIO()
    directories = dict(_DIRECTORIES)
    for applet in applets:
        parts = applet.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            directories.setdefault("/".join(parts[:depth]), 0o755)
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(directories):
            archive.addfile(_entry(name, tarfile.DIRTYPE, directories[name]))
        for name, text in sorted(_FILES.items()):
            _add_file(archive, name, text.encode(), 0o644)
        _add_file(archive, "bin/busybox", program, 0o755)
        for applet in applets:
            link = _entry(applet, tarfile.SYMTYPE, 0o777)
            link.linkname = "/bin/busybox"
            archive.addfile(link)
    return stream.getvalue()


def _add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    import io
    import tarfile

    entry = _entry(name, tarfile.REGTYPE, mode)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    import tarfile

    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = kind, mode, _MTIME
    return entry
