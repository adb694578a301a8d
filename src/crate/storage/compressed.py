"""Blobs of layers compressed, or compressed otherwise, for whoever takes them away: each once, kept by content.

    images/compressed/<hex of the blob>.<form>-<level>      a link to ../blobs/sha256/<hex of the compressed blob>

Such a blob lives as long as the one that it was made of.
"""

from __future__ import annotations

import os

from crate.errors import DigestError, NotFoundError
from crate.oci import digest as digests
from crate.storage import content, staging
from crate.storage.deflate import GZIP, ZSTD, deflater
from crate.storage.durable import write_all
from crate.storage.inflate import Inflater
from crate.storage.trash import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from crate.storage.roots import Roots

_CHUNK = 1 << 20
_MAGIC = ((b"\x1f\x8b", GZIP), (b"\x28\xb5\x2f\xfd", ZSTD))


def form_of(roots: Roots, digest: str) -> str:
    """How a blob is compressed, by its first bytes: `gzip`, `zstd`, or "". Raises NotFoundError."""
    fd = content.open_blob(roots, digest)
    try:
        begin = os.read(fd, 4)
    finally:
        os.close(fd)
    return next((form for magic, form in _MAGIC if begin.startswith(magic)), "")


def blob(
    roots: Roots, digest: str, form: str, level: int, passed: Callable[[int], object] = lambda _: None
) -> tuple[str, int]:
    """Digest and size of the blob, compressed so; made where it is not there. The caller holds `images.bring_in`.

    `passed` is told how many bytes of the blob were done, and may raise. Raises NotFoundError, ImageError, DigestError
    for a blob that is damaged on disk, OSError.
    """
    link = _link(roots, digest, form, level)
    try:
        made = f"sha256:{os.readlink(link).rpartition('/')[2]}"
        return made, os.stat(content.blob_path(roots, made)).st_size
    except FileNotFoundError:
        pass
    stage = staging.make(roots, f"compress-{os.urandom(8).hex()}")
    try:
        made, size = _compress(roots, digest, f"{stage}/blob", form, level, passed)
        os.rename(f"{stage}/blob", content.blob_path(roots, made))
    finally:
        remove_tree(os.path.dirname(stage), os.path.basename(stage))
    os.makedirs(os.path.dirname(link), 0o700, exist_ok=True)
    temporary = f"{os.path.dirname(link)}/.{os.urandom(8).hex()}"
    os.symlink(f"../blobs/sha256/{made.partition(':')[2]}", temporary)
    os.rename(temporary, link)
    return made, size


def _compress(
    roots: Roots, digest: str, path: str, form: str, level: int, passed: Callable[[int], object]
) -> tuple[str, int]:
    before, after = digests.hasher(digest.partition(":")[0]), digests.hasher()
    source_fd = content.open_blob(roots, digest)
    target_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    size = 0

    def emit(data: bytes) -> None:
        nonlocal size
        after.update(data)
        write_all(target_fd, data)
        size += len(data)

    stream = deflater(form, level, emit)
    try:
        inflater = Inflater(stream.write)
        while chunk := os.read(source_fd, _CHUNK):
            before.update(chunk)
            inflater.write(chunk)
            passed(len(chunk))
        inflater.finish()
        stream.finish()
    finally:
        stream.close()
        os.close(source_fd)
        os.close(target_fd)
    if before.hexdigest() != digest.partition(":")[2]:
        raise DigestError(f"blob {digest} is damaged on disk", "remove the image and pull or build it again")
    return f"sha256:{after.hexdigest()}", size


def made_of(roots: Roots, kept: set[str]) -> set[str]:
    """The digests of what was made of the blobs `kept`; forgets what was made of others. Under the store's lock."""
    directory = f"{roots.graphroot}/images/compressed"
    found: set[str] = set()
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return found
    for name in names:
        digest = name.partition(".")[0].replace("-", ":")
        try:
            if digest in kept:
                found.add(f"sha256:{os.readlink(f'{directory}/{name}').rpartition('/')[2]}")
            else:
                os.unlink(f"{directory}/{name}")
        except FileNotFoundError:
            pass
    return found


def made_of_blob(roots: Roots, digest: str) -> list[str]:
    """The digests of what was made of a blob."""
    directory = f"{roots.graphroot}/images/compressed"
    beginning = f"{digest.replace(':', '-')}."
    try:
        names = [name for name in os.listdir(directory) if name.startswith(beginning)]
        return [f"sha256:{os.readlink(f'{directory}/{name}').rpartition('/')[2]}" for name in names]
    except FileNotFoundError:
        return []


def _link(roots: Roots, digest: str, form: str, level: int) -> str:
    if not digests.is_digest(digest):
        raise NotFoundError(f"no such blob: {digest}")
    return f"{roots.graphroot}/images/compressed/{digest.replace(':', '-')}.{form}-{level}"
