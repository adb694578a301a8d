"""What registries.conf makes of a pull and a push, on the wire."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from images.server import Registry
from program import Crate
from registry.wire import CuttingProxy

pytestmark = pytest.mark.requires("root", "overlay", "registry", "skopeo", "busybox")


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crate: Crate) -> Callable[[str], None]:
    """Writes the one registries.conf that crate reads."""
    path = tmp_path / "registries.conf"
    crate.environment |= {"CONTAINERS_REGISTRIES_CONF": str(path), "CONTAINERS_REGISTRIES_CONF_DIR": "/nonexistent"}

    def write(text: str) -> None:
        path.write_text(text)

    return write


def test_a_name_is_fetched_from_elsewhere(
    crate: Crate,
    conf: Callable[[str], None],
    registry: Registry,
    busybox_image: str,
    cutting: Callable[..., CuttingProxy],
) -> None:
    mirror = cutting(registry.address)
    conf(f"""
        [[registry]]
        prefix = "moved.example/old"
        location = "{registry.address}"
        [[registry]]
        location = "behind.example"
        [[registry.mirror]]
        location = "127.0.0.1:1"
        [[registry.mirror]]
        location = "{mirror.address}"
        [[registry]]
        location = "blocked.example"
        blocked = true
    """)
    wanted = crate.ok("pull", "-q", busybox_image)
    assert crate.ok("pull", "-q", "moved.example/old/busybox") == wanted
    assert crate.ok("pull", "-q", "behind.example/busybox") == wanted
    assert mirror.connections
    assert "moved.example/old/busybox" in crate.ok("images")  # the name stays as it was asked for
    assert "registry blocked.example is blocked in" in crate.fails(125, "pull", "-q", "blocked.example/busybox")
    crate.ok("push", "-q", busybox_image, "moved.example/old/pushed:1")
    assert registry.request("GET", "pushed/tags/list")[1] == b'{"name":"pushed","tags":["1"]}\n'
    assert "is blocked in" in crate.fails(125, "push", "-q", busybox_image, "blocked.example/x")


def test_short_names_are_looked_for_in_order(
    crate: Crate, conf: Callable[[str], None], registry: Registry, busybox_image: str
) -> None:
    conf(f'unqualified-search-registries = ["127.0.0.1:1", "{registry.address}"]')
    done = crate("pull", "busybox")
    assert done.status == 0, done.err
    assert f"Trying to pull 127.0.0.1:1/busybox:latest...\nTrying to pull {busybox_image}...\n" in done.err
    assert busybox_image.partition(":latest")[0] in crate.ok("images")
    assert "2 errors occurred while pulling: " in crate.fails(125, "pull", "-q", "nosuch")
    conf(f'[aliases]\n"bb" = "{registry.address}/busybox"')
    crate.ok("rmi", busybox_image)
    run = ("run", "--rm", "--network", "none", "-q")
    assert crate.ok(*run, "bb", "echo", "here") == "here"
    assert crate.ok(*run, "--pull", "never", busybox_image, "echo", "here") == "here"
    assert crate.ok(*run, "--pull", "always", "bb", "echo", "here") == "here"


def test_a_mirror_gets_its_own_credentials_only(
    crate: Crate, conf: Callable[[str], None], guarded_registry: Registry, registry: Registry, tmp_path: Path
) -> None:
    conf(f"""
        [[registry]]
        location = "{registry.address}"
        [[registry.mirror]]
        location = "{guarded_registry.address}"
    """)
    entry = {"auth": base64.b64encode(b"me:secret").decode()}
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {registry.address: entry}}))
    words = ("pull", "-q", "--authfile", str(tmp_path / "auth.json"), f"{registry.address}/nosuch/busybox")
    assert "manifest unknown" in crate.fails(125, *words)
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {guarded_registry.address: entry}}))
    crate.ok(*words[:-1], f"{registry.address}/busybox")
