"""Signing images of a registry: with GPG into a lookaside, with a key of sigstore into the registry itself.

`push --sign-by` and `--sign-by-sigstore-private-key` sign what was pushed, `image sign` what is there.
"""

from __future__ import annotations

from crate.image.trust import gpg, lookaside, payload, registries_d, sigstore
from crate.storage import journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from crate.oci.reference import Reference
    from crate.registry.client import Client
    from crate.settings import Settings
    from crate.storage.roots import Roots


def sign_with_gpg(
    reference: Reference, digest: str, key: str, *, directory: str | None = None, passphrase_file: str | None = None
) -> str:
    """Signs that `digest` is called `reference`, and gives the path of the signature.

    `directory`: the lookaside to write to; None: the one of registries.d. Raises UsageError, HostError.
    """
    document = payload.make(payload.GPG_TYPE, digest, str(reference))
    signature = gpg.sign(document, key, passphrase_file)
    return lookaside.keep(directory or registries_d.places(reference).write, reference, digest, signature)


def sign_images(roots: Roots, settings: Settings, text: str, key: str, options: Mapping[str, Any]) -> list[str]:
    """Signs the manifest, or index, that a registry has under a name; gives the paths of the signatures.

    `options`: `all` (the manifests of an index, each of which is signed), `directory`, `sign_passphrase_file`, and
    those of crate.image.pull for the registry. Raises UsageError, RegistryError, HostError.
    """
    from crate.image.pull import client_of
    from crate.oci import reference as references

    reference = references.parse(text.removeprefix("docker://"))
    client = client_of(reference, settings, options, verb="sign")
    try:
        document = client.manifest()
    finally:
        client.close()
    digests = [document.digest]
    if document.is_index and options.get("all"):
        digests += [str(entry["digest"]) for entry in document.value["manifests"]]
    made = [
        sign_with_gpg(
            reference,
            digest,
            key,
            directory=options.get("directory"),
            passphrase_file=options.get("sign_passphrase_file"),
        )
        for digest in digests
    ]
    journal.record(roots, "image", "sign", document.digest.partition(":")[2], str(reference))
    return made


def sign_pushed(settings: Settings, reference: Reference, digests: Sequence[str], options: Mapping[str, Any]) -> None:
    """Signs what was pushed, each digest, as `sign_by`, `sign_by_sigstore_private_key`, `sign_passphrase_file` say."""
    passphrase = options.get("sign_passphrase_file")
    for digest in digests:
        if options.get("sign_by"):
            sign_with_gpg(reference, digest, str(options["sign_by"]), passphrase_file=passphrase)
        if options.get("sign_by_sigstore_private_key"):
            _attach(settings, reference, digest, str(options["sign_by_sigstore_private_key"]), passphrase, options)


def _attach(
    settings: Settings,
    reference: Reference,
    digest: str,
    key_path: str,
    passphrase_file: str | None,
    options: Mapping[str, Any],
) -> None:
    """Puts a signature beside the image in its repository."""
    import os

    from crate.image.pull import client_of
    from crate.image.push import uploader_of
    from crate.oci import digest as oci_digest
    from crate.oci import json

    client, uploader = client_of(reference, settings, options, verb="sign"), uploader_of(reference, settings, options)
    try:
        tag, manifest, blobs = sigstore_attachment(client, reference, digest, key_path, passphrase_file)
        for blob, body in blobs.items():
            fd = os.memfd_create("signature", os.MFD_CLOEXEC)
            try:
                os.write(fd, body)
                uploader.blob(blob, len(body), fd)
            finally:
                os.close(fd)
        document = json.dumps(manifest).encode()
        uploader.manifest(tag, document, manifest["mediaType"], oci_digest.of(document))
    finally:
        client.close()
        uploader.close()


def sigstore_attachment(
    client: Client, reference: Reference, digest: str, key_path: str, passphrase_file: str | None = None
) -> tuple[str, dict[str, Any], dict[str, bytes]]:
    """A signature by a private key as what is to be pushed: tag, manifest, and its blobs by digest.

    Signatures that the registry has already stay in the manifest. Raises UsageError, HostError, RegistryError.
    """
    from base64 import b64encode

    from crate.oci import digest as digests
    from crate.oci import image_spec, json
    from crate.registry.failure import NotInRegistry

    document = payload.make(payload.SIGSTORE_TYPE, digest, str(reference))
    signature = sigstore.sign(document, key_path, passphrase_file)
    layer = {
        "mediaType": sigstore.LAYER_TYPE,
        "digest": digests.of(document),
        "size": len(document),
        "annotations": {sigstore.ANNOTATION: b64encode(signature).decode()},
    }
    tag = sigstore.tag_of(digest)
    try:
        former = list(client.manifest(tag).value.get("layers") or ())
    except NotInRegistry:
        former = []
    layers = [*former, layer]
    config = json.dumps(
        {
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [one["digest"] for one in layers]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": image_spec.OCI_MANIFEST,
        "config": {"mediaType": image_spec.OCI_CONFIG, "digest": digests.of(config), "size": len(config)},
        "layers": layers,
    }
    return tag, manifest, {digests.of(document): document, digests.of(config): config}
