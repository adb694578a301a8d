"""An image on its way out of the store: its layers in the compression, its manifest in the form that is wanted.

What need not change goes out byte for byte, so that its digest stays.
"""

from __future__ import annotations

from crate.errors import UsageError
from crate.oci import digest as digests
from crate.oci import image_spec, json
from crate.oci.document import Document, read_document
from crate.storage import compressed, content
from crate.storage.deflate import GZIP, LEVELS, TAR, ZSTD, level_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from crate.oci.image_spec import Descriptor
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

FORMATS = ("oci", "v2s2")
_OCI_LAYERS = {"": image_spec.OCI_LAYER, GZIP: image_spec.OCI_LAYER_GZIP, ZSTD: image_spec.OCI_LAYER_ZSTD}
_DOCKER_LAYERS = {"": image_spec.DOCKER_LAYER, GZIP: image_spec.DOCKER_LAYER_GZIP, ZSTD: image_spec.DOCKER_LAYER_ZSTD}


class Packing:
    """How an image shall leave: `form` of compression, its `level`, `manifest` format.

    `form` "tar" is none, and "" leaves what is compressed as it is.

    `plain`: layers may go out uncompressed, as they lie in the store; `force`: what has the form is compressed again.
    """

    __slots__ = ("force", "form", "level", "manifest", "plain")

    def __init__(
        self, form: str = "", level: int | None = None, manifest: str = "", force: bool = False, plain: bool = False
    ) -> None:
        self.form = form
        self.level = level
        self.manifest = manifest
        self.force = force
        self.plain = plain


def packing(options: Mapping[str, Any], plain: bool = False) -> Packing:
    """Of the options `compression_format`, `compression_level`, `force_compression` and `format`. UsageError."""
    form = str(options.get("compression_format") or "")
    if form == "zstd:chunked":
        raise UsageError(f'cannot write compression format "{form}"', "use zstd: it is read by the same programs")
    if form and form not in LEVELS:
        raise UsageError(f'unsupported compression format "{form}"', f"one of: {', '.join(LEVELS)}")
    manifest = str(options.get("format") or "")
    if manifest and manifest not in FORMATS:
        raise UsageError(f'unsupported manifest format "{manifest}"', f"one of: {', '.join(FORMATS)}")
    if form == ZSTD and manifest == "v2s2":
        raise UsageError("docker's manifests (v2s2) know no zstd", "use --format oci, or gzip")
    level = options.get("compression_level")
    level_of(form or GZIP, level)
    return Packing(form, level, manifest, bool(options.get("force_compression")), plain and not form)


class Outgoing:
    """One image. Safe for use by several threads; the caller holds `images.bring_in`."""

    def __init__(self, roots: Roots, record: ImageRecord, how: Packing) -> None:
        self._roots = roots
        self._how = how
        body = content.read_document(roots, record["digest"])
        self._document = read_document(body, record["digest"], record["manifest"].get("mediaType") or "", "read image")
        self.config: Descriptor = self._document.value["config"]
        #: what lies in the store, lowest first
        self.layers: list[Descriptor] = list(self._document.value.get("layers") or ())
        self._forms = [""] * len(self.layers)
        self._packed: list[tuple[str, int]] = [(layer["digest"], layer["size"]) for layer in self.layers]

    def pack(self, number: int, passed: Callable[[int], object]) -> tuple[str, int]:
        """Digest and size of the blob that goes out for a layer, compressed if need be. As `compressed.blob`."""
        digest = self.layers[number]["digest"]
        own = compressed.form_of(self._roots, digest)
        form = self._how.form or own or ("" if self._how.plain else GZIP)
        if form == ZSTD and self._how.manifest == "v2s2":
            form = GZIP
        if form and (form != (own or TAR) or self._how.force):
            level = level_of(form, self._how.level)
            self._packed[number] = compressed.blob(self._roots, digest, form, level, passed)
        self._forms[number] = "" if form == TAR else form
        return self._packed[number]

    @property
    def blobs(self) -> list[str]:
        """The digests of what goes out beside the manifest: all layers have been packed."""
        return [self.config["digest"], *(digest for digest, _ in self._packed)]

    def manifest(self) -> Document:
        """The manifest of what was packed: all layers have been."""
        own = self._document
        is_docker = own.media_type == image_spec.DOCKER_MANIFEST
        wanted = self._how.manifest or ("v2s2" if is_docker and ZSTD not in self._forms else "oci")
        unchanged = self._packed == [(layer["digest"], layer["size"]) for layer in self.layers]
        if unchanged and is_docker == (wanted == "v2s2"):
            return own
        types = _DOCKER_LAYERS if wanted == "v2s2" else _OCI_LAYERS
        kind = image_spec.DOCKER_MANIFEST if wanted == "v2s2" else image_spec.OCI_MANIFEST
        config = image_spec.DOCKER_CONFIG if wanted == "v2s2" else image_spec.OCI_CONFIG
        layers = []
        for layer, (digest, size), form in zip(self.layers, self._packed, self._forms, strict=True):
            kept = {} if wanted == "v2s2" or not layer.get("annotations") else {"annotations": layer["annotations"]}
            layers.append({"mediaType": types[form], "digest": digest, "size": size, **kept})
        value: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {"mediaType": config, "digest": self.config["digest"], "size": self.config["size"]},
            "layers": layers,
        }
        if wanted == "oci" and own.value.get("annotations"):
            value["annotations"] = own.value["annotations"]
        body = json.dumps(value).encode()
        return Document(body, digests.of(body), kind, value)
