"""Where a push may go but for a registry: directories and archives, by the transports of containers-transports(5).

dir:PATH                   the manifest and its blobs as files
oci:PATH[:TAG]             an OCI image layout, to which the image is added
oci-archive:PATH[:TAG]     such a layout as a tar archive
docker-archive:PATH[:NAME] what `docker load` takes
"""

from __future__ import annotations

import os

from crate.errors import UsageError
from crate.oci import image_spec, json
from crate.oci import reference as references
from crate.storage import content
from crate.storage.durable import read_file, write_all, write_file
from crate.storage.tree.archive import TreeArchive
from crate.storage.tree.copy import copy_content

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.image.progress import Progress
    from crate.oci.document import Document
    from crate.oci.reference import Reference
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

_LAYOUT = '{"imageLayoutVersion":"1.0.0"}'
_REF_NAME = "org.opencontainers.image.ref.name"
_NOT_HERE = ("containers-storage", "docker-daemon", "ostree", "sif", "tarball")


class Destination:
    """What the words of a command mean: a transport and, for a registry, a complete reference."""

    def __init__(self, transport: str, path: str, name: str, reference: Reference) -> None:
        self.transport = transport
        self.path = path
        self.name = name
        self.reference = reference

    @property
    def is_local(self) -> bool:
        """Is it on this host?"""
        return self.transport != "docker"

    def open(self, roots: Roots, record: ImageRecord) -> Directory | Layout | Archive:
        """What takes the image. OSError."""
        if self.transport == "dir":
            return Directory(roots, self.path)
        if self.transport == "oci":
            return Layout(roots, self.path, self.name)
        return Archive(roots, self.path, self.name, self.transport == "docker-archive")


def parse(text: str) -> Destination:
    """`registry.example/app:1`, `docker://…`, `dir:/tmp/x`, `oci:layout:tag`. UsageError."""
    transport, _, rest = text.partition(":")
    if transport in _NOT_HERE:
        raise UsageError(
            f"cannot push to {text}: {transport} is not supported", f"one of: docker://, {', '.join(_LOCAL)}"
        )
    if transport not in _LOCAL:
        return Destination("docker", "", "", references.parse(text.removeprefix("docker://")))
    path, colon, name = rest.partition(":")
    if transport == "dir":
        path, name = rest, ""
    if not path or (colon and not name and transport != "dir"):
        raise UsageError(f"cannot push to {text}: no path", f"{transport}:PATH")
    return Destination(transport, path, name, references.Reference("", ""))


_LOCAL = ("dir", "oci", "oci-archive", "docker-archive")


class Directory:
    """`dir:`: each blob under its hexadecimal digits."""

    def __init__(self, roots: Roots, path: str) -> None:
        self._roots = roots
        self._path = path
        os.makedirs(path, exist_ok=True)

    def look(self) -> None:
        """What is there is written anew."""

    def blob(self, stored: str, digest: str, size: int, progress: Progress) -> None:
        copy_blob(self._roots, digest, f"{self._path}/{digest.partition(':')[2]}")
        progress.received(stored, size)
        progress.done(stored)

    def finish(self, document: Document) -> None:
        write_file(None, f"{self._path}/version", "Directory Transport Version: 1.1\n", durable=False, mode=0o644)
        write_file(None, f"{self._path}/manifest.json", document.body, durable=False, mode=0o644)

    def close(self) -> None:
        """Nothing is open."""


class Layout:
    """`oci:`: an image layout, made or added to."""

    def __init__(self, roots: Roots, path: str, name: str) -> None:
        self._roots = roots
        self._path = path
        self._name = name
        os.makedirs(f"{path}/blobs/sha256", exist_ok=True)

    def look(self) -> None:
        """What is there is written anew."""

    def blob(self, stored: str, digest: str, size: int, progress: Progress) -> None:
        target = f"{self._path}/blobs/{digest.replace(':', '/')}"
        if os.path.exists(target) and os.path.getsize(target) == size:
            progress.exists(stored)
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        copy_blob(self._roots, digest, target)
        progress.received(stored, size)
        progress.done(stored)

    def finish(self, document: Document) -> None:
        target = f"{self._path}/blobs/{document.digest.replace(':', '/')}"
        write_file(None, target, document.body, durable=False, mode=0o644)
        write_file(None, f"{self._path}/oci-layout", _LAYOUT, durable=False, mode=0o644)
        write_file(None, f"{self._path}/index.json", json.dumps(self._index(document)), durable=False, mode=0o644)

    def _index(self, document: Document) -> dict[str, Any]:
        try:
            index = json.loads(read_file(f"{self._path}/index.json"))
            there = list(index["manifests"])
        except FileNotFoundError:
            there, index = [], {"schemaVersion": 2, "mediaType": image_spec.OCI_INDEX}
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"cannot push to oci:{self._path}: its index.json is malformed") from None
        entry = _descriptor(document, self._name)
        kept = [one for one in there if _name_of(one) != self._name or (not self._name and one != entry)]
        return {**index, "manifests": [*kept, entry]}

    def close(self) -> None:
        """Nothing is open."""


class Archive:
    """`oci-archive:` and `docker-archive:`: a layout beside the target, then one tar archive of it in its place."""

    def __init__(self, roots: Roots, path: str, name: str, is_docker: bool) -> None:
        if os.path.exists(path) and not os.path.isfile(path):
            raise UsageError(f"cannot push to {path}: it is no regular file")
        self._path = path
        self._name = name
        self._names = [str(references.parse(name))] if is_docker and name else []
        self._is_docker = is_docker
        self._roots = roots
        self._sizes: dict[str, int] = {}

    def look(self) -> None:
        """What is there is written anew."""

    def blob(self, stored: str, digest: str, size: int, progress: Progress) -> None:
        self._sizes[digest] = size  # the archive wants them one after the other, sorted
        progress.received(stored, size)
        progress.done(stored)

    def finish(self, document: Document) -> None:
        temporary, fd = _create_beside(self._path)
        try:
            archive = TreeArchive(lambda data: write_all(fd, data))
            for digest in sorted([*self._sizes, document.digest]):
                name = f"blobs/{digest.replace(':', '/')}"
                if digest == document.digest:
                    archive.add_bytes(name, document.body)
                    continue
                blob_fd = content.open_blob(self._roots, digest)
                try:
                    archive.add_plain(name, blob_fd)
                finally:
                    os.close(blob_fd)
            index = {"schemaVersion": 2, "mediaType": image_spec.OCI_INDEX}
            index["manifests"] = [_descriptor(document, next(iter(self._names), self._name))]
            archive.add_bytes("index.json", json.dumps(index).encode())
            if self._is_docker:
                archive.add_bytes("manifest.json", json.dumps([docker_entry(document, self._names)]).encode())
            archive.add_bytes("oci-layout", _LAYOUT.encode())
            archive.finish()
            os.rename(temporary, self._path)
        except BaseException:
            os.unlink(temporary)
            raise
        finally:
            os.close(fd)

    def close(self) -> None:
        """Nothing is open."""


def copy_blob(roots: Roots, digest: str, path: str) -> None:
    """Copies a blob of the store to a path, where it appears whole."""
    source_fd = content.open_blob(roots, digest)
    try:
        temporary, target_fd = _create_beside(path)
        try:
            copy_content(source_fd, target_fd, os.fstat(source_fd).st_size)
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)


def _create_beside(path: str) -> tuple[str, int]:
    """A new file that will be renamed to `path`, and its descriptor."""
    temporary = f"{os.path.dirname(path) or '.'}/.{os.urandom(8).hex()}"
    return temporary, os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)


def _descriptor(document: Document, name: str) -> dict[str, Any]:
    one: dict[str, Any] = {"mediaType": document.media_type, "digest": document.digest, "size": len(document.body)}
    return {**one, "annotations": {_REF_NAME: name}} if name else one


def _name_of(entry: object) -> str:
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    return str(annotations.get(_REF_NAME) or "") if isinstance(annotations, dict) else ""


def docker_entry(document: Document, names: list[str]) -> dict[str, Any]:
    """An image in the manifest.json of docker's archives."""
    return {
        "Config": f"blobs/{document.value['config']['digest'].replace(':', '/')}",
        "RepoTags": names or None,
        "Layers": [f"blobs/{layer['digest'].replace(':', '/')}" for layer in document.value.get("layers") or ()],
    }
