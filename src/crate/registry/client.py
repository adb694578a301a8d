"""The pulling half of the OCI distribution specification: manifests, blobs and tags of one repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crate.errors import DigestError, ImageError, RegistryError
from crate.oci import digest as digests
from crate.oci import image_spec
from crate.oci.document import read_document, read_object
from crate.oci.reference import Reference
from crate.registry import credentials as credential_files
from crate.registry import failure
from crate.registry.credentials import Credentials
from crate.registry.endpoint import endpoints
from crate.registry.failure import Interrupted
from crate.registry.transport import Patience, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from crate.oci.document import Document
    from crate.registry.endpoint import Endpoint, Settings

    Result = TypeVar("Result")

#: every kind of manifest that crate knows
ACCEPT = ", ".join((*image_spec.INDEXES, *image_spec.MANIFESTS, *image_spec.SCHEMA1))
_PAGE_MAX = 4 << 20
_PAGES_MAX = 1000
_PAGES_TOGETHER_MAX = 64 << 20


class Client:
    """One repository in one registry, its mirrors tried first. Safe for use by several threads."""

    def __init__(
        self,
        reference: Reference,
        settings: Settings,
        *,
        verb: str = "pull",
        credentials: Credentials | None = None,
        authfile: str | None = None,
        tls_verify: bool | None = None,
        certificates: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        """`verb` begins the messages. The options of the command line: `credentials`, `authfile`, `tls_verify`, and
        `certificates`, a directory with `*.crt`, `*.cert` and `*.key` for this registry.
        """
        self.reference = reference
        self._subject = f"{verb} {reference}".rstrip("/")
        # A mirror is another party: the registry's credentials are not for it.
        self._transports = [
            Transport(
                endpoint,
                settings,
                credentials_for(endpoint, credentials, authfile),
                self._subject,
                patience or Patience(),
                None if endpoint.is_mirror else certificates,
            )
            for endpoint in endpoints(reference, settings, tls_verify)
        ]

    def close(self) -> None:
        """Closes all connections, those in use as well: whoever waits for bytes gets a RegistryError."""
        for transport in self._transports:
            transport.close()

    def ping(self) -> None:
        """Raises RegistryError unless the registry itself answers, with these credentials."""
        self._transports[-1].request("GET", "", "").close()

    def manifest(self, selector: str | None = None) -> Document:
        """The manifest or index under a tag or digest (the reference's own by default); a digest is checked.

        Raises RegistryError, DigestError, and ImageError for what is no manifest that crate knows.
        """
        wanted = selector or self.reference.selector
        return self._of_any(lambda transport: self._manifest(transport, wanted))

    def digest(self, selector: str | None = None) -> str:
        """The digest that a tag has now, without fetching its manifest where the registry tells it."""
        wanted = selector or self.reference.selector

        def ask(transport: Transport) -> str:
            path = f"{transport.endpoint.path}/manifests/{wanted}"
            response = transport.request("HEAD", path, _scope(transport), {"Accept": ACCEPT}, ok=(200, 404, 405))
            response.close()
            told = response.headers.get("Docker-Content-Digest", "")
            if response.status_code == 200 and digests.is_digest(told):
                return told
            return self._manifest(transport, wanted).digest

        return self._of_any(ask)

    def blob(self, digest: str, size: int, write: Callable[[bytes], object], start: int = 0) -> None:
        """Hands the bytes `start` to `size` of a blob to `write`, in order and each once, whatever happens on the way.

        A cut connection is continued where it broke off, with another server if need be. The digest is the sink's
        to check. Raises RegistryError; what `write` raises passes through.
        """
        progress = _Progress(size, write, start)
        self._of_any(lambda transport: self._blob(transport, digest, progress))

    def small_blob(self, digest: str, size: int, limit: int) -> bytes:
        """A blob of at most `limit` bytes as a whole, its digest checked. Raises RegistryError, ImageError."""
        if not 0 <= size <= limit:
            raise ImageError(f"cannot {self._subject}: {digest} claims {size} bytes where {limit} are the most")
        pieces: list[bytes] = []
        self.blob(digest, size, pieces.append)
        content = b"".join(pieces)
        _check(content, digest, self._subject)
        return content

    def tags(self) -> list[str]:
        """All tags of the repository, in the registry's order."""
        return self._of_any(self._tags)

    def _of_any(self, ask: Callable[[Transport], Result]) -> Result:
        """The answer of the first server that has one; the error is that of the registry itself, which comes last."""
        for transport in self._transports[:-1]:
            try:
                return ask(transport)
            except (RegistryError, ImageError):
                continue
        return ask(self._transports[-1])

    def _manifest(self, transport: Transport, wanted: str) -> Document:
        path = f"{transport.endpoint.path}/manifests/{wanted}"
        attempt = 0
        while True:
            attempt += 1
            response = transport.request("GET", path, _scope(transport), {"Accept": ACCEPT})
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if media_type == "text/html":
                response.close()
                raise failure.web_page(transport.host, self._subject)
            try:
                body = transport.read(response, image_spec.MANIFEST_SIZE_MAX)
                break
            except Interrupted as error:
                transport.wait(attempt, error)
        if digests.is_digest(wanted):
            _check(body, wanted, f"{self._subject}: registry {transport.host}")
            return read_document(body, wanted, media_type, self._subject)
        return read_document(body, digests.of(body), media_type, self._subject)

    def _blob(self, transport: Transport, digest: str, progress: _Progress) -> None:
        path = f"{transport.endpoint.path}/blobs/{digest}"
        attempt = 0
        while not progress.is_complete:
            before = progress.received
            headers = {"Range": f"bytes={before}-"} if before else {}
            try:
                response = transport.request("GET", path, _scope(transport), headers, ok=(200, 206))
                try:
                    self._stream(transport, response, progress)
                finally:
                    response.close()
            except Interrupted as error:
                attempt = 1 if progress.received > before else attempt + 1
                transport.wait(attempt, error)

    def _stream(self, transport: Transport, response: Any, progress: _Progress) -> None:
        skip = 0
        if response.status_code == 206:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {progress.received}-"):
                raise RegistryError(f"cannot {self._subject}: registry {transport.host}: it sent another range")
        else:
            skip = progress.received  # a server without ranges begins anew
        if "html" in response.headers.get("Content-Type", "").lower():
            raise failure.web_page(transport.host, self._subject)
        for piece in transport.pieces(response):
            if skip >= len(piece):
                skip -= len(piece)
                continue
            if not progress.add(piece[skip:] if skip else piece):
                raise ImageError(
                    f"cannot {self._subject}: registry {transport.host}: a blob is longer than its manifest says"
                )
            skip = 0
        if not progress.is_complete:
            raise Interrupted(f"cannot {self._subject}: registry {transport.host}: the connection broke off")

    def _tags(self, transport: Transport) -> list[str]:
        found: list[str] = []
        for document in pages(transport, f"{transport.endpoint.path}/tags/list", _scope(transport)):
            tags = document.get("tags")
            found += [str(tag) for tag in tags] if isinstance(tags, list) else []
        return found


def pages(transport: Transport, path: str, scope: str) -> Iterator[dict[str, Any]]:
    """The objects of a list that comes in pages (distribution-spec, `Link` with `rel="next"`). Raises RegistryError."""
    first, left = path, _PAGES_TOGETHER_MAX
    for _ in range(_PAGES_MAX):
        response = transport.request("GET", path, scope)
        following = response.links.get("next", {}).get("url", "")
        body = transport.read(response, min(_PAGE_MAX, left))
        left -= len(body)
        document = read_object(body)
        if document is None:
            raise failure.web_page(transport.host, transport.subject)
        yield document
        query = following.partition("?")[2]
        if not query:
            return
        path = f"{first}?{query}"


def credentials_for(endpoint: Endpoint, given: Credentials | None, authfile: str | None) -> Credentials:
    """What a server gets: the credentials that were given only if it is the registry itself."""
    if given and not endpoint.is_mirror:
        return given
    return credential_files.find(Reference(endpoint.name, endpoint.path), authfile) if endpoint.name else Credentials()


def _scope(transport: Transport) -> str:
    return f"repository:{transport.endpoint.path}:pull"


class _Progress:
    """How far a blob has come, over all tries and servers."""

    __slots__ = ("received", "size", "write")

    def __init__(self, size: int, write: Callable[[bytes], object], start: int) -> None:
        self.size = size
        self.received = start
        self.write = write

    @property
    def is_complete(self) -> bool:
        return self.received >= self.size

    def add(self, piece: bytes) -> bool:
        """Passes a piece on; False when it is more than the blob has."""
        if self.received + len(piece) > self.size:
            return False
        self.write(piece)
        self.received += len(piece)
        return True


def _check(content: bytes, digest: str, subject: str) -> None:
    algorithm, _ = digests.split(digest)
    found = digests.of(content, algorithm)
    if found != digest:
        raise DigestError(f"cannot {subject}: content of {digest} has the digest {found}")
