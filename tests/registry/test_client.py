"""The client against Debian's docker-registry: manifests, blobs, credentials, TLS, cut connections."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crate.errors import RegistryError
from crate.oci import reference
from crate.registry import credentials
from crate.registry.client import Client
from crate.registry.failure import NotInRegistry, Refused, RegistryUnreachable
from images.server import Registry
from registry.wire import HASTY, CuttingProxy, Fixed

pytestmark = pytest.mark.requires("registry", "skopeo", "busybox")


def client_for(text: str, **options: object) -> Client:
    return Client(reference.parse(text), Fixed(), patience=HASTY, **options)  # type: ignore[arg-type]


def fetch(client: Client) -> bytes:
    """The layer of the image, checked."""
    (layer,) = client.manifest().value["layers"]
    pieces: list[bytes] = []
    client.blob(layer["digest"], layer["size"], pieces.append)
    content = b"".join(pieces)
    assert "sha256:" + hashlib.sha256(content).hexdigest() == layer["digest"]
    return content


def test_a_manifest_comes_with_its_digest(busybox_image: str) -> None:
    client = client_for(busybox_image)
    by_tag = client.manifest()
    assert by_tag.digest == "sha256:" + hashlib.sha256(by_tag.body).hexdigest()
    assert client.manifest(by_tag.digest).body == by_tag.body
    assert client.digest() == by_tag.digest
    assert not by_tag.is_index


def test_a_small_blob_is_checked_and_bounded(busybox_image: str) -> None:
    client = client_for(busybox_image)
    config = client.manifest().value["config"]
    assert json.loads(client.small_blob(config["digest"], config["size"], 1 << 20))["os"] == "linux"
    with pytest.raises(Exception, match="are the most"):
        client.small_blob(config["digest"], config["size"], 10)


def test_tags_are_listed_over_all_pages(registry: Registry, busybox_image: str) -> None:
    status, body = registry.request(
        "GET", "busybox/manifests/latest", Accept="application/vnd.oci.image.manifest.v1+json"
    )
    assert status == 200
    for number in range(120):
        kind = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        assert registry.request("PUT", f"busybox/manifests/t{number}", body, **kind)[0] == 201
    assert {"latest", *(f"t{n}" for n in range(120))} <= set(client_for(busybox_image).tags())


def test_what_is_not_there_is_named_with_its_registry(registry: Registry, busybox_image: str) -> None:
    for name, words in (("busybox:nosuch", "manifest unknown"), ("nosuch/image:x", "manifest unknown")):
        text = f"{registry.address}/{name}"
        with pytest.raises(NotInRegistry) as caught:
            client_for(text).manifest()
        assert caught.value.message == f"cannot pull {text}: registry {registry.address}: {words}"


def test_a_blob_that_is_not_there_is_an_error(busybox_image: str) -> None:
    with pytest.raises(NotInRegistry, match="blob unknown"):
        client_for(busybox_image).blob("sha256:" + "0" * 64, 10, lambda _: None)


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_a_blob_is_continued_wherever_it_was_cut(
    busybox_image: str, registry: Registry, cutting: Callable[..., CuttingProxy], reset: bool
) -> None:
    whole = fetch(client_for(busybox_image))
    proxy = cutting(registry.address, [None, *(7_000 + 61_111 * n for n in range(4))], reset=reset)
    assert fetch(client_for(busybox_image.replace(registry.address, proxy.address))) == whole
    assert proxy.connections > 4


def test_a_cut_in_the_headers_or_at_once_is_tried_again(
    busybox_image: str, registry: Registry, cutting: Callable[..., CuttingProxy]
) -> None:
    # The first connection is the attempt at TLS, which the loopback is spared no more than docker spares it.
    proxy = cutting(registry.address, [None, 1, 0, 40, None])
    assert fetch(client_for(busybox_image.replace(registry.address, proxy.address)))


@pytest.mark.slow
def test_a_blob_survives_a_cut_at_any_byte(
    busybox_image: str, registry: Registry, cutting: Callable[..., CuttingProxy]
) -> None:
    """Of the first answer and the start of the blob, byte by byte; each connection lives to the next cut."""
    whole = fetch(client_for(busybox_image))
    for cut in (*range(1, 1200, 13), len(whole) - 1, len(whole), len(whole) + 100):
        proxy = cutting(registry.address, [None, cut, None])
        assert fetch(client_for(busybox_image.replace(registry.address, proxy.address))) == whole
        proxy.close()


def test_a_connection_that_always_breaks_without_a_byte_ends_the_pull(
    busybox_image: str, registry: Registry, cutting: Callable[..., CuttingProxy]
) -> None:
    proxy = cutting(registry.address, [0])
    with pytest.raises(RegistryError, match=f"cannot pull {proxy.address}/busybox:latest: registry {proxy.address}: "):
        client_for(busybox_image.replace(registry.address, proxy.address)).manifest()


def test_slow_progress_is_progress(
    busybox_image: str, registry: Registry, cutting: Callable[..., CuttingProxy]
) -> None:
    """There are more cuts than tries, but each connection brought something."""
    proxy = cutting(registry.address, [None, 90_000])
    assert fetch(client_for(busybox_image.replace(registry.address, proxy.address)))
    assert proxy.connections > 2 * HASTY.tries


def test_the_sinks_own_failure_passes_through(busybox_image: str) -> None:
    client = client_for(busybox_image)
    (layer,) = client.manifest().value["layers"]

    def full(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        client.blob(layer["digest"], layer["size"], full)


def test_a_registry_with_users_wants_credentials(guarded_registry: Registry, tmp_path: Path) -> None:
    text = guarded_registry.reference("busybox")
    with pytest.raises(
        Refused, match=f"cannot pull {text}: registry {guarded_registry.address}: unauthorized: authentication required"
    ):
        client_for(text).manifest()
    with pytest.raises(Refused, match=r"credentials were refused|authentication required"):
        client_for(text, credentials=credentials.Credentials("me", "wrong")).manifest()
    assert fetch(client_for(text, credentials=credentials.Credentials("me", "secret")))
    entry = {"auth": base64.b64encode(b"me:secret").decode()}
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {guarded_registry.address: entry}}))
    assert fetch(client_for(text, authfile=str(tmp_path / "auth.json")))
    client_for(text, authfile=str(tmp_path / "auth.json")).ping()


def test_an_unknown_certificate_is_refused_unless_wanted(tls_registry: tuple[Registry, Path], tmp_path: Path) -> None:
    server, certificate = tls_registry
    text = server.reference("busybox")
    with pytest.raises(RegistryUnreachable, match="certificate not trusted") as caught:
        client_for(text, tls_verify=True).manifest()
    assert f"certs.d/{server.address}/ca.crt" in (caught.value.hint or "")
    assert fetch(client_for(text))  # the loopback is not asked for a certificate, as with docker
    place = tmp_path / "home/.config/containers/certs.d" / server.address
    place.mkdir(parents=True)
    (place / "ca.crt").write_bytes(certificate.read_bytes())
    assert fetch(client_for(text, tls_verify=True))
    (place / "ca.crt").write_text("nonsense")
    with pytest.raises(RegistryError, match=r"cannot load certificate .*ca\.crt"):
        client_for(text, tls_verify=True).manifest()


def test_a_registry_without_tls_must_be_listed(busybox_image: str) -> None:
    with pytest.raises(RegistryUnreachable, match="TLS failed") as caught:
        client_for(busybox_image, tls_verify=True).manifest()
    assert "registries.insecure" in (caught.value.hint or "")


def test_nobody_listens() -> None:
    with pytest.raises(RegistryUnreachable, match=r"registry 127\.0\.0\.1:1: connection refused") as caught:
        client_for("127.0.0.1:1/x").manifest()
    assert "crate.local/busybox" in (caught.value.hint or "")


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(RegistryUnreachable, match=r"registry nosuch\.invalid: its name does not resolve") as caught:
        client_for("nosuch.invalid/x").manifest()
    assert "crate.local/busybox" in (caught.value.hint or "")


def test_mirrors_are_asked_first_and_the_registry_when_they_fail(
    busybox_image: str, registry: Registry, cutting: Callable[..., CuttingProxy]
) -> None:
    dead, lacking = "127.0.0.1:1", cutting(registry.address)
    good = cutting(registry.address)
    image = reference.parse(busybox_image)
    settings = Fixed(mirrors={image.domain: [dead, f"{lacking.address}/no/such/prefix", good.address]})
    client = Client(image, settings, patience=HASTY)
    assert client.manifest().digest == client_for(busybox_image).manifest().digest
    assert lacking.connections
    assert good.connections
    for_hub = Fixed(mirrors={"docker.io": [registry.address]})
    with pytest.raises(RegistryError, match=r"registry registry-1\.docker\.io"):
        Client(reference.parse("alpine"), for_hub, patience=HASTY).manifest()


def test_a_blob_begun_at_a_mirror_is_finished_by_the_registry(
    busybox_image: str, registry: Registry, cutting: Callable[..., CuttingProxy]
) -> None:
    image = reference.parse(busybox_image)
    whole = fetch(client_for(busybox_image))
    mirror = cutting(registry.address, [None, 100_000, 0])
    client = Client(image, Fixed(mirrors={image.domain: [f"http://{mirror.address}"]}), patience=HASTY)
    assert fetch(client) == whole
