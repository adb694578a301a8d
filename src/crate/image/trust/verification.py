"""The gate of every image that comes in: does it show what the policy asks for? Nothing is unpacked before.

pull      the manifest, or an index that names it by its digest, is signed by whom its scope wants
load      an archive carries no signatures: its scope accepts it, or it is refused
"""

from __future__ import annotations

from crate.errors import ImageError
from crate.image.trust import gpg, lookaside, payload, policy, registries_d, scope, sigstore
from crate.image.trust.requirement import ACCEPT, REJECT, SIGNED_BY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from crate.image.trust.payload import Payload
    from crate.image.trust.requirement import Requirement
    from crate.oci.document import Document
    from crate.oci.reference import Reference
    from crate.registry.client import Client


class Gate:
    """The rule for one image of a registry: made before anything is asked for, `check` before anything is taken in."""

    def __init__(self, reference: Reference, signature_policy: str | None = None, verb: str = "pull") -> None:
        """`signature_policy`: a file instead of the one in force. Raises UsageError, and ImageError for who is not let
        in with any signature.
        """
        self._reference = reference
        self._verb = verb
        found = policy.load(signature_policy)
        self._rule = found.rule("docker", list(scope.of_reference(reference))) if found else None
        if self._rule and any(wanted.type == REJECT for wanted in self._rule.requirements):
            raise self._refusal("running it is rejected by policy")

    def check(self, documents: Sequence[Document], client: Client) -> None:
        """Raises ImageError, which names the scope and the file, unless the policy lets the image in.

        `documents`: the manifest, and the index that led to it, if one did: either may be signed.
        """
        for wanted in self._rule.requirements if self._rule else ():
            reason = self._fault(wanted, documents, client)
            if reason:
                raise self._refusal(reason)

    def _refusal(self, reason: str) -> ImageError:
        assert self._rule
        return ImageError(
            f"cannot {self._verb} {self._reference}: source image rejected: {reason}, by {self._rule.place}",
            "see what is trusted with: crate image trust show",
        )

    def _fault(self, wanted: Requirement, documents: Sequence[Document], client: Client) -> str | None:
        """Why the image does not meet one requirement; None when it does."""
        if wanted.type == ACCEPT:
            return None
        assert self._rule
        place = self._rule.place
        keys = wanted.keys(place)
        places = registries_d.places(self._reference)
        faults: list[str] = []
        for document in documents:
            if wanted.type == SIGNED_BY:
                signed = _signed_by_gpg(places.read, self._reference, document.digest, keys)
            else:
                if not places.attachments:
                    return "it is to be signed by sigstore, and registries.d has no use-sigstore-attachments for it"
                signed = _signed_by_sigstore(client, document.digest, keys, place)
            for found in signed:
                fault = _contradiction(found, wanted, self._reference, document.digest)
                if fault is None:
                    return None
                faults.append(fault)
        kind = "GPG" if wanted.type == SIGNED_BY else "sigstore"
        return faults[-1] if faults else f"a signature of {kind} was required, but no signature exists"


def check_archive(transport: str, path: str, options: Mapping[str, Any], image: str = "") -> None:
    """Raises ImageError unless the policy lets in the images of an archive or a directory of the host.

    `options`: `signature_policy`, as of `Gate`.
    """
    found = policy.load(options.get("signature_policy"))
    if found is None:
        return
    rule = found.rule(transport, list(scope.of_path(transport, path, image)))
    for wanted in rule.requirements:
        if wanted.type != ACCEPT:
            reason = "it is rejected" if wanted.type == REJECT else "it carries no signature"
            raise ImageError(
                f"cannot load {path}: source image rejected: {reason}, by {rule.place}",
                "see what is trusted with: crate image trust show",
            )


def _signed_by_gpg(base: str, reference: Reference, digest: str, keys: Sequence[bytes]) -> Iterable[Payload | str]:
    for signature in lookaside.signatures(base, reference, digest):
        plain = gpg.verified(signature, keys)
        if plain is None:
            yield "a signature is not one of the keys that are trusted"
        else:
            yield payload.read(plain, payload.GPG_TYPE) or "a signature is malformed"


def _signed_by_sigstore(client: Client, digest: str, keys: Sequence[bytes], place: str) -> Iterable[Payload | str]:
    for document, signature in sigstore.attachments(client, digest):
        if not sigstore.is_signed(document, signature, keys, place):
            yield "a signature is not one of the keys that are trusted"
        else:
            yield payload.read(document, payload.SIGSTORE_TYPE) or "a signature is malformed"


def _contradiction(found: Payload | str, wanted: Requirement, reference: Reference, digest: str) -> str | None:
    if isinstance(found, str):
        return found
    if found.digest != digest:
        return f"its signature is for another image, {found.digest[:80]}"
    if not wanted.identity.matches(reference, found.reference):
        return f"its signature is for another name, {found.reference[:200]}"
    return None
