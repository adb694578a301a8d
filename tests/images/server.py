"""Debian's docker-registry on a free loopback port: the registry of the tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PROGRAM = "docker-registry"


class Registry:
    """A running registry. `address` is `127.0.0.1:PORT`, `storage` its directory, `log` the file of its output."""

    def __init__(
        self,
        storage: Path,
        *,
        users: dict[str, str] | None = None,
        tls: tuple[Path, Path] | None = None,
        access_log: bool = False,
        tokens: tuple[str, Path] | None = None,
    ) -> None:
        """Starts it over `storage` (made if missing). `users`: name to password; `tls`: certificate, key.

        With `access_log` every request is a line of `log`. `tokens`: the realm of a token service, and the certificate
        that its tokens are signed for; service and issuer are `tests`.
        """
        self._tokens = tokens
        self._access_log = access_log
        storage.mkdir(parents=True, exist_ok=True)
        self.storage = storage
        self.log = storage.parent / f"{storage.name}.log"
        self.scheme = "https" if tls else "http"
        for attempt in range(5):
            self.address = f"127.0.0.1:{_free_port()}"
            config = storage.parent / f"{storage.name}.yml"
            config.write_text(self._config(users, tls))
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(
                    [PROGRAM, "serve", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
                )  # fmt: skip
            if self._answers():
                return
            self.stop()
            if attempt == 4:
                raise RuntimeError(f"{PROGRAM} does not start:\n{self.log.read_text()[-2000:]}")

    def _config(self, users: dict[str, str] | None, tls: tuple[Path, Path] | None) -> str:
        lines = [
            "version: 0.1",
            f"log: {{level: warn, accesslog: {{disabled: {str(not self._access_log).lower()}}}}}",
            "storage:",
            "  delete: {enabled: true}",
            f"  filesystem: {{rootdirectory: {self.storage}, maxthreads: 100}}",
            "http:",
            f"  addr: {self.address}",
        ]
        if tls:
            lines.append(f"  tls: {{certificate: {tls[0]}, key: {tls[1]}}}")
        if users:
            passwords = self.storage.parent / f"{self.storage.name}.htpasswd"
            passwords.write_text("".join(f"{name}:{_bcrypt(password)}\n" for name, password in users.items()))
            lines.append(f"auth: {{htpasswd: {{realm: tests, path: {passwords}}}}}")
        if self._tokens:
            realm, bundle = self._tokens
            lines.append(
                f"auth: {{token: {{realm: {realm}, service: tests, issuer: tests, rootcertbundle: {bundle}}}}}"
            )
        return "\n".join(lines) + "\n"

    def _answers(self) -> bool:
        """Whether the port of our own child (not of a stranger who was faster) takes connections within 20 s."""
        host, _, port = self.address.partition(":")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
                time.sleep(0.05)
                return self.process.poll() is None
            time.sleep(0.02)
        return False

    def requests(self, method: str, words: str) -> int:
        """How many requests of a method with these words in their path the access log has."""
        lines = self.log.read_text(errors="replace").splitlines()
        return sum(f'"{method} ' in line and words in line for line in lines)

    def stop(self) -> None:
        """Ends it; the storage stays."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def reference(self, name: str) -> str:
        """`busybox` → `127.0.0.1:PORT/busybox:latest`."""
        repository, _, tag = name.partition(":")
        return f"{self.address}/{repository}:{tag or 'latest'}"

    def push(self, layout: Path, name: str, *options: str) -> str:
        """Pushes image `name` (as its layout names it) with skopeo and returns its reference here."""
        target = self.reference(name)
        command = ["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", *options]
        done = subprocess.run(
            [*command, f"oci:{layout}:{name}", f"docker://{target}"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"cannot push {name}: {done.stderr.strip()}")
        return target

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """One plain HTTP request below `/v2/`: status and body."""
        request = urllib.request.Request(f"http://{self.address}/v2/{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


def copy_storage(source: Path, target: Path) -> None:
    """A storage of one's own: blobs, which are never written again, as links where possible, the rest as copies."""

    def place(name: str, destination: str) -> Any:
        if name.endswith("/data") and "/blobs/" in name:
            try:
                return os.link(name, destination)
            except OSError:
                pass
        return shutil.copy2(name, destination)

    shutil.copytree(source, target, copy_function=place, dirs_exist_ok=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _bcrypt(password: str) -> str:
    """The only hash that the registry takes, from libcrypt through perl-base, which every Debian has."""
    salt = "$2y$05$" + "abcdefghijklmnopqrstuu"
    return subprocess.run(
        ["perl", "-e", "print crypt($ARGV[0], $ARGV[1])", password, salt], check=True, capture_output=True, text=True
    ).stdout
