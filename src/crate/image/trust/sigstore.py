"""sigstore's signatures as cosign keeps them: an image `sha256-<hex>.sig` in the repository of the one it signs.

Each of its layers is a signed document (crate.image.trust.payload), the signature an annotation of the layer.
Source: cosign's specs/SIGNATURE_SPEC.md.
"""

from __future__ import annotations

from crate.errors import HostError, ImageError, UsageError
from crate.oci import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from crate.registry.client import Client

LAYER_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"
_PAYLOAD_MAX = 1 << 20
_SIGNATURES_MAX = 64


def tag_of(digest: str) -> str:
    """The tag under which the signatures of a manifest lie."""
    return f"{digest.replace(':', '-')}.sig"


def attachments(client: Client, digest: str) -> Iterator[tuple[bytes, bytes]]:
    """(document, signature) of each signature that the registry has for a manifest. Raises RegistryError."""
    from base64 import b64decode

    from crate.registry.failure import NotInRegistry

    try:
        manifest = client.manifest(tag_of(digest)).value
    except NotInRegistry:
        return
    for layer in (manifest.get("layers") or ())[:_SIGNATURES_MAX]:
        annotations = layer.get("annotations")
        text = annotations.get(ANNOTATION) if isinstance(annotations, dict) else None
        size = layer.get("size")
        if layer.get("mediaType") != LAYER_TYPE or not isinstance(text, str) or not isinstance(size, int):
            continue
        if not digests.is_digest(layer.get("digest")):
            continue
        try:
            yield client.small_blob(layer["digest"], size, _PAYLOAD_MAX), b64decode(text, validate=True)
        except (ImageError, ValueError):
            continue


def is_signed(document: bytes, signature: bytes, keys: Sequence[bytes], place: str) -> bool:
    """Did one of these public keys (PEM) make the signature? Raises UsageError for what is no key, HostError."""
    hazmat = _cryptography()
    for key in keys:
        try:
            public = hazmat.load_pem_public_key(key)
        except (ValueError, TypeError, hazmat.UnsupportedAlgorithm):
            raise UsageError(f"a key of {place} is no public key in PEM form") from None
        if _verifies(hazmat, public, signature, document):
            return True
    return False


def sign(document: bytes, key_path: str, passphrase_file: str | None = None) -> bytes:
    """The signature of a private key in PEM form (PKCS #8). Raises UsageError, HostError."""
    hazmat = _cryptography()
    try:
        with open(key_path, "rb") as file:
            body = file.read(1 << 20)
        password = None
        if passphrase_file:
            with open(passphrase_file, "rb") as file:
                password = file.read(1 << 16).rstrip(b"\n") or None
    except OSError as error:
        raise UsageError(f"cannot read the key {key_path}: {error.strerror}") from None
    if b"ENCRYPTED COSIGN" in body or b"ENCRYPTED SIGSTORE" in body:
        raise UsageError(
            f"cannot sign with {key_path}: it is encrypted in cosign's own way", "give a key in PEM form (PKCS #8)"
        )
    try:
        private = hazmat.load_pem_private_key(body, password)
    except (ValueError, TypeError, hazmat.UnsupportedAlgorithm) as error:
        raise UsageError(f"cannot sign with {key_path}: {str(error).partition('.')[0]}") from None
    if isinstance(private, hazmat.ec.EllipticCurvePrivateKey):
        return bytes(private.sign(document, hazmat.ec.ECDSA(hazmat.hashes.SHA256())))
    if isinstance(private, hazmat.rsa.RSAPrivateKey):
        return bytes(private.sign(document, hazmat.padding.PKCS1v15(), hazmat.hashes.SHA256()))
    if isinstance(private, hazmat.ed25519.Ed25519PrivateKey):
        return bytes(private.sign(document))
    raise UsageError(f"cannot sign with {key_path}: it is no key of ECDSA, RSA or Ed25519")


def _verifies(hazmat: Any, public: Any, signature: bytes, document: bytes) -> bool:
    try:
        if isinstance(public, hazmat.ec.EllipticCurvePublicKey):
            public.verify(signature, document, hazmat.ec.ECDSA(hazmat.hashes.SHA256()))
        elif isinstance(public, hazmat.rsa.RSAPublicKey):
            public.verify(signature, document, hazmat.padding.PKCS1v15(), hazmat.hashes.SHA256())
        elif isinstance(public, hazmat.ed25519.Ed25519PublicKey):
            public.verify(signature, document)
        else:
            return False
    except hazmat.InvalidSignature:
        return False
    return True


class _Hazmat:
    """The parts of `cryptography` that are needed, loaded together."""


def _cryptography() -> Any:
    found: Any = _Hazmat()
    try:
        from cryptography import exceptions
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    except ImportError:
        raise HostError(
            "cannot handle sigstore's signatures: the Python package cryptography is missing",
            "apt install python3-cryptography, or pip install crate-runtime[sigstore]",
        ) from None
    found.ec, found.ed25519, found.padding, found.rsa, found.hashes = ec, ed25519, padding, rsa, hashes
    found.load_pem_public_key = serialization.load_pem_public_key
    found.load_pem_private_key = serialization.load_pem_private_key
    found.InvalidSignature, found.UnsupportedAlgorithm = exceptions.InvalidSignature, exceptions.UnsupportedAlgorithm
    return found
