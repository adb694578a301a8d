"""Fixtures of the registry tests: registries with users and with TLS, proxies that cut, servers that say anything."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from abilities import need
from crate.storage.roots import Roots, open_roots
from images.cache import family
from images.server import Registry, copy_storage
from registry.pulling import Pusher
from registry.wire import Answer, CuttingProxy, Scripted


@pytest.fixture(autouse=True)
def _no_credentials_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", "/dev/null")
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF_DIR", "/nonexistent")
    for name in ("REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "DOCKER_CONFIG", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def cutting() -> Iterator[Callable[..., CuttingProxy]]:
    """Makes proxies: see CuttingProxy."""
    made: list[CuttingProxy] = []

    def make(*arguments: Any, **options: Any) -> CuttingProxy:
        made.append(CuttingProxy(*arguments, **options))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def scripted() -> Iterator[Callable[[Callable[[str, str, dict[str, str]], Answer]], Scripted]]:
    """Makes servers: see Scripted."""
    made: list[Scripted] = []

    def make(answer: Callable[[str, str, dict[str, str]], Answer]) -> Scripted:
        made.append(Scripted(answer))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture(scope="session")
def guarded_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that wants user `me` with password `secret`; it has busybox."""
    need("registry", "skopeo", "busybox")
    storage = tmp_path_factory.mktemp("guarded") / "storage"
    copy_storage(family("busybox") / "registry", storage)
    server = Registry(storage, users={"me": "secret"})
    yield server
    server.stop()


@pytest.fixture(scope="session")
def tls_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, Path]]:
    """A registry that speaks TLS with a certificate of its own authority (the file); it has busybox."""
    need("registry", "skopeo", "busybox")
    place = tmp_path_factory.mktemp("tls")
    key, certificate = place / "key.pem", place / "ca.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=crate tests",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    copy_storage(family("busybox") / "registry", place / "storage")
    server = Registry(place / "storage", tls=(certificate, key))
    yield server, certificate
    server.stop()


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return open_roots(str(tmp_path / "root"), str(tmp_path / "run"))


@pytest.fixture
def pusher(registry: Registry) -> Pusher:
    return Pusher(registry)
