"""The scopes of a policy that an image belongs to, the narrowest first."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from crate.oci.reference import Reference


def of_reference(reference: Reference) -> Iterator[str]:
    """`host/a/b:tag`, `host/a/b`, `host/a`, `host`, `*.domain` of the host, and of its domains upwards."""
    yield f"{reference.name}@{reference.digest}" if reference.digest else str(reference)
    scope = reference.name
    while scope:
        yield scope
        scope = scope.rpartition("/")[0]
    domain = reference.domain.partition(":")[0]
    while "." in domain:
        domain = domain.partition(".")[2]
        if domain:
            yield f"*.{domain}"


def of_path(transport: str, path: str, image: str = "") -> Iterator[str]:
    """The path, with the image in it where the transport names one, and the directories above it; `/` is none."""
    if transport == "docker-archive":
        return  # it has no scopes but that of the transport
    path = os.path.realpath(path)
    if image:
        yield f"{path}:{image}"
    while path != "/":
        yield path
        path = os.path.dirname(path)
