"""docker-registry behind a token service of ours: what is asked for, what a user may do, tokens that end."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from images.cache import family
from images.server import Registry, copy_storage
from program import Crate
from registry.wire import Answer, Scripted

pytestmark = pytest.mark.requires("root", "overlay", "registry", "skopeo", "busybox")


class TokenService:
    """Gives tokens to `me` with password `secret`: everything below `team/`, and pulls of all else.

    `scopes` keeps what was asked for; `seconds` is how long a token is good for.
    """

    def __init__(self, place: Path) -> None:
        self.key, self.certificate = place / "key.pem", place / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.certificate,
             "-days", "2", "-subj", "/CN=tests"],
            check=True, capture_output=True,
        )  # fmt: skip
        self.scopes: list[list[str]] = []
        self.seconds = 300
        self.server = Scripted(self.give)

    def give(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        wanted = [scope for words in parse_qs(urlsplit(path).query).get("scope", []) for scope in words.split()]
        self.scopes.append(sorted(wanted))  # a registry lists them in any order
        is_me = headers.get("authorization") == "Basic " + base64.b64encode(b"me:secret").decode()
        if headers.get("authorization") and not is_me:
            return 401, {}, b'{"details": "incorrect username or password"}'
        access = []
        for scope in wanted:
            kind, name, actions = scope.split(":")
            allowed = [one for one in actions.split(",") if one == "pull" or (is_me and name.startswith("team/"))]
            access.append({"type": kind, "name": name, "actions": allowed})
        body = {"token": self.token(access), "expires_in": self.seconds}
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()

    def token(self, access: list[dict[str, Any]]) -> str:
        der = subprocess.run(
            ["openssl", "x509", "-in", self.certificate, "-outform", "der"], check=True, capture_output=True
        ).stdout
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        claims = {"iss": "tests", "sub": "me", "aud": "tests", "exp": now + self.seconds, "nbf": now - 5, "iat": now,
                  "jti": str(now), "access": access}  # fmt: skip
        signed = ".".join(_plain(json.dumps(part).encode()) for part in (header, claims))
        sign = ["openssl", "dgst", "-sha256", "-sign", str(self.key)]
        signature = subprocess.run(sign, input=signed.encode(), check=True, capture_output=True).stdout
        return f"{signed}.{_plain(signature)}"


def _plain(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, TokenService]]:
    place = tmp_path_factory.mktemp("tokens")
    copy_storage(family("busybox") / "registry", place / "storage")
    service = TokenService(place)
    realm = f"http://{service.server.address}/token"
    server = Registry(place / "storage", tokens=(realm, service.certificate))
    yield server, service
    server.stop()
    service.server.close()


def test_a_push_asks_for_what_it_needs(crate: Crate, busybox: str, guarded: tuple[Registry, TokenService]) -> None:
    server, service = guarded
    crate.ok("pull", "-q", server.reference("busybox"))
    assert service.scopes[-1] == ["repository:busybox:pull"]
    assert "unauthorized: authentication required" in crate.fails(
        125, "push", "-q", busybox, f"{server.address}/team/a"
    )
    creds = ("push", "--creds", "me:secret")
    assert crate(*creds, busybox, f"{server.address}/team/a").err.count(" done\n") == 2
    assert service.scopes[-1] == ["repository:team/a:pull,push"]
    assert "unauthorized" in crate.fails(125, *creds, "-q", busybox, f"{server.address}/other/a")
    assert "incorrect username" in crate.fails(
        125, "push", "--creds", "me:no", "-q", busybox, f"{server.address}/team/a"
    )
    assert crate.ok("pull", "-q", f"{server.address}/team/a") == crate.ok("inspect", "--format", "{{.Id}}", busybox)


def test_a_mount_asks_for_both_repositories(crate: Crate, guarded: tuple[Registry, TokenService]) -> None:
    server, service = guarded
    crate.ok("pull", "-q", server.reference("busybox"))
    done = crate("push", "--creds", "me:secret", server.reference("busybox"), f"{server.address}/team/mounted")
    assert done.status == 0, done.err
    assert "skipped: already exists" in done.err
    assert ["repository:busybox:pull", "repository:team/mounted:pull,push"] in service.scopes


def test_login(crate: Crate, busybox: str, guarded: tuple[Registry, TokenService], tmp_path: Path) -> None:
    server, _ = guarded
    words = ("login", "-u", "me", "--password-stdin", "--authfile", str(tmp_path / "auth.json"), server.address)
    assert "invalid username/password" in crate.fails(125, *words, input="wrong")
    assert crate.ok(*words, input="secret") == "Login Succeeded!"
    crate.ok("push", "-q", "--authfile", str(tmp_path / "auth.json"), busybox, f"{server.address}/team/b")
