"""Requests to one server of a registry: its scheme found out, authorisation, redirects, another try after a failure."""

from __future__ import annotations

import os
import random
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
from urllib3.exceptions import HTTPError

from crate import __version__
from crate.errors import RegistryError
from crate.oci import digest as digests
from crate.registry import failure, tls
from crate.registry.auth import Authorizer
from crate.registry.endpoint import proxy_for
from crate.registry.failure import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from crate.registry.credentials import Credentials
    from crate.registry.endpoint import Endpoint, Settings

_REDIRECTS = 10
_PIECE = 256 << 10
_NOTICE_MAX = 256 << 10
_WAIT_MAX_SECONDS = 15.0
_BODY_PIECE = 64 << 10
_DIGESTING = 10  # times as long as usual may an answer to content take: it is checked, and moved, on the other side


class Body:
    """The content of a request: the bytes `start` to `end` of a file, read anew for each try."""

    def __init__(self, fd: int, start: int, end: int, sent: Callable[[int], object] | None = None) -> None:
        """`fd` stays the caller's; `sent` is told how many more bytes are on their way."""
        self._fd = fd
        self._start = start
        self._end = end
        self._sent = sent

    def __len__(self) -> int:
        return self._end - self._start

    def __iter__(self) -> Iterator[bytes]:
        position = self._start
        while position < self._end:
            piece = os.pread(self._fd, min(_BODY_PIECE, self._end - position), position)
            if not piece:
                return  # shorter than it was: the server sees that something is missing
            yield piece
            position += len(piece)
            if self._sent:
                self._sent(len(piece))


if TYPE_CHECKING:
    Content = Body | bytes | dict[str, str] | None


class Patience:
    """How long to wait: for a connection, for more of an answer, and before the next of so many tries."""

    __slots__ = ("connect_seconds", "pause_seconds", "read_seconds", "tries")

    def __init__(
        self,
        connect_seconds: float = 10.0,
        read_seconds: float = 30.0,
        tries: int = 5,
        pause_seconds: float = 0.3,
    ) -> None:
        self.connect_seconds = connect_seconds
        self.read_seconds = read_seconds
        self.tries = tries
        self.pause_seconds = pause_seconds

    def wait(self, attempt: int, error: Interrupted) -> None:
        """Sleeps before try number `attempt` (from 1), or raises `error` when there were enough."""
        if attempt >= self.tries:
            raise error
        seconds = self.pause_seconds * 2 ** (attempt - 1) * random.uniform(0.8, 1.2)
        if error.wait_seconds is not None:
            if error.wait_seconds > _WAIT_MAX_SECONDS:
                raise error
            seconds = max(seconds, error.wait_seconds)
        time.sleep(seconds)


class Transport:
    """One server. `subject` is what the user wanted, for messages: `pull docker.io/library/alpine:latest`."""

    def __init__(
        self,
        endpoint: Endpoint,
        settings: Settings,
        credentials: Credentials,
        subject: str,
        patience: Patience,
        certificates: str | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.host = endpoint.host
        self.subject = subject
        self.patience = patience
        self._settings = settings
        self._lock = threading.Lock()
        self._is_closed = False
        self._streams: set[requests.Response] = set()
        self._scheme = "" if len(endpoint.schemes) > 1 else endpoint.schemes[0]
        self._authorizer = Authorizer(credentials, endpoint.host, subject, endpoint.insecure, self._fetch_token)
        self._session = requests.Session()
        self._session.trust_env = False  # proxies, trust and credentials are decided here
        self._session.headers["User-Agent"] = f"crate/{__version__}"
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.mount("https://", tls.Trust(endpoint.host, endpoint.insecure, certificates))

    def close(self) -> None:
        """Closes the connections; threads that wait for one are woken and get a RegistryError."""
        self._is_closed = True
        for response in list(self._streams):
            _wake(response)
        self._session.close()

    def request(
        self, method: str, path: str, scope: str, headers: dict[str, str] | None = None, ok: tuple[int, ...] = (200,)
    ) -> requests.Response:
        """The answer to `method /v2/path`, with one of the `ok` statuses and its body still to be read.

        Tries again after passing failures. Raises RegistryError.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return self.request_once(method, path, scope, headers, ok)
            except Interrupted as error:
                self.wait(attempt, error)

    def request_once(
        self,
        method: str,
        path: str,
        scope: str,
        headers: dict[str, str] | None = None,
        ok: tuple[int, ...] = (200,),
        body: Body | bytes | None = None,
    ) -> requests.Response:
        """As `request`, without another try; `path` may be a whole URL, such as the server gave as Location."""
        if self._is_closed:
            raise self._closed()
        response = self._authorized(method, path, scope, headers or {}, body)
        if response.status_code in ok:
            return response
        raise failure.refusal(response, self.host, self.subject)

    def located(self, response: requests.Response) -> str:
        """The whole URL of the Location of an answer. Raises RegistryError where there is none that may be used.

        A server behind a proxy that ends TLS may name itself with http: what came by https goes on by https.
        """
        try:
            target = urljoin(response.url, response.headers["Location"])
            parts, own = urlsplit(target), urlsplit(response.url)
            if own.scheme == "https" and parts.scheme == "http" and parts.hostname == own.hostname:
                return urlunsplit(parts._replace(scheme="https", netloc=own.netloc))
            is_odd = parts.scheme not in ("http", "https") or "@" in parts.netloc
        except (KeyError, ValueError):
            is_odd = True
        if is_odd or (parts.scheme == "http" and own.scheme == "https"):
            raise RegistryError(f"cannot {self.subject}: registry {self.host}: it gives no usable Location")
        return target

    def wait(self, attempt: int, error: Interrupted) -> None:
        """As of Patience; raises `error` at once when we were closed."""
        if self._is_closed:
            raise error
        self.patience.wait(attempt, error)

    def read(self, response: requests.Response, limit: int) -> bytes:
        """The whole body, of at most `limit` bytes. Raises RegistryError when it is longer, Interrupted when cut."""
        pieces, size = [], 0
        for piece in self.pieces(response):
            size += len(piece)
            if size > limit:
                response.close()
                raise RegistryError(
                    f"cannot {self.subject}: registry {self.host}: its answer is larger than {limit} bytes"
                )
            pieces.append(piece)
        return b"".join(pieces)

    def pieces(self, response: requests.Response) -> Iterator[bytes]:
        """The body as it arrives, at most 256 KiB at a time. Raises Interrupted when it is cut."""
        self._streams.add(response)
        try:
            while not self._is_closed:
                # read1, not read: what has arrived counts even if the next byte never does.
                piece = response.raw.read1(_PIECE, decode_content=False)
                if not piece:
                    return
                yield piece
        except (HTTPError, OSError) as error:
            response.close()
            raise self._interrupted(error) from None
        finally:
            self._streams.discard(response)
        raise self._closed()

    def _closed(self) -> Interrupted:
        return Interrupted(f"cannot {self.subject}: registry {self.host}: the connection was closed")

    def _interrupted(self, error: Exception) -> RegistryError:
        explained = failure.unanswered(error, self.host, self.subject)
        return explained if isinstance(explained, Interrupted) else Interrupted(explained.message, explained.hint)

    def _authorized(
        self, method: str, path: str, scope: str, headers: dict[str, str], body: Body | bytes | None
    ) -> requests.Response:
        if "://" in path and _origin(path) != _origin(self._url(self._scheme, "")):
            return self._follow(method, path, headers, body)  # another server: it knows what it gave away
        sent = self._authorizer.current(scope)
        for is_last in (False, True):
            all_headers = headers if sent is None else {**headers, "Authorization": sent}
            response = self._to_server(method, path, all_headers, body)
            if response.status_code != 401 or is_last or not self._is_own(response):
                break  # a server that we were redirected to may not say who gets our password
            challenges = response.headers.get("WWW-Authenticate", "")
            self.read(response, _NOTICE_MAX)  # whole, or the header may be cut as well; and the connection stays usable
            sent = self._authorizer.answer(challenges, scope, sent)
        return response

    def _is_own(self, response: requests.Response) -> bool:
        return urlsplit(response.url).netloc.lower() == self.host.lower()

    def _to_server(
        self, method: str, path: str, headers: dict[str, str], body: Body | bytes | None
    ) -> requests.Response:
        if "://" in path:
            return self._follow(method, path, headers, body)
        if self._scheme:
            return self._follow(method, self._url(self._scheme, path), headers, body)
        with self._lock:
            if not self._scheme:
                return self._find_scheme(method, path, headers, body)
        return self._follow(method, self._url(self._scheme, path), headers, body)

    def _find_scheme(
        self, method: str, path: str, headers: dict[str, str], body: Body | bytes | None
    ) -> requests.Response:
        """Tries https, then http (only where the endpoint allows both) and keeps what answers."""
        schemes = self.endpoint.schemes
        for scheme in schemes:
            try:
                response = self._follow(method, self._url(scheme, path), headers, body)
            except RegistryError:
                if scheme == schemes[-1]:
                    raise
                continue
            self._scheme = scheme
            return response
        raise AssertionError("an endpoint has a scheme")

    def _url(self, scheme: str, path: str) -> str:
        """Of a path below `/v2/`, or of one that begins with a slash."""
        if path.startswith("/"):
            return f"{scheme}://{self.host}{self.endpoint.prefix}{path}"
        return f"{scheme}://{self.host}{self.endpoint.prefix}/v2/{path}"

    def _follow(self, method: str, url: str, headers: dict[str, str], content: Content = None) -> requests.Response:
        """One request and its redirects. Authorization stays with the origin that it was made for."""
        for _ in range(_REDIRECTS):
            response = self._send(method, url, headers, content)
            if not response.is_redirect or (method not in ("GET", "HEAD") and response.status_code not in (307, 308)):
                return response
            self.read(response, _NOTICE_MAX)
            try:
                target = urljoin(url, response.headers["Location"])
                is_elsewhere = _origin(target) != _origin(url)
            except ValueError as error:
                raise failure.unanswered(error, self.host, self.subject) from None
            if url.startswith("https:") and not target.startswith("https:") and not self._may_leave_tls(url):
                raise RegistryError(
                    f"cannot {self.subject}: registry {self.host}: it redirects from https to http",
                    f'only a registry that may be insecure is followed there: registries.insecure = ["{self.host}"]',
                )
            if is_elsewhere and isinstance(content, dict):
                raise self._refused_redirect(target)  # the form has a token in it
            if is_elsewhere:
                headers = {key: value for key, value in headers.items() if key != "Authorization"}
            url = target
        raise failure.unanswered(requests.exceptions.TooManyRedirects(), self.host, self.subject)

    def _may_leave_tls(self, url: str) -> bool:
        """May an answer come in the clear? What a digest proves may, and from a registry that is not trusted anyway."""
        return self.endpoint.insecure or digests.is_digest(urlsplit(url).path.rpartition("/")[2])

    def _send(self, method: str, url: str, headers: dict[str, str], content: Content) -> requests.Response:
        proxy = proxy_for(url, self._settings)
        patience = self.patience
        seconds = (patience.connect_seconds, patience.read_seconds)
        if method in ("PUT", "PATCH"):
            seconds = (patience.read_seconds, patience.read_seconds * _DIGESTING)
        data: Any = content
        try:
            request = self._session.prepare_request(requests.Request(method, url, headers=headers, data=data))
            # Not Session.send: it reads the whole body of a redirect, however long, and follows ~/.netrc.
            response = self._session.get_adapter(url).send(
                request,
                stream=True,
                proxies={"http": proxy, "https": proxy} if proxy else {},
                timeout=seconds,
            )
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise failure.unanswered(error, self.host, self.subject) from None
        if method != "HEAD" and not _has_end(response):
            response.close()
            raise Interrupted(f"cannot {self.subject}: registry {self.host}: the connection broke off")
        return response

    def _fetch_token(
        self, method: str, url: str, headers: dict[str, str], form: dict[str, str] | None, limit: int
    ) -> bytes:
        response = self._follow(method, url, headers, form)
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise self._refused_redirect(response.url)
        if response.status_code != 200:
            raise failure.refusal(response, self.host, self.subject)
        return self.read(response, limit)

    def _refused_redirect(self, target: str) -> RegistryError:
        place = "{0.scheme}://{0.hostname}".format(urlsplit(target))
        return RegistryError(
            f"cannot {self.subject}: registry {self.host}: its token service redirects to {failure.printable(place)}"
        )


def _wake(response: requests.Response) -> None:
    """Ends the connection under a thread that reads from it."""
    try:
        response.raw.shutdown()
    except Exception:  # it has ended already, or urllib3 is older than 2.3: its time limit ends it then
        pass


def _has_end(response: requests.Response) -> bool:
    """Do the headers say where the body ends? http.client takes a connection that is cut among them for their end."""
    headers = response.headers
    if response.status_code == 204:
        return True
    return "Content-Length" in headers or "Transfer-Encoding" in headers or headers.get("Connection") == "close"


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2].lower()
