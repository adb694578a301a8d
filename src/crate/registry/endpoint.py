"""Where the content of a registry is fetched: its mirrors in order, then itself; with schemes, trust and proxy of each.

Settings: `registries.insecure`, a list of `host`, `host:port` or networks (`10.0.0.0/8`): certificates are not
verified there and plain http is tried after https; `registries.mirrors`, a table of registry to a list of
`host[:port][/prefix]` or URLs; `proxies.http`, `proxies.https`, `proxies.no_proxy`, which the environment overrides.
Then what registries.conf says (crate.registry.registries_conf).
"""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from crate.errors import UsageError
from crate.registry import registries_conf

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crate.oci.reference import Reference
    from crate.registry.registries_conf import RegistriesConf

_HUB = "registry-1.docker.io"
_HUB_NAMES = ("docker.io", "index.docker.io")


class Settings(Protocol):
    """What this package asks the configuration: the value of a dotted key, None when it has none."""

    def get(self, key: str) -> Any:
        """The value in force."""


class Endpoint:
    """One server: `host` with its port, `prefix` of its paths ("" or "/x"), `schemes` to try in order.

    `path` is the repository there; `name` what its credentials are kept by, "" for a mirror that gets none.
    """

    __slots__ = ("host", "insecure", "is_mirror", "name", "path", "prefix", "schemes")

    def __init__(
        self,
        host: str,
        prefix: str,
        schemes: tuple[str, ...],
        insecure: bool,
        is_mirror: bool,
        path: str = "",
        name: str = "",
    ) -> None:
        self.path = path
        self.name = name
        self.host = host
        self.prefix = prefix
        self.schemes = schemes
        self.insecure = insecure
        self.is_mirror = is_mirror

    def __repr__(self) -> str:
        return f"Endpoint({'|'.join(self.schemes)}://{self.host}{self.prefix}, insecure={self.insecure})"


def endpoints(
    reference: Reference, settings: Settings, tls_verify: bool | None = None, conf: RegistriesConf | None = None
) -> list[Endpoint]:
    """The servers that may have the image, best first, the registry itself last.

    `tls_verify` is the option, None leaves it to the settings. Raises UsageError for a mirror that cannot be read, and
    for a registry that registries.conf blocks.
    """
    insecure = _strings(settings.get("registries.insecure"))
    mirrors = settings.get("registries.mirrors") or {}
    found = [_mirror(text, insecure, tls_verify) for text in _strings(mirrors.get(reference.domain))]
    for endpoint in found:
        endpoint.path = reference.path
    rule = (conf or registries_conf.load(rules_only=True)).rule(reference)
    places = rule.places(reference) if rule else [(reference.domain, reference.path, False, False)]
    for domain, path, trusting, is_mirror in places:
        host = _HUB if domain in _HUB_NAMES else domain
        listed = [host] if trusting else insecure
        endpoint = _endpoint(host, "", listed, tls_verify, is_mirror)
        endpoint.path, endpoint.name = path, domain
        found.append(endpoint)
    return found


def _mirror(text: str, insecure: Iterable[str], tls_verify: bool | None) -> Endpoint:
    address = text if "://" in text else f"//{text}"
    parts = urlsplit(address)
    if parts.scheme not in ("", "http", "https") or not parts.netloc or "@" in parts.netloc:
        raise UsageError(f'invalid mirror "{text}"', "registries.mirrors takes host[:port][/prefix] or a URL")
    made = _endpoint(parts.netloc, parts.path.rstrip("/"), insecure, tls_verify, is_mirror=True)
    if parts.scheme:
        made.schemes = (parts.scheme,)
    return made


def _endpoint(host: str, prefix: str, insecure: Iterable[str], tls_verify: bool | None, is_mirror: bool) -> Endpoint:
    trusting = is_insecure(host, insecure) if tls_verify is None else not tls_verify
    return Endpoint(host, prefix, ("https", "http") if trusting else ("https",), trusting, is_mirror)


def is_insecure(host: str, listed: Iterable[str]) -> bool:
    """Is `host[:port]` in the list, or on the loopback, which docker never asks for a certificate?"""
    name = host_name(host)
    address = _address(name)
    if name == "localhost" or (address is not None and address.is_loopback):
        return True
    for entry in listed:
        if entry in (host, name):
            return True
        if "/" in entry and address is not None:
            try:
                if address in ipaddress.ip_network(entry, strict=False):
                    return True
            except ValueError:
                continue
    return False


def host_name(host: str) -> str:
    """`host` without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else []


def proxy_for(url: str, settings: Settings) -> str | None:
    """The proxy for `url`, None for a direct way, by Go's rules: the loopback never takes one."""
    parts = urlsplit(url)
    scheme, host = parts.scheme, parts.hostname or ""
    proxy = _environment(f"{scheme}_proxy") or settings.get(f"proxies.{scheme}") or _environment("all_proxy")
    address = _address(host)
    if not proxy or host == "localhost" or (address is not None and address.is_loopback):
        return None
    exceptions = _environment("no_proxy") or settings.get("proxies.no_proxy") or ""
    words = exceptions.replace(",", " ").split() if isinstance(exceptions, str) else _strings(exceptions)
    port = parts.port or (443 if scheme == "https" else 80)
    if any(_excepts(word, host, port) for word in words):
        return None
    return str(proxy)


def _environment(name: str) -> str | None:
    return os.environ.get(name) or os.environ.get(name.upper())


def _excepts(word: str, host: str, port: int) -> bool:
    if word == "*":
        return True
    address = _address(host)
    if address is not None and "/" in word:
        try:
            return address in ipaddress.ip_network(word, strict=False)
        except ValueError:
            return False
    if _address(word.strip("[]")) is None:
        name, colon, wanted = word.rpartition(":")
        if colon and wanted.isdigit():
            if int(wanted) != port:
                return False
            word = name
    word = word.strip("[]").lower()
    host = host.lower()
    bare = word.removeprefix("*").removeprefix(".")
    exact = host == bare and not word.startswith((".", "*."))
    return exact or (address is None and host.endswith(f".{bare}"))
