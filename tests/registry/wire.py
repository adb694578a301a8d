"""Real sockets for the registry tests: a TCP proxy that cuts connections, and a server that says what it is told."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from crate.registry.transport import Patience

HASTY = Patience(connect_seconds=30.0, read_seconds=30.0, tries=4, pause_seconds=0.01)


class Fixed:
    """Settings from a dictionary; nothing else is set."""

    def __init__(self, **values: Any) -> None:
        self.values = {f"registries.{key}": value for key, value in values.items()}

    def get(self, key: str) -> Any:
        """The value, or None."""
        return self.values.get(key)


class CuttingProxy:
    """Passes connections on to `target` (`host:port`) and cuts each after so many bytes of the answers.

    `cuts`: one number a connection, None for a connection that lives, the last one for all that follow; `cuts_up`: the
    same for the bytes of the requests. `reset`: cut with RST instead of FIN. `hang`: keep the connection, but pass
    nothing more.
    """

    def __init__(
        self,
        target: str,
        cuts: Iterable[int | None] = (None,),
        reset: bool = False,
        hang: bool = False,
        cuts_up: Iterable[int | None] = (None,),
    ) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._cuts: Iterator[int | None] = iter(cuts)
        self._cuts_up: Iterator[int | None] = iter(cuts_up)
        self._last: int | None = None
        self._last_up: int | None = None
        self._reset = reset
        self._hang = hang
        self.connections = 0
        self.passed = 0
        self.passed_up = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Takes no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                self._last = next(self._cuts, self._last)
                self._last_up = next(self._cuts_up, self._last_up)
                server = socket.create_connection(self._target)
                cuts = (client, server, self._last, self._last_up)
                threading.Thread(target=self._serve, args=cuts, daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket, left: int | None, left_up: int | None) -> None:
        """One thread for both ways: a socket that another thread reads from is not reset by its closing."""
        with client, server, contextlib.suppress(OSError):
            while True:
                ready, _, _ = select.select([client, server], [], [])
                if client in ready:
                    data = client.recv(65536)[:left_up]
                    if not data:
                        return
                    server.sendall(data)
                    self.passed_up += len(data)
                    if left_up is not None:
                        left_up -= len(data)
                        if left_up == 0:
                            return
                if server in ready:
                    data = server.recv(65536)[:left]
                    client.sendall(data)
                    self.passed += len(data)
                    if left is not None:
                        left -= len(data)
                    if left == 0 and self._reset:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    if left == 0 and self._hang:
                        client.recv(1)
                    if left == 0 or not data:
                        return


Answer = tuple[int, dict[str, str], bytes]


class Scripted:
    """An HTTP server on a free loopback port. `answer(method, path, headers)` says what it answers.

    `requests` keeps (method, path, headers) of all that came, in order.
    """

    def __init__(self, answer: Callable[[str, str, dict[str, str]], Answer]) -> None:
        seen: list[tuple[str, str, dict[str, str]]] = []
        self.requests = seen

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                headers = {key.lower(): value for key, value in self.headers.items()}
                length = int(headers.get("content-length", 0))
                if length:
                    headers["body"] = self.rfile.read(length).decode(errors="replace")
                seen.append((self.command, self.path, headers))
                status, more, body = answer(self.command, self.path, headers)
                self.send_response(status)
                for key, value in more.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _any

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client may hang up at any time: that is what these tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stops it."""
        self._server.shutdown()
        self._server.server_close()
