"""Stores of GPG signatures beside a registry: directories of the host, or of a web server.

<base>/<repository without its registry>@<algorithm>=<hex>/signature-1, -2, …
"""

from __future__ import annotations

import os

from crate.errors import HostError, RegistryError, UsageError
from crate.storage.durable import write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from crate.oci.reference import Reference

_SIGNATURE_MAX = 4 << 20
_SIGNATURES_MAX = 64
_SECONDS = 30


def signatures(base: str, reference: Reference, digest: str) -> Iterator[bytes]:
    """The signatures of a manifest, in order. Raises RegistryError where the server fails, UsageError."""
    for number in range(1, _SIGNATURES_MAX + 1):
        body = _fetch(f"{base.rstrip('/')}/{_directory(reference, digest)}/signature-{number}")
        if body is None:
            return
        yield body


def keep(base: str, reference: Reference, digest: str, signature: bytes) -> str:
    """Writes one more signature and gives its path. Raises UsageError for what is no directory here, HostError."""
    if not base.startswith(("file:///", "/")):
        raise UsageError(f"cannot write signatures to {base}", "lookaside-staging names a directory: file:///…")
    directory = f"{base.removeprefix('file://').rstrip('/')}/{_directory(reference, digest)}"
    try:
        os.makedirs(directory, 0o755, exist_ok=True)
        number = 1
        while os.path.exists(f"{directory}/signature-{number}"):
            number += 1
        path = f"{directory}/signature-{number}"
        write_file(None, path, signature, durable=True, mode=0o644)
    except OSError as error:
        raise HostError(f"cannot write a signature in {directory}: {os.strerror(error.errno or 0)}") from None
    return path


def _directory(reference: Reference, digest: str) -> str:
    return f"{reference.path}@{digest.replace(':', '=')}"


def _fetch(url: str) -> bytes | None:
    if url.startswith("/"):
        url = f"file://{url}"
    if url.startswith("file:///"):
        try:
            with open(url.removeprefix("file://"), "rb") as file:
                return file.read(_SIGNATURE_MAX + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UsageError(f"cannot read the signature {url}: {error.strerror}") from None
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"cannot read signatures from {url}", "a lookaside is a URL of file, http or https")
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=_SECONDS) as answer:
            return bytes(answer.read(_SIGNATURE_MAX + 1))
    except HTTPError as error:
        if error.code in (404, 410):
            return None
        raise RegistryError(f"cannot read the signature {url}: status {error.code}") from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise RegistryError(f"cannot read the signature {url}: {getattr(error, 'reason', error)}") from None
