"""TLS towards registries: whom to trust, client certificates, and the adapter that makes requests use it.

Directories (docker's certs.d, containers-certs.d(5)), by `host:port`: `*.crt` are authorities, `*.cert` with
`*.key` of the same name are client certificates. Authorities otherwise are the system's, not certifi's: that is where
an administrator adds one.
"""

from __future__ import annotations

import os
import ssl
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from crate.errors import RegistryError

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

_CONNECTIONS = 16


def certificate_directories(host: str) -> list[str]:
    """Where certificates for `host[:port]` may be, the user's own first."""
    home = os.environ.get("HOME") or "/"
    configuration = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    parents = (f"{configuration}/containers/certs.d", "/etc/containers/certs.d", "/etc/docker/certs.d")
    return [os.path.join(parent, host) for parent in parents]


def context(host: str, insecure: bool, certificates: str | None = None) -> ssl.SSLContext:
    """The TLS settings for `host[:port]`; `certificates`: one more directory with some.

    Raises RegistryError for a certificate that cannot be loaded.
    """
    if insecure:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the user has listed it
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the system's authorities, which take 25 ms to load
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made = ssl.create_default_context()
        if not _has_system_authorities():
            import certifi

            made.load_verify_locations(certifi.where())
    for directory in (*certificate_directories(host), *([certificates] if certificates else [])):
        _load(made, directory)
    return made


def _has_system_authorities() -> bool:
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return True
    try:
        return bool(paths.capath) and bool(os.listdir(paths.capath))
    except OSError:
        return False


def _load(made: ssl.SSLContext, directory: str) -> None:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        path = os.path.join(directory, name)
        try:
            if name.endswith(".crt"):
                made.load_verify_locations(path)
            elif name.endswith(".cert"):
                made.load_cert_chain(path, path[: -len(".cert")] + ".key")
        except OSError as error:  # ssl.SSLError included
            raise RegistryError(f"cannot load certificate {path}: {error.strerror or error}") from None


class Trust(BaseAdapter):
    """The adapter of all https requests: for each host its own certificates, loaded when first needed.

    `own_host` alone may be `insecure`, its certificate not verified, and use the directory `certificates` besides.
    Stands for `Session.mount`, which may not be called while other threads look for an adapter.
    """

    def __init__(self, own_host: str, insecure: bool, certificates: str | None = None) -> None:
        super().__init__()
        self._own_host = own_host.lower()
        self._insecure = insecure
        self._certificates = certificates
        self._adapters: dict[str, _Adapter] = {}
        self._lock = threading.Lock()

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
        """Sends it with the certificates of its host."""
        host = urlsplit(request.url or "").netloc.rpartition("@")[2].lower()
        with self._lock:
            adapter = self._adapters.get(host)
            if adapter is None:
                own = host == self._own_host
                made = context(host, own and self._insecure, self._certificates if own else None)
                adapter = self._adapters[host] = _Adapter(made)
        return adapter.send(request, *arguments, **options)

    def close(self) -> None:
        """Closes all connections."""
        for adapter in self._adapters.values():
            adapter.close()


class _Adapter(HTTPAdapter):
    """Connections over one TLS context, whatever requests thinks of certificates; no retries of its own."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        super().__init__(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS, max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Hands the context to every connection."""
        super().init_poolmanager(*arguments, ssl_context=self._tls, **options)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        """The same behind a proxy."""
        return super().proxy_manager_for(proxy, ssl_context=self._tls, **options)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: requests would load certifi's authorities into the context (25 ms, and another trust)."""

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: bool | str, cert: str | tuple[str, str] | None = None
    ) -> tuple[Any, Any]:
        """As `cert_verify`: the context decides what is verified."""
        wanted = self._tls.verify_mode != ssl.CERT_NONE
        return super().build_connection_pool_key_attributes(request, wanted, None)
