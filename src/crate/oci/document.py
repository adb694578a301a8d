"""Manifests, indexes and configs as documents: the bytes that a digest is of, and what they say, checked for sanity.

Nothing here is trusted: these are the words of registries and archives.
"""

from __future__ import annotations

from crate.errors import ImageError
from crate.oci import digest as digests
from crate.oci import image_spec, json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.oci.image_spec import Descriptor

_KNOWN = (*image_spec.INDEXES, *image_spec.MANIFESTS)
_LAYER_TYPES = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
_SIZE_MAX = 1 << 50
# The members of a config that crate reads: the type that each must have, where it is there and not null.
_CONFIG_TYPES: dict[str, tuple[type, type | None]] = {
    "User": (str, None),
    "WorkingDir": (str, None),
    "StopSignal": (str, None),
    "Env": (list, str),
    "Cmd": (list, str),
    "Entrypoint": (list, str),
    "Shell": (list, str),
    "OnBuild": (list, str),
    "ExposedPorts": (dict, None),
    "Volumes": (dict, None),
    "Labels": (dict, str),
    "Healthcheck": (dict, None),
}


class Document:
    """A manifest or an index as it came: its bytes, which its digest is of, and what they say."""

    __slots__ = ("body", "digest", "media_type", "value")

    def __init__(self, body: bytes, digest: str, media_type: str, value: dict[str, Any]) -> None:
        self.body = body
        self.digest = digest
        self.media_type = media_type
        self.value = value

    @property
    def is_index(self) -> bool:
        """Does it list manifests, one a platform?"""
        return self.media_type in image_spec.INDEXES


def read_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object that `body` is, None when it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_document(body: bytes, digest: str, media_type: str, subject: str) -> Document:
    """A manifest or index from its bytes; its own `mediaType` wins over the one it was served as.

    `subject` begins the messages: `pull alpine:latest`. Raises ImageError for docker's schema 1 and for what is
    neither manifest nor index.
    """
    value = read_object(body)
    if value is None:
        raise ImageError(f"cannot {subject}: the manifest {digest} is not a JSON object")
    kind = str(value.get("mediaType") or media_type)
    if value.get("schemaVersion") == 1 or kind in image_spec.SCHEMA1:
        raise ImageError(
            f"cannot {subject}: the manifest is docker's schema 1, which has no content digests",
            "have the image pushed anew with docker 1.10 or later",
        )
    if kind not in _KNOWN:
        # Old registries serve anything as octets: the members tell what it is.
        kind = image_spec.OCI_INDEX if "manifests" in value else image_spec.OCI_MANIFEST if "config" in value else kind
    if kind not in _KNOWN:
        raise ImageError(f"cannot {subject}: {digest} is no image manifest (media type {_shown(kind)})")
    if kind in image_spec.INDEXES:
        well_formed = _is_list_of_objects(value.get("manifests")) and "layers" not in value
    else:
        well_formed = isinstance(value.get("config"), dict) and _is_list_of_objects(value.get("layers", []))
        well_formed = well_formed and "manifests" not in value  # one document, two meanings: CVE-2021-41190
    if not well_formed:
        raise ImageError(f"cannot {subject}: {digest} is no image manifest: its members contradict its media type")
    return Document(body, digest, kind, value)


def check_image(document: Document, subject: str) -> list[Descriptor]:
    """The layers of a manifest, lowest first, after a look at all its descriptors. Raises ImageError."""
    check_descriptor(document.value["config"], subject)
    if not document.value["config"]["digest"].startswith("sha256:"):
        raise ImageError(f"cannot {subject}: the digest of its config is not a sha256")
    layers: list[Descriptor] = document.value.get("layers", [])
    for layer in layers:
        check_descriptor(layer, subject)
        kind = str(layer.get("mediaType") or "")
        if kind and (not kind.startswith(_LAYER_TYPES) or kind.endswith("+encrypted")):
            raise ImageError(f"cannot {subject}: it is no container image: it has a layer of type {_shown(kind)}")
    return layers


def check_descriptor(descriptor: object, subject: str) -> None:
    """Raises ImageError unless it is an object with a digest and a sane size."""
    size = descriptor.get("size") if isinstance(descriptor, dict) else None
    if not isinstance(descriptor, dict) or not digests.is_digest(descriptor.get("digest")):
        raise ImageError(f"cannot {subject}: its manifest has a descriptor without a valid digest")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < _SIZE_MAX:
        raise ImageError(f"cannot {subject}: its manifest has a descriptor without a valid size")


def read_config(body: bytes, layers: int, subject: str) -> dict[str, Any]:
    """An image config with `layers` diff ids, every member that crate reads of its proper type. Raises ImageError."""
    value = read_object(body)
    if value is None:
        raise ImageError(f"cannot {subject}: its config is not a JSON object")
    rootfs = value.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    diff_ids = [] if diff_ids is None and not layers else diff_ids
    if not isinstance(diff_ids, list) or len(diff_ids) != layers:
        raise ImageError(f"cannot {subject}: its config and its manifest disagree about the layers")
    if not all(digests.is_digest(diff_id) and diff_id.startswith("sha256:") for diff_id in diff_ids):
        raise ImageError(f"cannot {subject}: its config has a diff id that is not a sha256")
    value["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
    config = value.get("config")
    if config is not None and not isinstance(config, dict):
        raise ImageError(f"cannot {subject}: its config has a malformed member config")
    for key, (outer, inner) in _CONFIG_TYPES.items():
        _check_member(config or {}, key, outer, inner, subject)
    for key in ("created", "author", "architecture", "variant", "os", "comment", "docker_version"):
        _check_member(value, key, str, None, subject)
    history = value.get("history")
    if history is not None and not _is_list_of_objects(history):
        raise ImageError(f"cannot {subject}: its config has a malformed member history")
    return value


def _check_member(value: dict[str, Any], key: str, outer: type, inner: type | None, subject: str) -> None:
    found = value.get(key)
    if found is None:
        return
    items = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else []
    if not isinstance(found, outer) or (inner is not None and not all(isinstance(item, inner) for item in items)):
        raise ImageError(f"cannot {subject}: its config has a malformed member {key}")


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _shown(kind: str) -> str:
    return "".join(c for c in kind if c.isprintable())[:100] or "unknown"
