"""The document that is signed ("simple signing"): a digest, and the name that it may be called by.

    {"critical": {"type", "image": {"docker-manifest-digest"}, "identity": {"docker-reference"}}, "optional": {…}}

Sources: containers-signature(5); cosign's SIGNATURE_SPEC.md, which takes over the form with another type.
"""

from __future__ import annotations

import time

from crate.oci import digest as digests
from crate.oci.document import read_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GPG_TYPE = "atomic container signature"
SIGSTORE_TYPE = "cosign container image signature"


class Payload:
    """What somebody signed. `reference` is not checked to be one."""

    __slots__ = ("digest", "reference")

    def __init__(self, digest: str, reference: str) -> None:
        self.digest = digest
        self.reference = reference


def make(kind: str, digest: str, reference: str) -> bytes:
    """The document to sign."""
    import json

    critical = {
        "identity": {"docker-reference": reference},
        "image": {"docker-manifest-digest": digest},
        "type": kind,
    }
    optional = {"creator": "crate", "timestamp": int(time.time())}
    return json.dumps({"critical": critical, "optional": optional}, separators=(",", ":")).encode()


def read(body: bytes, kind: str) -> Payload | None:
    """What the document says; None for one of another form, as no unknown member may change what it means."""
    value = read_object(body)
    if value is None or not {"critical"} <= set(value) <= {"critical", "optional"}:
        return None
    critical = value["critical"]
    if not isinstance(critical, dict) or set(critical) != {"identity", "image", "type"} or critical["type"] != kind:
        return None
    digest = _only(critical["image"], "docker-manifest-digest")
    reference = _only(critical["identity"], "docker-reference")
    if digest is None or reference is None or not digests.is_digest(digest):
        return None
    return Payload(digest, reference)


def _only(value: Any, key: str) -> str | None:
    """The one member of an object."""
    if not isinstance(value, dict) or set(value) != {key} or not isinstance(value[key], str):
        return None
    return str(value[key])
