"""Endpoints: mirrors, schemes, insecure registries, and the proxy of each address."""

from __future__ import annotations

from typing import Any

import pytest

from crate.errors import UsageError
from crate.oci.reference import Reference
from crate.registry import endpoint
from crate.registry.registries_conf import RegistriesConf


class Fixed:
    """Settings from a dictionary."""

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        self.values = values or {}

    def get(self, key: str) -> Any:
        return self.values.get(key)


def of(host: str, settings: Fixed, tls_verify: bool | None = None) -> list[endpoint.Endpoint]:
    return endpoint.endpoints(Reference(host, "some/image", "tag"), settings, tls_verify, RegistriesConf())


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_docker_hub_is_reached_under_its_real_name() -> None:
    (hub,) = of("docker.io", Fixed())
    assert (hub.host, hub.schemes, hub.insecure) == ("registry-1.docker.io", ("https",), False)


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000", "localhost"])
def test_the_loopback_is_insecure_as_for_docker(host: str) -> None:
    (local,) = of(host, Fixed())
    assert local.schemes == ("https", "http")


def test_listed_registries_are_insecure() -> None:
    settings = Fixed({"registries.insecure": ["r.io:5000", "s.io", "10.0.0.0/8", "bad/net"]})
    insecure = {
        host: of(host, settings)[0].insecure
        for host in ("r.io:5000", "r.io", "s.io", "s.io:99", "10.1.2.3:5000", "11.1.2.3", "ten.io")
    }
    assert insecure == {
        "r.io:5000": True,
        "r.io": False,
        "s.io": True,
        "s.io:99": True,
        "10.1.2.3:5000": True,
        "11.1.2.3": False,
        "ten.io": False,
    }


def test_the_option_overrules_the_settings() -> None:
    assert of("r.io", Fixed(), tls_verify=False)[0].schemes == ("https", "http")
    assert of("127.0.0.1:5", Fixed(), tls_verify=True)[0].schemes == ("https",)


def test_mirrors_come_first() -> None:
    mirrors = {"docker.io": ["https://m.io/hub/", "n.io:5000", "http://127.0.0.1:1"], "quay.io": "o.io"}
    found = of("docker.io", Fixed({"registries.mirrors": mirrors}))
    assert [(e.host, e.prefix, e.schemes, e.is_mirror) for e in found] == [
        ("m.io", "/hub", ("https",), True),
        ("n.io:5000", "", ("https",), True),
        ("127.0.0.1:1", "", ("http",), True),
        ("registry-1.docker.io", "", ("https",), False),
    ]
    assert [e.host for e in of("quay.io", Fixed({"registries.mirrors": mirrors}))] == [
        "o.io",
        "quay.io",
    ]


@pytest.mark.parametrize("text", ["ftp://m.io", "", "https://", "https://user:secret@m.io"])
def test_a_wrong_mirror_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid mirror"):
        of("docker.io", Fixed({"registries.mirrors": {"docker.io": [text]}}))


PROXIED = {"proxies.http": "http://p:1", "proxies.https": "http://p:2"}


@pytest.mark.parametrize(
    ("url", "exceptions", "expected"),
    [
        ("https://r.io/v2/", "", "http://p:2"),
        ("http://r.io/v2/", "", "http://p:1"),
        ("https://r.io/v2/", "r.io", None),
        ("https://x.r.io/v2/", "r.io", None),
        ("https://xr.io/v2/", "r.io", "http://p:2"),
        ("https://r.io/v2/", ".r.io", "http://p:2"),
        ("https://x.r.io/v2/", "a.io, .r.io", None),
        ("https://x.r.io/v2/", "*.r.io", None),
        ("https://r.io:5000/v2/", "r.io:5000", None),
        ("https://r.io:5001/v2/", "r.io:5000", "http://p:2"),
        ("https://10.1.2.3/v2/", "10.0.0.0/8", None),
        ("https://10.1.2.3/v2/", "10.1.2.3", None),
        ("https://11.1.2.3/v2/", "10.0.0.0/8", "http://p:2"),
        ("https://r.io/v2/", "*", None),
        ("https://localhost:5000/v2/", "", None),
        ("http://127.0.0.1:5000/v2/", "", None),
        ("http://[::1]:5000/v2/", "", None),
        ("https://[fd00::1]/v2/", "fd00::/8", None),
    ],
)
def test_the_proxy_follows_gos_rules(url: str, exceptions: str, expected: str | None) -> None:
    assert endpoint.proxy_for(url, Fixed({**PROXIED, "proxies.no_proxy": exceptions})) == expected


def test_the_environment_overrules_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://env:3")
    assert endpoint.proxy_for("https://r.io/", Fixed(PROXIED)) == "http://env:3"
    monkeypatch.setenv("https_proxy", "http://lower:4")
    assert endpoint.proxy_for("https://r.io/", Fixed(PROXIED)) == "http://lower:4"
    monkeypatch.setenv("NO_PROXY", "r.io")
    assert endpoint.proxy_for("https://r.io/", Fixed(PROXIED)) is None
    assert endpoint.proxy_for("https://s.io/", Fixed()) == "http://lower:4"
