"""Credentials for registries from the files of docker, podman and skopeo, and from credential helpers.

Files (containers-auth.json(5), docker-login): $REGISTRY_AUTH_FILE alone when set, $DOCKER_CONFIG/config.json alone when
that is, else $XDG_RUNTIME_DIR/containers/auth.json (/run/containers/UID), $XDG_CONFIG_HOME/containers/auth.json,
~/.docker/config.json, ~/.dockercfg. crate.registry.logins writes them.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import TYPE_CHECKING, Any

from crate.errors import RegistryError, UsageError
from crate.oci import json
from crate.registry import keychains

if TYPE_CHECKING:
    from crate.oci.reference import Reference

_HUB_KEYS = ("docker.io", "https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io")
_HUB_SERVER = "https://index.docker.io/v1/"
_FILE_MAX = 4 << 20


class Credentials:
    """A user and a password, or an identity token (OAuth2 refresh token), or a registry token to be sent as it is."""

    __slots__ = ("identity_token", "password", "registry_token", "user")

    def __init__(self, user: str = "", password: str = "", identity_token: str = "", registry_token: str = "") -> None:
        self.user = user
        self.password = password
        self.identity_token = identity_token
        self.registry_token = registry_token

    def __repr__(self) -> str:
        return f"Credentials({self.user!r})"  # never the secret: this ends in logs and assertion messages

    def __bool__(self) -> bool:
        return bool(self.user or self.identity_token or self.registry_token)

    def basic(self) -> str:
        """The value of an Authorization header of the Basic scheme."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def from_option(text: str) -> Credentials:
    """`--creds USER[:PASSWORD]`."""
    user, _, password = text.partition(":")
    if not user:
        raise UsageError("invalid credentials: no user name", "give them as --creds USER:PASSWORD")
    return Credentials(user, password)


def find(reference: Reference, authfile: str | None = None) -> Credentials:
    """The credentials for the repository of `reference`; empty ones when there are none.

    `authfile`: read this file only (`--authfile`); it must be there. Raises RegistryError for a file that is no JSON
    and for a helper that fails.
    """
    for path in [authfile] if authfile else files():
        document = read(path, must_exist=bool(authfile))
        found = _in_document(document, reference, path) if document else None
        if found:
            return found
    return Credentials()


def files() -> list[str]:
    """The files that are read, first one first."""
    override = os.environ.get("REGISTRY_AUTH_FILE")
    if override:
        return [override]
    docker = os.environ.get("DOCKER_CONFIG")
    if docker:
        return [f"{docker}/config.json"]
    home = os.environ.get("HOME") or "/"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    configuration = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    return [
        f"{runtime}/containers/auth.json" if runtime else f"/run/containers/{_host_uid()}/auth.json",
        f"{configuration}/containers/auth.json",
        f"{home}/.docker/config.json",
        f"{home}/.dockercfg",
    ]


def _host_uid() -> int:
    """Our user id, as the host sees it: an ordinary user's crate is uid 0 in its namespace."""
    with open("/proc/self/uid_map", "rb") as file:
        first = file.readline().split()
    return int(first[1]) if os.geteuid() == 0 and first and first[0] == b"0" else os.geteuid()


def read(path: str, must_exist: bool) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            text = file.read(_FILE_MAX)
    except OSError as error:
        if must_exist:
            raise RegistryError(f"cannot read credentials {path}: {os.strerror(error.errno or 0)}") from None
        return None  # a file of another user is as good as none: docker ignores it alike
    if not text.strip():
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise RegistryError(f"cannot read credentials {path}: not JSON") from None
    if not isinstance(document, dict):
        return None
    return {"auths": document} if path.endswith("/.dockercfg") else document


def _in_document(document: dict[str, Any], reference: Reference, path: str) -> Credentials | None:
    special = document.get("credHelpers")
    auths = document.get("auths")
    keys = _keys(reference)
    if isinstance(special, dict):
        for key in keys:
            if special.get(key):
                return _ask_helper(str(special[key]), server_of(key), path)
    if isinstance(auths, dict):
        # docker wrote keys as URLs for a long time: https://registry.example.com/v1/
        plain = {_plain(str(key)): value for key, value in auths.items()}
        for key in keys:
            found = _from_entry(plain.get(_plain(key)), path)
            if found:
                return found
    store = document.get("credsStore")
    return _ask_helper(str(store), server_of(reference.domain), path) if store else None


def _keys(reference: Reference) -> list[str]:
    """The keys under which credentials may be kept, the most special first."""
    parts = reference.path.split("/")
    keys = [f"{reference.domain}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    keys = [] if not reference.path else keys
    return keys + ([*_HUB_KEYS] if reference.domain == "docker.io" else [reference.domain])


def is_key_of(key: str, registry: str) -> bool:
    """Does a key of a file stand for this registry, or part of one?"""
    return _plain(key) in ([_plain(one) for one in _HUB_KEYS] if registry == "docker.io" else [registry])


def _plain(key: str) -> str:
    for prefix in ("https://", "http://"):
        if key.startswith(prefix):
            host, _, path = key[len(prefix) :].partition("/")
            return host if path.strip("/") in ("", "v1", "v2") else f"{host}/{path.strip('/')}"
    return key


def server_of(key: str) -> str:
    """How helpers, and docker's own file, call it."""
    return _HUB_SERVER if key in _HUB_KEYS else key


def _from_entry(entry: object, path: str) -> Credentials | None:
    if not isinstance(entry, dict):
        return None
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise RegistryError(f"cannot read credentials {path}: an auth entry is not base64") from None
    return Credentials(
        user, password.rstrip("\0"), str(entry.get("identitytoken") or ""), str(entry.get("registrytoken") or "")
    )


def _ask_helper(name: str, server: str, path: str) -> Credentials | None:
    found = keychains.get(name, server, path)
    if found is None:
        return None
    user, secret = found
    return Credentials(identity_token=secret) if user == "<token>" else Credentials(user, secret)
