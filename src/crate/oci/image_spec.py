"""The OCI image-spec 1.1 and docker's image manifest v2 schema 2 as types, with their media types.

The classes exist for the type checker only: a TypedDict made at run time would import `typing`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class PlatformJson(TypedDict, total=False):
        """`platform` of an index entry (image-index.md)."""

        architecture: str
        os: str
        variant: str

    class Descriptor(TypedDict, total=False):
        """What points at content (descriptor.md): `size` in bytes as stored."""

        mediaType: str
        digest: str
        size: int
        urls: list[str]
        annotations: dict[str, str]
        platform: PlatformJson
        artifactType: str

    class Manifest(TypedDict, total=False):
        """An image manifest (manifest.md; docker's schema 2 has the same members)."""

        schemaVersion: int
        mediaType: str
        config: Descriptor
        layers: list[Descriptor]
        annotations: dict[str, str]

    class Index(TypedDict, total=False):
        """An image index or docker's manifest list (image-index.md)."""

        schemaVersion: int
        mediaType: str
        manifests: list[Descriptor]
        annotations: dict[str, str]

    class RootFS(TypedDict, total=False):
        """`rootfs` of a config: the digests of the uncompressed layers, lowest first."""

        type: str
        diff_ids: list[str]

    class History(TypedDict, total=False):
        """One entry of a config's `history`."""

        created: str
        created_by: str
        author: str
        comment: str
        empty_layer: bool

    class Healthcheck(TypedDict, total=False):
        """Docker's health check, times in nanoseconds."""

        Test: list[str]
        Interval: int
        Timeout: int
        StartPeriod: int
        StartInterval: int
        Retries: int

    class ContainerConfig(TypedDict, total=False):
        """`config` of an image config: the defaults of its containers (config.md)."""

        User: str
        ExposedPorts: dict[str, dict[str, object]]
        Env: list[str]
        Entrypoint: list[str] | None
        Cmd: list[str] | None
        Volumes: dict[str, dict[str, object]]
        WorkingDir: str
        Labels: dict[str, str]
        StopSignal: str
        Healthcheck: Healthcheck
        Shell: list[str]
        OnBuild: list[str]

    class ImageConfig(TypedDict, total=False):
        """The image config (config.md). `created` is RFC 3339."""

        created: str
        author: str
        architecture: str
        variant: str
        os: str
        config: ContainerConfig
        rootfs: RootFS
        history: list[History]
        comment: str
        docker_version: str


OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = f"{OCI_LAYER}+gzip"
OCI_LAYER_ZSTD = f"{OCI_LAYER}+zstd"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

INDEXES = (OCI_INDEX, DOCKER_LIST)
MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
SCHEMA1 = (DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED)

# The distribution specification asks registries to take manifests of four mebibytes: a larger one is an attack.
MANIFEST_SIZE_MAX = 4 << 20
CONFIG_SIZE_MAX = 4 << 20
