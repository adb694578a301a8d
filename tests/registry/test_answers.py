"""The client against servers that answer oddly: web pages, limits, redirects, token services, wrong content."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from crate.errors import DigestError, ImageError, RegistryError
from crate.oci import digest as digests
from crate.oci import reference
from crate.registry.client import Client
from crate.registry.credentials import Credentials
from crate.registry.failure import Interrupted, RateLimited, Refused
from crate.registry.transport import Patience
from images.server import Registry
from registry.wire import HASTY, Answer, Fixed, Scripted

Make = Callable[[Callable[[str, str, dict[str, str]], Answer]], Scripted]

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
BLOB = b"0123456789" * 1000
DIGEST = digests.of(BLOB)
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": {}, "layers": []}).encode()


def client_for(server: Scripted, **options: Any) -> Client:
    options.setdefault("patience", HASTY)
    return Client(reference.parse(f"{server.address}/some/image:tag"), Fixed(), **options)


def ok(body: bytes = MANIFEST, kind: str = MANIFEST_TYPE, **headers: str) -> Answer:
    return 200, {"Content-Type": kind, **headers}, body


def always(status: int, **headers: str) -> Callable[[str, str, dict[str, str]], Answer]:
    return lambda *_: (status, headers, b"")


@pytest.mark.parametrize("status", [200, 404, 511])
def test_a_web_page_is_no_registry(scripted: Make, status: int) -> None:
    server = scripted(lambda *_: (status, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Log in to the WiFi"))
    with pytest.raises(
        RegistryError, match=f"cannot pull {server.address}/some/image:tag: .*it answered with a web page"
    ):
        client_for(server).manifest()
    with pytest.raises(RegistryError, match="web page"):
        client_for(server).blob(DIGEST, len(BLOB), lambda _: None)


def test_a_limit_is_told_with_the_registrys_words(scripted: Make) -> None:
    body = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": "pull limit \x1b[31mreached"}]}).encode()
    server = scripted(lambda *_: (429, {"Content-Type": "application/json", "Retry-After": "3600"}, body))
    begin = time.monotonic()
    with pytest.raises(RateLimited, match=r"too many requests \(429\): pull limit \[31mreached") as caught:
        client_for(server).manifest()
    assert time.monotonic() - begin < 60  # nobody waits for an hour
    assert "mirror" in (caught.value.hint or "")


def test_a_short_limit_is_waited_for(scripted: Make) -> None:
    answers = iter([(429, {"Retry-After": "1"}, b""), ok()])
    server = scripted(lambda *_: next(answers))
    begin = time.monotonic()
    assert client_for(server).manifest().body == MANIFEST
    assert time.monotonic() - begin >= 1


def test_passing_failures_are_tried_again(scripted: Make) -> None:
    answers = iter([(503, {}, b""), (500, {}, b"x"), (502, {}, b""), ok()])
    server = scripted(lambda *_: next(answers))
    assert client_for(server).manifest().body == MANIFEST


def test_a_lasting_failure_ends_with_its_status(scripted: Make) -> None:
    server = scripted(lambda *_: (503, {}, b""))
    with pytest.raises(Interrupted, match="it failed with status 503"):
        client_for(server).manifest()
    assert len(server.requests) == HASTY.tries


def test_a_server_that_says_nothing_more_is_given_up(scripted: Make) -> None:
    server = scripted(lambda *_: time.sleep(3) or ok())  # type: ignore[func-returns-value]
    with pytest.raises(RegistryError, match="it stopped answering"):
        client_for(server, patience=Patience(2.0, 0.2, 2, 0.01)).manifest()


def test_authorization_does_not_follow_a_redirect_to_another_host(scripted: Make) -> None:
    storage = scripted(lambda *_: ok(BLOB, "application/octet-stream"))

    def answer(method: str, path: str, headers: dict[str, str]) -> Answer:
        if "authorization" not in headers:
            return 401, {"WWW-Authenticate": "Basic realm=x"}, b"{}"
        if path.startswith("/v2/"):
            return 307, {"Location": "/moved" + path}, b""
        return 302, {"Location": f"http://{storage.address}/storage"}, b""

    server = scripted(answer)
    pieces: list[bytes] = []
    client_for(server, credentials=Credentials("me", "secret")).blob(DIGEST, len(BLOB), pieces.append)
    assert b"".join(pieces) == BLOB
    assert [path for _, path, headers in server.requests if "authorization" in headers] == [
        f"/v2/some/image/blobs/{DIGEST}",
        f"/moved/v2/some/image/blobs/{DIGEST}",
    ]
    ((_, path, headers),) = storage.requests
    assert path == "/storage"
    assert "authorization" not in headers


def test_a_challenge_behind_a_redirect_gets_no_password(scripted: Make) -> None:
    """Who stores the blobs may not name a token service, to which the registry's password would go."""
    tokens = scripted(lambda *_: (200, {}, b'{"token": "T"}'))
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{tokens.address}/token",service="s"'}
    storage = scripted(lambda *_: (401, challenge, b"{}"))
    server = scripted(always(307, Location=f"http://{storage.address}/storage"))
    with pytest.raises(RegistryError):
        client_for(server, credentials=Credentials("me", "secret")).blob(DIGEST, len(BLOB), lambda _: None)
    assert storage.requests and tokens.requests == []


def test_a_token_service_does_not_pass_an_identity_token_on(scripted: Make) -> None:
    elsewhere = scripted(lambda *_: (200, {}, b'{"token": "T"}'))
    tokens: list[Scripted] = []

    def answer(method: str, path: str, headers: dict[str, str]) -> Answer:
        if path == "/token":
            return 307, {"Location": f"http://{elsewhere.address}/token"}, b""
        return 401, {"WWW-Authenticate": f'Bearer realm="http://{tokens[0].address}/token"'}, b"{}"

    tokens.append(scripted(answer))
    with pytest.raises(RegistryError, match=r"its token service redirects to http://127\.0\.0\.1"):
        client_for(tokens[0], credentials=Credentials(identity_token="secret")).manifest()
    assert elsewhere.requests == []


def test_circles_and_strange_targets_end(scripted: Make) -> None:
    server = scripted(lambda _, path, __: (302, {"Location": path}, b""))
    with pytest.raises(RegistryError, match="redirects in circles"):
        client_for(server).manifest()
    for target in ("file:///etc/passwd", "gopher://x", "http://["):
        strange = scripted(always(302, Location=target))
        with pytest.raises(RegistryError, match="not a valid URL"):
            client_for(strange).manifest()


class TokenService:
    """A registry with a token service beside it, as docker.io has one."""

    def __init__(self, make: Make, **options: Any) -> None:
        self.valid = "T1"
        self.options = options
        self.tokens = make(self.give)
        self.server = make(self.answer)

    def give(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        if self.options.get("refuse"):
            return 401, {}, b'{"details": "incorrect username or password"}'
        return 200, {}, json.dumps({self.options.get("key", "token"): self.valid, "expires_in": 300}).encode()

    def answer(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        if headers.get("authorization") == f"Bearer {self.valid}" and not self.options.get("deny"):
            return ok(BLOB) if "/blobs/" in path else ok()
        challenge = (
            f'Bearer realm="http://{self.tokens.address}/token",service="s.io",scope="repository:some/image:pull"'
        )
        return 401, {"WWW-Authenticate": challenge}, b'{"errors":[{"message":"authentication required"}]}'


def test_what_no_digest_proves_stays_with_tls(
    scripted: Make, tls_registry: tuple[Registry, Path], tmp_path: Path
) -> None:
    """A redirect to http may bring what is checked by a digest, and no manifest of a tag."""
    _, certificate = tls_registry
    digest = digests.of(MANIFEST)
    plain = scripted(lambda *_: ok())

    class Redirecting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(307)
            self.send_header("Location", f"http://{plain.address}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_name("key.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = tmp_path / "home/.config/containers/certs.d" / f"127.0.0.1:{server.server_port}"
        place.mkdir(parents=True)
        (place / "ca.crt").write_bytes(certificate.read_bytes())
        name = f"127.0.0.1:{server.server_port}/a"
        with pytest.raises(RegistryError, match="it redirects from https to http"):
            Client(reference.parse(f"{name}:latest"), Fixed(), tls_verify=True, patience=HASTY).manifest()
        assert plain.requests == []
        proven = Client(reference.parse(f"{name}@{digest}"), Fixed(), tls_verify=True, patience=HASTY)
        assert proven.manifest().digest == digest
        server.shutdown()


def test_a_token_is_fetched_once_and_used(scripted: Make) -> None:
    service = TokenService(scripted)
    client = client_for(service.server)
    assert client.manifest().body == MANIFEST
    client.blob(DIGEST, len(BLOB), lambda _: None)
    ((_, path, headers),) = service.tokens.requests
    assert parse_qs(urlsplit(path).query) == {"service": ["s.io"], "scope": ["repository:some/image:pull"]}
    assert "authorization" not in headers


def test_credentials_go_to_the_token_service_only(scripted: Make) -> None:
    service = TokenService(scripted, key="access_token")
    client_for(service.server, credentials=Credentials("me", "secret")).manifest()
    ((_, path, headers),) = service.tokens.requests
    assert headers["authorization"] == "Basic " + base64.b64encode(b"me:secret").decode()
    assert "account=me" in path
    assert all("Basic" not in headers.get("authorization", "") for _, _, headers in service.server.requests)


def test_an_identity_token_is_posted(scripted: Make) -> None:
    service = TokenService(scripted)
    client_for(service.server, credentials=Credentials(identity_token="R")).manifest()
    ((method, path, headers),) = service.tokens.requests
    form = parse_qs(headers["body"])
    assert (method, path) == ("POST", "/token")
    assert (form["grant_type"], form["refresh_token"]) == (["refresh_token"], ["R"])


def test_a_token_that_is_no_longer_taken_is_renewed(scripted: Make) -> None:
    service = TokenService(scripted)
    client = client_for(service.server)
    client.manifest()
    service.valid = "T2"
    client.manifest()
    assert len(service.tokens.requests) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"refuse": True}, "incorrect username or password"),
        ({"deny": True}, "authentication required"),
        ({"key": "no"}, "gave no token"),
    ],
)
def test_a_refusal_names_registry_and_reference(scripted: Make, options: dict[str, Any], words: str) -> None:
    service = TokenService(scripted, **options)
    with pytest.raises(RegistryError) as caught:
        client_for(service.server).manifest()
    address = service.server.address
    assert caught.value.message.startswith(f"cannot pull {address}/some/image:tag: registry {address}: ")
    assert words in caught.value.message
    if "key" not in options:
        assert isinstance(caught.value, Refused)


def test_a_challenge_that_nobody_can_answer_ends_the_pull(scripted: Make) -> None:
    for header in ("", "Negotiate", "Bearer", 'Bearer realm="ftp://x"', "Basic realm=x"):
        server = scripted(always(401, **{"WWW-Authenticate": header}))
        with pytest.raises(RegistryError):
            client_for(server).manifest()


def test_a_manifest_with_another_digest_is_refused(scripted: Make) -> None:
    server = scripted(lambda *_: ok())
    with pytest.raises(DigestError, match="has the digest"):
        client_for(server).manifest("sha256:" + "0" * 64)
    assert client_for(server).manifest(digests.of(MANIFEST)).body == MANIFEST


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b'{"schemaVersion":1,"fsLayers":[]}', "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        (b'{"schemaVersion":1}', "application/json", "schema 1"),
        (b"not json", MANIFEST_TYPE, "is not a JSON object"),
        (b"[]", MANIFEST_TYPE, "is not a JSON object"),
        (b"{}", MANIFEST_TYPE, "is no image manifest"),
        (b'{"mediaType":"application/vnd.cncf.helm.config.v1+json"}', "application/json", "is no image manifest"),
        (b'{"config":{},"manifests":[]}', MANIFEST_TYPE, "is no image manifest"),
        (b"[" * 100_000, MANIFEST_TYPE, "is not a JSON object"),
    ],
)
def test_what_is_no_manifest_is_refused(scripted: Make, body: bytes, kind: str, words: str) -> None:
    server = scripted(lambda *_: ok(body, kind))
    with pytest.raises(ImageError, match=words):
        client_for(server).manifest()


def test_a_manifest_beyond_four_mebibytes_is_refused(scripted: Make) -> None:
    server = scripted(lambda *_: ok(b" " * (4 << 20) + MANIFEST))
    with pytest.raises(RegistryError, match="larger than 4194304 bytes"):
        client_for(server).manifest()


def test_a_blob_longer_than_announced_is_refused(scripted: Make) -> None:
    server = scripted(lambda *_: ok(BLOB))
    with pytest.raises(ImageError, match="longer than its manifest says"):
        client_for(server).blob(DIGEST, len(BLOB) - 1, lambda _: None)


def test_a_server_without_ranges_begins_anew_and_the_sink_does_not_notice(scripted: Make) -> None:
    server = scripted(lambda *_: ok(BLOB))
    pieces: list[bytes] = []
    client_for(server).blob(DIGEST, len(BLOB), pieces.append, start=4321)
    assert b"".join(pieces) == BLOB[4321:]
    assert server.requests[-1][2]["range"] == "bytes=4321-"


def test_another_range_than_asked_for_is_refused(scripted: Make) -> None:
    server = scripted(lambda *_: (206, {"Content-Range": "bytes 0-9/10000"}, BLOB[:10]))
    with pytest.raises(RegistryError, match="another range"):
        client_for(server).blob(DIGEST, len(BLOB), lambda _: None, start=5)


def test_a_small_blob_with_another_digest_is_refused(scripted: Make) -> None:
    server = scripted(lambda *_: ok(BLOB[::-1]))
    with pytest.raises(DigestError):
        client_for(server).small_blob(DIGEST, len(BLOB), 1 << 20)


def test_the_environments_proxy_is_used(scripted: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = scripted(lambda *_: ok())
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    settings = Fixed(insecure=["r.test"], mirrors={"r.test": ["http://r.test"]})
    assert Client(reference.parse("r.test/x"), settings, patience=HASTY).manifest().body == MANIFEST
    assert proxy.requests[0][1] == "http://r.test/v2/x/manifests/latest"
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    with pytest.raises(RegistryError, match=r"registry r\.test: the proxy: connection refused"):
        Client(reference.parse("r.test/x"), Fixed(), patience=HASTY).manifest()


def test_a_list_without_an_end_is_given_up(scripted: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page names a next one: what they may have together is bounded."""
    monkeypatch.setattr("crate.registry.client._PAGES_TOGETHER_MAX", 1 << 20)
    page = json.dumps({"name": "some/image", "tags": ["t" * 100] * 1000}).encode()
    server = scripted(lambda *_: ok(page, "application/json", Link='</v2/some/image/tags/list?last=t>; rel="next"'))
    with pytest.raises(RegistryError, match="its answer is larger than"):
        client_for(server).tags()
    assert len(server.requests) < 20


def test_a_search_that_answers_nonsense(scripted: Make) -> None:
    from crate.registry.search import find

    for body in (b"[]", b"{", b'{"results": 7}', b'{"results": [{"name": ["x"]}, null, {"name": ""}]}', b"[" * 100_000):
        server = scripted(lambda *_, body=body: ok(body, "application/json"))
        try:
            assert all(isinstance(hit.name, str) for hit in find(server.address, "x", 5, Fixed(), patience=HASTY))
        except RegistryError:
            pass
    huge = scripted(lambda *_: ok(b" " * (5 << 20), "application/json"))
    with pytest.raises(RegistryError, match="larger than 4194304 bytes"):
        find(huge.address, "x", 5, Fixed(), patience=HASTY)
