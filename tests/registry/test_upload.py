"""Uploads of blobs: cut at any byte, refused, limited, sent elsewhere; against a server that keeps to the letter."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crate.errors import DigestError, RegistryError
from crate.oci import digest as digests
from crate.oci import reference
from crate.registry import upload
from crate.registry.credentials import Credentials
from crate.registry.failure import Interrupted, Refused
from crate.registry.upload import Uploader
from registry.uploads import UploadServer
from registry.wire import HASTY, Answer, Fixed, Scripted

CONTENT = os.urandom(1 << 20)
DIGEST = digests.of(CONTENT)
CHUNK = 300_000

Serve = Callable[..., UploadServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: list[UploadServer] = []

    def make(**options: Any) -> UploadServer:
        made.append(UploadServer(**options))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def blob_fd(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "blob").write_bytes(CONTENT)
    fd = os.open(tmp_path / "blob", os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "_CHUNK", CHUNK)


def uploader(server: UploadServer | Scripted, **options: Any) -> Uploader:
    return Uploader(reference.parse(f"{server.address}/some/image:tag"), Fixed(), patience=HASTY, **options)


def send(server: UploadServer, fd: int, **options: Any) -> int:
    """Sends the blob, sees that it is there, and gives the sum of what was told on the way."""
    told: list[int] = []
    elsewhere = options.pop("elsewhere", ())
    how = uploader(server, **options).blob(DIGEST, len(CONTENT), fd, elsewhere=elsewhere, sent=told.append)
    assert how == upload.SENT
    assert server.blobs[DIGEST] == CONTENT
    return sum(told)


def methods(server: UploadServer) -> list[str]:
    return [method for method, _, _, _ in server.requests]


def test_a_small_blob_goes_in_one_request(serve: Serve, blob_fd: int) -> None:
    server = serve()
    assert send(server, blob_fd) == len(CONTENT)
    assert methods(server) == ["HEAD", "POST", "PUT"]
    assert uploader(server).blob(DIGEST, len(CONTENT), blob_fd) == upload.EXISTS
    assert methods(server)[3:] == ["HEAD"]


def test_a_large_one_in_chunks(serve: Serve, blob_fd: int, small_chunks: None) -> None:
    server = serve()
    assert send(server, blob_fd) == len(CONTENT)
    assert methods(server) == ["HEAD", "POST", "PATCH", "PATCH", "PATCH", "PATCH", "PUT"]
    ranges = [headers["content-range"] for method, _, headers, _ in server.requests if method == "PATCH"]
    assert ranges == ["0-299999", "300000-599999", "600000-899999", "900000-1048575"]


def test_a_registry_may_ask_for_larger_chunks(serve: Serve, blob_fd: int, small_chunks: None) -> None:
    server = serve(more={"OCI-Chunk-Min-Length": "600000"})
    send(server, blob_fd)
    assert methods(server).count("PATCH") == 2


@pytest.mark.parametrize("location", ["{path}", "http://127.0.0.1:1/elsewhere"])
def test_a_location_is_taken_as_it_comes(serve: Serve, blob_fd: int, small_chunks: None, location: str) -> None:
    server = serve(location=location)
    if location == "{path}":
        send(server, blob_fd)
    else:
        with pytest.raises(RegistryError, match="connection refused"):
            send(server, blob_fd)


@pytest.mark.parametrize("chunked", [True, False])
def test_an_upload_goes_on_wherever_it_was_cut(
    serve: Serve, blob_fd: int, chunked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that arrived is sent again."""
    if chunked:
        monkeypatch.setattr(upload, "_CHUNK", CHUNK)
    for cuts in ([0], [1], [2], [65_536], [299_999], [7, 100_000, 1, 200_000], [len(CONTENT) - 1], [len(CONTENT)]):
        server = serve(cuts=list(cuts))
        assert send(server, blob_fd) == len(CONTENT)
        # "Range: 0-0" may mean a byte or none.
        again = (CHUNK if chunked else len(CONTENT)) + 1 if cuts == [1] else 0
        assert server.sent("PATCH", "PUT") <= len(CONTENT) + again


def test_a_server_that_forgets_gets_it_anew(serve: Serve, blob_fd: int, small_chunks: None) -> None:
    server = serve(cuts=[1 << 20, 100_000], forgets=True)
    assert send(server, blob_fd) == len(CONTENT)
    assert methods(server).count("POST") == 3


def test_a_connection_that_always_breaks_ends_the_push(serve: Serve, blob_fd: int) -> None:
    server = serve(cuts=[0] * 50)
    with pytest.raises(RegistryError, match=f"cannot push {server.address}/some/image:tag: registry {server.address}"):
        send(server, blob_fd)
    assert methods(server).count("PUT") + methods(server).count("PATCH") == HASTY.tries


def test_failures_that_pass_are_tried_again(serve: Serve, blob_fd: int, small_chunks: None) -> None:
    server = serve(statuses=[(503, {}), (429, {"Retry-After": "0"}), (500, {})])
    assert send(server, blob_fd) == len(CONTENT)
    lasting = serve(statuses=[(503, {})] * 50)
    with pytest.raises(Interrupted, match="status 503"):
        send(lasting, blob_fd)


def test_a_proxy_with_a_limit_gets_smaller_pieces(serve: Serve, blob_fd: int) -> None:
    server = serve(limit=600_000)
    send(server, blob_fd)
    assert "PATCH" in methods(server)
    with pytest.raises(RegistryError, match="status 413"):
        send(serve(limit=1000), blob_fd)


def test_content_that_the_registry_does_not_take_is_an_error(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"x" * len(CONTENT))
    fd = os.open(tmp_path / "other", os.O_RDONLY)
    with pytest.raises(RegistryError, match="status 400"):
        uploader(serve()).blob(DIGEST, len(CONTENT), fd)
    os.close(fd)


def test_what_another_repository_has_is_mounted(serve: Serve, blob_fd: int) -> None:
    server = serve(mounts={DIGEST})
    found = uploader(server).blob(DIGEST, len(CONTENT), blob_fd, elsewhere=["some/image", "base/image"])
    assert found == upload.MOUNTED
    ((_, path, _, _),) = [one for one in server.requests if one[0] == "POST"]
    assert path == f"/v2/some/image/blobs/uploads/?mount={DIGEST.replace(':', '%3A')}&from=base/image"
    assert server.sent("PUT", "PATCH") == 0


def test_where_it_cannot_be_mounted_the_upload_that_was_begun_is_used(serve: Serve, blob_fd: int) -> None:
    server = serve()
    send(server, blob_fd, elsewhere=["a/b", "c/d"])
    assert methods(server) == ["HEAD", "POST", "DELETE", "POST", "PUT"]
    assert server.uploads == {}


class Tokens:
    """A token is good for so many requests."""

    def __init__(self, uses: int) -> None:
        self.uses = uses
        self.given = 0
        self.left = 0

    def give(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        self.given += 1
        self.left = self.uses
        return 200, {"Content-Type": "application/json"}, b'{"token": "T%d", "expires_in": 300}' % self.given

    def good(self, sent: str) -> bool:
        self.left -= 1
        return sent == f"Bearer T{self.given}" and self.left >= 0


def test_a_token_that_ends_in_the_midst_is_renewed(
    serve: Serve, blob_fd: int, small_chunks: None, scripted: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(3)
    service = scripted(tokens.give)
    server = serve(tokens=tokens.good)
    from crate.registry.auth import Authorizer

    monkeypatch.setattr(
        Authorizer, "_check_realm", lambda *_: None, raising=True
    )  # the service has a port of its own, and so has the realm below
    realm = f'Bearer realm="http://{service.address}/token",service="s"'
    monkeypatch.setattr("crate.registry.challenge.parse", lambda _: [("bearer", {"realm": realm.split('"')[1]})])
    assert send(server, blob_fd, credentials=Credentials("me", "secret")) == len(CONTENT)
    assert tokens.given >= 3
    assert "scope=repository%3Asome%2Fimage%3Apull%2Cpush" in service.requests[0][1]


def test_credentials_stay_with_the_registry(serve: Serve, blob_fd: int, scripted: Callable[..., Scripted]) -> None:
    """A Location, or a redirect, on another server gets the content, but neither password nor token."""
    elsewhere = serve()
    elsewhere.uploads["7"] = bytearray()
    target = f"http://{elsewhere.address}/v2/uploads/7"

    def answer(method: str, path: str, headers: dict[str, str]) -> Answer:
        if "authorization" not in headers:
            return 401, {"WWW-Authenticate": "Basic realm=x"}, b""
        if method == "HEAD":
            return 404, {}, b""
        return (202, {"Location": target}, b"") if method == "POST" else (404, {}, b"")

    server = scripted(answer)
    found = uploader(server, credentials=Credentials("me", "secret")).blob(DIGEST, len(CONTENT), blob_fd)
    assert found == upload.SENT
    assert elsewhere.blobs[DIGEST] == CONTENT
    assert all("authorization" not in headers for _, _, headers, _ in elsewhere.requests)


def test_a_token_service_in_the_clear_must_be_on_the_registrys_own_host(scripted: Callable[..., Scripted]) -> None:
    """CVE-2020-15157: the password would go wherever a registry points."""
    for realm in (
        "http://localhost:9/token",
        "http://evil.example/token",
        "http://127.0.0.1.evil.example/",
        "http:///x",
    ):
        challenge = {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'}
        server = scripted(lambda *_, told=challenge: (401, told, b""))
        with pytest.raises(RegistryError, match=r"its token service .* is not https"):
            uploader(server, credentials=Credentials("me", "secret")).has(DIGEST)


def test_who_may_not_push_is_told_so(scripted: Callable[..., Scripted]) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'
    server = scripted(lambda *_: (403, {"Content-Type": "application/json"}, body))
    with pytest.raises(Refused, match="access denied: requested access to the resource is denied"):
        uploader(server).manifest("tag", b"{}", "application/json", digests.of(b"{}"))


def test_a_manifest_that_was_stored_otherwise_is_an_error(scripted: Callable[..., Scripted]) -> None:
    server = scripted(lambda *_: (201, {"Docker-Content-Digest": "sha256:" + "0" * 64}, b""))
    with pytest.raises(DigestError, match="instead of"):
        uploader(server).manifest("tag", b"{}", "application/json", digests.of(b"{}"))
