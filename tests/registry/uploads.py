"""A registry to push to that keeps to the distribution specification to the letter, and fails where it is told to."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class UploadServer:
    """`blobs` by digest, `manifests` by path, `requests` as (method, path, headers in lower case, bytes of the body).

    `cuts`: after how many bytes of the content each of the next PATCH and PUT requests is cut, what came being kept;
    `statuses`: what the next of them are answered with instead; `limit`: the longest content that is taken (413);
    `relative`: Locations without a host; `forgets`: an upload that was cut is gone; `mounts`: digests that other
    repositories have; `tokens`: what is called before each request and says whether its Authorization is good.
    """

    def __init__(self, **options: Any) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.uploads: dict[str, bytearray] = {}
        self.requests: list[tuple[str, str, dict[str, str], int]] = []
        self.cuts: list[int] = options.get("cuts", [])
        self.statuses: list[tuple[int, dict[str, str]]] = options.get("statuses", [])
        self.limit: int = options.get("limit", 1 << 40)
        self.location: str = options.get("location", "")
        self.forgets: bool = options.get("forgets", False)
        self.mounts: set[str] = options.get("mounts", set())
        self.tokens: Any = options.get("tokens")
        self.more: dict[str, str] = options.get("more", {})
        handler = type("Handler", (_Handler,), {"state": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stops it."""
        self._server.shutdown()
        self._server.server_close()

    def sent(self, *methods: str) -> int:
        """The bytes of content that came by these methods."""
        return sum(size for method, _, _, size in self.requests if method in methods)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: UploadServer

    def _any(self) -> None:
        state, parts = self.state, urlsplit(self.path)
        headers = {key.lower(): value for key, value in self.headers.items()}
        length = int(headers.get("content-length", 0))
        record: list[Any] = [self.command, self.path, headers, 0]
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        number = parts.path.rpartition("/")[2]
        is_content = self.command in ("PATCH", "PUT") and "/uploads/" in parts.path
        if state.tokens and not state.tokens(headers.get("authorization", "")):
            state.requests.append((self.command, self.path, headers, 0))
            self.close_connection = True
            realm = f'Bearer realm="http://{state.address}/token",service="s",scope="repository:some/image:pull,push"'
            self._answer(401, {"WWW-Authenticate": realm})
            return
        if is_content and state.statuses:
            status, more = state.statuses.pop(0)
            state.requests.append((self.command, self.path, headers, 0))
            self.close_connection = True
            self._answer(status, more)
            return
        if length > state.limit and is_content:
            state.requests.append((self.command, self.path, headers, 0))
            self.close_connection = True
            self._answer(413, {})
            return
        cut = state.cuts.pop(0) if is_content and length and state.cuts else None
        body = self.rfile.read(length if cut is None else min(cut, length))
        record[3] = len(body)
        state.requests.append(tuple(record))
        if is_content and number in state.uploads:
            start = headers.get("content-range", "").partition("-")[0]
            if start and int(start) != len(state.uploads[number]):
                self._answer(416, {})
                return
            state.uploads[number] += body
        if cut is not None:
            if state.forgets:
                state.uploads.pop(number, None)
            self.close_connection = True
            self.connection.close()
            return
        self._answer(*self._act(parts.path, number, query, body))

    def _act(self, path: str, number: str, query: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        state = self.state
        if "/uploads/" in path:
            if self.command == "POST":
                if query.get("mount") in state.mounts:
                    state.blobs[query["mount"]] = b""
                    return 201, {"Location": "/there"}
                number = str(len(state.requests))
                state.uploads[number] = bytearray()
                return 202, {**self._where(path, number), **state.more}
            if number not in state.uploads:
                return 404, {}
            if self.command == "DELETE":
                del state.uploads[number]
                return 204, {}
            if self.command == "PUT":
                content = bytes(state.uploads.pop(number))
                digest = "sha256:" + hashlib.sha256(content).hexdigest()
                if digest != query["digest"]:
                    return 400, {}
                state.blobs[digest] = content
                return 201, {"Location": "/there"}
            size = len(state.uploads[number])
            told = {"Range": f"0-{max(size - 1, 0)}", **self._where(path.rpartition("/")[0] + "/", number)}
            return (202 if self.command == "PATCH" else 204), told
        if "/blobs/" in path:
            return (200 if number in state.blobs else 404), {}
        if "/manifests/" in path and self.command == "PUT":
            state.manifests[path] = body
            return 201, {"Docker-Content-Digest": "sha256:" + hashlib.sha256(body).hexdigest()}
        return 404, {}

    def _where(self, path: str, number: str) -> dict[str, str]:
        base = self.state.location.format(path=path) or f"http://{self.state.address}{path}"
        return {"Location": f"{base}{number}?state=x"}

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _any

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""
