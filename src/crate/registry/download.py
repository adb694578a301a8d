"""Downloading a file from any http or https server: what ADD, and a build context that is a URL, ask for.

Bounded in size, time and redirects; a redirect never leads from https to http, and what a URL has of a user's name and
password goes to no other server. Not for registries: see `client`.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import requests
from urllib3.exceptions import HTTPError

from crate import __version__
from crate.errors import RegistryError
from crate.registry import failure, tls
from crate.registry.endpoint import proxy_for
from crate.registry.failure import Interrupted
from crate.registry.transport import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crate.registry.endpoint import Settings

_REDIRECTS = 10
_PIECE = 256 << 10


class Downloaded:
    """What a server said of a file: the last part of its URL's path, its media type, its time (None when not told)."""

    __slots__ = ("media_type", "modified_seconds", "name", "size")

    def __init__(self, name: str, media_type: str, modified_seconds: int | None, size: int) -> None:
        self.name = name
        self.media_type = media_type
        self.modified_seconds = modified_seconds
        self.size = size


def shown(url: str) -> str:
    """A URL for messages: without the user's name and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def file_name(url: str) -> str:
    """The last part of a URL's path; "" when it has none."""
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    return "" if name in (".", "..") or "\0" in name or "/" in name else name


def download(
    url: str, write: Callable[[bytes], object], settings: Settings, *, limit: int, patience: Patience | None = None
) -> Downloaded:
    """Writes the body of `url` piece by piece. Raises RegistryError; it tries again as long as nothing was written."""
    patience = patience or Patience()
    attempt = 0
    while True:
        attempt += 1
        written = 0
        try:
            response, last = _open(url, settings, patience)
            try:
                for piece in _pieces(response, url):
                    written += len(piece)
                    if written > limit:
                        raise RegistryError(f"cannot download {shown(url)}: it is larger than {limit} bytes")
                    write(piece)
            finally:
                response.close()
            return Downloaded(file_name(last), response.headers.get("Content-Type", ""), _modified(response), written)
        except Interrupted as error:
            if written:
                raise
            patience.wait(attempt, error)


def _open(url: str, settings: Settings, patience: Patience) -> tuple[requests.Response, str]:
    """The answer with its body still to be read, and the URL that it came from after all redirects."""
    session = requests.Session()
    session.trust_env = False  # proxies and trust are decided here, and ~/.netrc is not for this
    session.headers["User-Agent"] = f"crate/{__version__}"
    session.headers["Accept-Encoding"] = "identity"
    session.mount("https://", tls.Trust("", False))
    first = url
    for _ in range(_REDIRECTS):
        response = _send(session, url, first, settings, patience)
        if not response.is_redirect:
            break
        location = response.headers["Location"]
        response.close()
        try:
            target = urljoin(url, location)
            old, new = urlsplit(url), urlsplit(target)
        except ValueError:
            raise RegistryError(f"cannot download {shown(first)}: it redirects to no URL") from None
        if new.scheme not in ("http", "https") or (old.scheme == "https" and new.scheme == "http"):
            raise RegistryError(f"cannot download {shown(first)}: it redirects to {new.scheme}://{new.hostname or ''}")
        url = target
    else:
        raise RegistryError(f"cannot download {shown(first)}: more than {_REDIRECTS} redirects")
    if response.status_code != 200:
        status = response.status_code
        response.close()
        message = f"cannot download {shown(first)}: the server answered with status {status}"
        raise Interrupted(message) if status in (408, 429, 500, 502, 503, 504) else RegistryError(message)
    return response, url


def _send(session: requests.Session, url: str, first: str, settings: Settings, patience: Patience) -> requests.Response:
    proxy = proxy_for(url, settings)
    try:
        request = session.prepare_request(requests.Request("GET", url))
        return session.get_adapter(url).send(
            request,
            stream=True,
            proxies={"http": proxy, "https": proxy} if proxy else {},
            timeout=(patience.connect_seconds, patience.read_seconds),
        )
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        raise _failed(first, error) from None


def _pieces(response: requests.Response, url: str) -> Iterator[bytes]:
    """The body as it arrives."""
    length = response.headers.get("Content-Length", "")
    left = int(length) if length.isdigit() else None
    try:
        while piece := response.raw.read1(_PIECE, decode_content=False):
            if left is not None:
                left -= len(piece)
            yield piece
    except (HTTPError, OSError) as error:
        raise _failed(url, error) from None
    if left:
        raise Interrupted(f"cannot download {shown(url)}: the connection broke off")


def _failed(url: str, error: Exception) -> RegistryError:
    words, is_passing = failure.reason(error)
    message = f"cannot download {shown(url)}: {words}"
    return Interrupted(message) if is_passing else RegistryError(message)


def _modified(response: requests.Response) -> int | None:
    try:
        return int(parsedate_to_datetime(response.headers["Last-Modified"]).timestamp())
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
