"""`crate search`: docker's search, a catalogue, tags; what strangers wrote on a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from images.server import Registry
from program import Crate
from registry.wire import Answer, Scripted

pytestmark = pytest.mark.requires("root", "registry", "skopeo", "busybox")

RESULTS = [
    {"name": "nginx", "description": "Build\nof \x1b[31mNginx " + "x" * 60, "star_count": 20000, "is_official": True},
    {"name": "bitnami/nginx", "description": "Bitnami", "star_count": 180, "is_automated": True},
    {"name": "me/nginx", "description": None, "star_count": "many"},
    {"description": "without a name"},
    7,
]


@pytest.fixture
def hub(scripted: Callable[..., Scripted], crate: Crate, tmp_path: Path) -> Scripted:
    """Docker Hub, as registries.conf says."""

    def answer(method: str, path: str, headers: dict[str, str]) -> Answer:
        count = int(parse_qs(urlsplit(path).query)["n"][0])
        return 200, {"Content-Type": "application/json"}, json.dumps({"results": RESULTS[:count]}).encode()

    server = scripted(answer)
    conf = tmp_path / "registries.conf"
    conf.write_text(f'[[registry]]\nprefix = "docker.io"\nlocation = "{server.address}"\n')
    crate.environment |= {"CONTAINERS_REGISTRIES_CONF": str(conf), "CONTAINERS_REGISTRIES_CONF_DIR": "/nonexistent"}
    return server


def test_docker_hub(crate: Crate, hub: Scripted) -> None:
    lines = crate.ok("search", "nginx").splitlines()
    assert lines[0].split() == ["NAME", "DESCRIPTION"]
    assert lines[1].startswith("docker.io/library/nginx  ")
    assert lines[1].endswith("...")
    assert "\x1b" not in lines[1]
    assert [line.split()[0] for line in lines[2:]] == ["docker.io/bitnami/nginx", "docker.io/me/nginx"]
    assert hub.requests[-1][1] == "/v1/search?q=nginx&n=25"
    assert crate.ok("search", "--limit", "1", "--format", "{{.Name}} {{.Stars}} {{.Official}}", "docker.io/nginx") == (
        "docker.io/library/nginx 20000 [OK]"
    )
    compatible = crate.ok("search", "--compatible", "nginx").splitlines()
    assert compatible[0].split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL", "AUTOMATED"]
    assert compatible[2].split()[-2:] == ["180", "[OK]"]
    assert "x" * 60 in crate.ok("search", "--no-trunc", "nginx")
    found = json.loads(crate.ok("search", "--format", "json", "nginx"))
    assert found[1] == {"Index": "docker.io", "Name": "docker.io/bitnami/nginx", "Description": "Bitnami",
                        "Stars": 180, "Official": "", "Automated": "[OK]", "Tag": ""}  # fmt: skip


def test_filters(crate: Crate, hub: Scripted) -> None:
    def names(*words: str) -> list[str]:
        return crate.ok("search", "--format", "{{.Name}}", *words, "nginx").splitlines()

    assert names("--filter", "is-official=true") == ["docker.io/library/nginx"]
    assert names("--filter", "is-official=false,stars=100") == ["docker.io/bitnami/nginx"]
    assert names("--filter", "is-automated") == ["docker.io/bitnami/nginx"]
    assert names("--filter", "stars=100000") == []
    assert 'invalid filter "color"' in crate.fails(125, "search", "--filter", "color=red", "nginx")
    assert 'invalid filter "stars=few"' in crate.fails(125, "search", "--filter", "stars=few", "nginx")
    assert "limit 101 is outside the range" in crate.fails(125, "search", "--limit", "101", "nginx")


def test_a_catalogue(crate: Crate, registry: Registry, busybox_image: str) -> None:
    _, body = registry.request("GET", "busybox/manifests/latest", Accept="application/vnd.oci.image.manifest.v1+json")
    kind = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    assert registry.request("PUT", "busybox/manifests/3", body, **kind)[0] == 201
    name = busybox_image.removesuffix(":latest")
    for term in ("", "busy"):
        assert name in crate.ok("search", "--format", "{{.Name}}", f"{registry.address}/{term}").splitlines()
    assert crate.ok("search", "--format", "{{.Name}}", f"{registry.address}/nothing-like-it") == ""
    listed = crate.ok("search", "--list-tags", name).splitlines()
    assert listed[0].split() == ["NAME", "TAG"]
    assert {tuple(line.split()) for line in listed[1:]} >= {(name, "3"), (name, "latest")}
    (found,) = json.loads(crate.ok("search", "--list-tags", "--format", "json", "--limit", "1", name))
    assert (found["Name"], len(found["Tags"])) == (name, 1)
    assert "cannot list the tags of" in crate.fails(125, "search", "--list-tags", busybox_image)
    assert "not applicable" in crate.fails(125, "search", "--list-tags", "-f", "stars=1", name)


def test_a_password_and_failures(crate: Crate, guarded_registry: Registry) -> None:
    term = f"{guarded_registry.address}/busybox"
    assert "unauthorized" in crate.fails(125, "search", term)
    assert crate.ok("search", "--creds", "me:secret", "--format", "{{.Name}}", term) == term
    assert "connection refused" in crate.fails(125, "search", "127.0.0.1:1/x")
