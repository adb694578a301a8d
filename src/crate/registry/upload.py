"""The pushing half of the OCI distribution specification: blobs and manifests into one repository.

    blob:  HEAD (is it there?) → POST ?mount= (another repository has it) → POST, PATCH…, PUT ?digest=

A manifest follows its blobs; where the tag stands for it already, nothing more is sent.

After a cut the server is asked how much it has (GET of the upload) and gets the rest; one that cannot tell, as
docker-registry in the midst of a PATCH, gets the blob anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from crate.errors import DigestError, RegistryError
from crate.registry.client import ACCEPT, credentials_for
from crate.registry.endpoint import endpoints
from crate.registry.failure import Interrupted, NotInRegistry, Refused, Rejected
from crate.registry.transport import Body, Patience, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import requests

    from crate.oci.reference import Reference
    from crate.registry.credentials import Credentials
    from crate.registry.endpoint import Settings

EXISTS, MOUNTED, SENT = "exists", "mounted", "sent"
_CHUNK = 32 << 20  # one request; what is smaller goes without PATCH
_CHUNK_MIN = 64 << 10
_MOUNTS_MAX = 3
_OCTETS = {"Content-Type": "application/octet-stream"}
_BEGIN_ANEW = (400, 404, 409, 416)  # what servers say of an upload that they lost, or that is elsewhere than we think


class Uploader:
    """One repository to push to. Safe for use by several threads."""

    def __init__(
        self,
        reference: Reference,
        settings: Settings,
        *,
        credentials: Credentials | None = None,
        authfile: str | None = None,
        tls_verify: bool | None = None,
        certificates: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        """As of crate.registry.client.Client. Mirrors are not for pushing."""
        self.reference = reference
        self._subject = f"push {reference}"
        self._chunk = _CHUNK
        endpoint = endpoints(reference, settings, tls_verify)[-1]
        self._path = endpoint.path
        self._scope = f"repository:{self._path}:pull,push"
        found = credentials_for(endpoint, credentials, authfile)
        self._transport = Transport(endpoint, settings, found, self._subject, patience or Patience(), certificates)

    def close(self) -> None:
        """Closes all connections, those in use as well."""
        self._transport.close()

    def has(self, digest: str) -> bool:
        """Is the blob in the repository?"""
        response = self._transport.request("HEAD", f"{self._path}/blobs/{digest}", self._scope, ok=(200, 404, 405))
        response.close()
        return response.status_code == 200

    def blob(
        self,
        digest: str,
        size: int,
        fd: int,
        *,
        elsewhere: Sequence[str] = (),
        sent: Callable[[int], object] | None = None,
    ) -> str:
        """Brings a blob there and says how: EXISTS, MOUNTED or SENT.

        `fd`: a file with its `size` bytes, read by position; `elsewhere`: repositories of this registry that may have
        it; `sent` is told how many more bytes are on their way (less than nothing when some have to be sent again).
        Raises RegistryError.
        """
        if self.has(digest):
            return EXISTS
        location = self._mount(digest, elsewhere)
        if location == "":
            return MOUNTED
        return _Upload(self, self._transport, digest, size, fd, sent or (lambda _: None)).run(location)

    def manifest(self, selector: str, body: bytes, media_type: str, digest: str) -> None:
        """Stores a manifest or index under a tag or its digest. Raises RegistryError, DigestError."""
        path = f"{self._path}/manifests/{selector}"
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self._transport.request_once(
                    "PUT", path, self._scope, {"Content-Type": media_type}, (200, 201, 202), body
                )
                break
            except Interrupted as error:
                self._transport.wait(attempt, error)
        response.close()
        told = response.headers.get("Docker-Content-Digest", digest)
        if told != digest:
            raise DigestError(f"cannot {self._subject}: the registry stored {told[:80]} instead of {digest}")

    def manifest_digest(self, selector: str) -> str:
        """The digest that a tag stands for now; "" where there is none, or the registry does not tell it."""
        path = f"{self._path}/manifests/{selector}"
        try:
            response = self._transport.request("HEAD", path, self._scope, {"Accept": ACCEPT}, (200, 404, 405))
        except (Refused, NotInRegistry, Rejected):
            return ""  # what matters is whether it takes a manifest
        response.close()
        return str(response.headers.get("Docker-Content-Digest", "")) if response.status_code == 200 else ""

    def _mount(self, digest: str, elsewhere: Sequence[str]) -> str | None:
        """The Location of an upload that a registry began instead, "" when the blob is there now, None for neither."""
        location = None
        for other in [name for name in dict.fromkeys(elsewhere) if name != self._path][:_MOUNTS_MAX]:
            if location is not None:
                self._cancel(location)
            path = f"{self._path}/blobs/uploads/?mount={quote(digest)}&from={quote(other)}"
            scope = f"{self._scope} repository:{other}:pull"
            try:
                response = self._transport.request("POST", path, scope, ok=(201, 202))
            except (Refused, NotInRegistry, Rejected):
                location = None  # the other repository is not for us
                continue
            response.close()
            if response.status_code == 201:
                return ""
            location = self._transport.located(response)
        return location

    def _cancel(self, location: str) -> None:
        try:
            self._transport.request_once("DELETE", location, self._scope, ok=(200, 202, 204)).close()
        except RegistryError:
            pass  # the registry sweeps what nobody finishes

    def _begin(self) -> requests.Response:
        return self._transport.request("POST", f"{self._path}/blobs/uploads/", self._scope, ok=(202,))

    def _recall_chunk(self, response: requests.Response) -> None:
        """A registry may tell the least size of a chunk."""
        least = response.headers.get("OCI-Chunk-Min-Length", "")
        if least.isdigit():
            self._chunk = max(self._chunk, min(int(least), 1 << 30))

    def _shrink(self) -> bool:
        """Goes on with smaller chunks; False when they are small enough."""
        if self._chunk <= _CHUNK_MIN:
            return False
        self._chunk = max(self._chunk // 4, _CHUNK_MIN)
        return True


class _Upload:
    """One blob on its way out. `_offset`: how much the server has, as far as we know."""

    def __init__(
        self, uploader: Uploader, transport: Transport, digest: str, size: int, fd: int, sent: Callable[[int], object]
    ) -> None:
        self._uploader = uploader
        self._transport = transport
        self._scope = uploader._scope
        self._digest = digest
        self._size = size
        self._fd = fd
        self._sent = sent
        self._location: str | None = None
        self._offset = 0
        self._told = 0

    def run(self, location: str | None) -> str:
        self._location = location
        attempt, furthest = 0, 0
        is_doubtful = False  # whether the server may know better than we what it has
        while True:
            try:
                if is_doubtful and self._is_whole():
                    return SENT
                self._go_on()
                return SENT
            except Interrupted as error:
                attempt = 1 if self._offset > furthest else attempt + 1
                furthest = max(furthest, self._offset)
                self._transport.wait(attempt, error)
            except (Rejected, NotInRegistry) as error:
                status = getattr(error, "status", 404)
                if not (status == 413 and self._uploader._shrink()) and not (is_doubtful and status in _BEGIN_ANEW):
                    raise
                attempt += 1
                if attempt > self._transport.patience.tries:
                    raise
                self._location = None
                self._tell(0)
                continue
            is_doubtful = True

    def _is_whole(self) -> bool:
        """Looks after a cut what the server has; True when the blob is complete there."""
        if self._uploader.has(self._digest):
            self._tell(self._size)
            return True
        if self._location is not None:
            response = self._transport.request_once("GET", self._location, self._scope, ok=(200, 204))
            response.close()
            self._advance(response, 0)
        return False

    def _go_on(self) -> None:
        if self._location is None:
            response = self._uploader._begin()
            response.close()
            self._uploader._recall_chunk(response)
            self._location = self._transport.located(response)
            self._offset = 0
        chunk = self._uploader._chunk
        if self._offset or self._size > chunk:
            while self._offset < self._size:
                self._patch(min(self._offset + chunk, self._size))
        rest: Body | bytes = b""
        if self._offset < self._size:
            rest = Body(self._fd, 0, self._size, self._count)
        mark = "&" if "?" in self._location else "?"
        url = f"{self._location}{mark}digest={quote(self._digest)}"
        self._transport.request_once("PUT", url, self._scope, _OCTETS, (200, 201, 204), rest).close()
        self._tell(self._size)

    def _patch(self, end: int) -> None:
        assert self._location is not None
        headers = {**_OCTETS, "Content-Range": f"{self._offset}-{end - 1}"}
        body = Body(self._fd, self._offset, end, self._count)
        response = self._transport.request_once("PATCH", self._location, self._scope, headers, (202, 204, 201), body)
        response.close()
        self._advance(response, end)

    def _advance(self, response: requests.Response, default: int) -> None:
        """Takes the next Location and the offset from an answer; `Range: 0-99` means a hundred bytes, `0-0` none."""
        assert self._location is not None
        if "Location" in response.headers:
            self._location = self._transport.located(response)
        last = response.headers.get("Range", "").removeprefix("bytes=").rpartition("-")[2]
        offset = int(last) + 1 if last.isdigit() and int(last) else (default if not last else 0)
        if offset > self._size:
            raise Interrupted(f"cannot {self._transport.subject}: registry {self._transport.host}: it has too much")
        self._offset = offset
        self._tell(offset)

    def _count(self, count: int) -> None:
        self._told += count
        self._sent(count)

    def _tell(self, offset: int) -> None:
        """Corrects what was told of the bytes on their way."""
        if offset != self._told:
            self._sent(offset - self._told)
            self._told = offset
