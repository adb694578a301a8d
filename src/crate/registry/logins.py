"""Logging in and out: credentials tried at a registry, written to a file or given to a helper.

A file is replaced as a whole by one of mode 0600; what else is in it stays, as docker and podman share it.
"""

from __future__ import annotations

import base64
import os
from fcntl import LOCK_EX, flock
from typing import TYPE_CHECKING, Any

from crate.errors import RegistryError, UsageError
from crate.oci import json
from crate.oci.reference import Reference
from crate.registry import credentials as credential_files
from crate.registry import keychains, registries_conf
from crate.registry.client import Client
from crate.registry.credentials import Credentials
from crate.registry.failure import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crate.registry.endpoint import Settings


def registry_of(text: str) -> Reference:
    """What a user logs in to: `quay.io`, `https://quay.io/v2/`, or a part of one, `quay.io/team/app`. UsageError."""
    plain = text.strip()
    for prefix in ("https://", "http://", "docker://"):
        plain = plain.removeprefix(prefix)
    host, _, path = plain.partition("/")
    path = path.strip("/")
    if not host or host.strip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") or "@" in path:
        raise UsageError(f'invalid registry "{text}"', "for instance registry.example:5000")
    if host in ("index.docker.io", "registry-1.docker.io"):
        host = "docker.io"
    return Reference(host, "" if path in ("v1", "v2") else path)


def default_registry() -> str:
    """The registry that is meant where none is named: the first of registries.conf for short names, else Docker Hub."""
    return next(iter(registries_conf.load().search), "docker.io")


def key_of(registry: Reference) -> str:
    """How the registry is called in files and messages."""
    return f"{registry.domain}/{registry.path}" if registry.path else registry.domain


def check(registry: Reference, settings: Settings, tried: Credentials, options: Mapping[str, Any]) -> None:
    """Raises Refused unless the registry takes the credentials, RegistryError when it cannot be asked.

    `options`: `tls_verify`, `cert_dir`.
    """
    client = Client(
        registry,
        settings,
        verb="log in to",
        credentials=tried,
        tls_verify=options.get("tls_verify"),
        certificates=options.get("cert_dir"),
    )
    try:
        client.ping()
    except Refused as error:
        message = f'logging into "{key_of(registry)}": invalid username/password'
        raise Refused(message) from error
    finally:
        client.close()


def file_to_write(authfile: str | None) -> str:
    """Where credentials are kept: `--authfile`, else the first of the files that are read."""
    return authfile or credential_files.files()[0]


def store(registry: Reference, given: Credentials, authfile: str | None) -> str:
    """Keeps credentials; gives the file, or the helper that they went to. Raises RegistryError, UsageError."""
    path = file_to_write(authfile)
    used = path

    def change(document: dict[str, Any]) -> None:
        nonlocal used
        helper, key = _helper(document, registry), _file_key(registry, path)
        entry: dict[str, Any] = {}
        if helper:
            keychains.store(helper, credential_files.server_of(key_of(registry)), given.user, given.password, path)
            used = f"docker-credential-{helper}"
        else:
            entry["auth"] = base64.b64encode(f"{given.user}:{given.password}".encode()).decode()
        if not helper or _is_store(document, registry):
            _table(document, "auths")[key] = entry

    _rewrite(path, change)
    return used


def remove(registry: Reference, authfile: str | None) -> bool:
    """Forgets credentials; False when there were none. Raises RegistryError."""
    path = file_to_write(authfile)
    found = False

    def change(document: dict[str, Any]) -> None:
        nonlocal found
        helper = _helper(document, registry)
        if helper:
            server = credential_files.server_of(key_of(registry))
            found = keychains.get(helper, server, path) is not None
            keychains.erase(helper, server, path)
        auths = _table(document, "auths")
        for key in [key for key in auths if credential_files.is_key_of(key, key_of(registry))]:
            del auths[key]
            found = True

    if os.path.exists(path):
        _rewrite(path, change)
    return found


def remove_all(authfile: str | None) -> None:
    """Forgets the credentials of all registries. Raises RegistryError."""
    path = file_to_write(authfile)

    def change(document: dict[str, Any]) -> None:
        auths = _table(document, "auths")
        for key in [*auths, *_table(document, "credHelpers")]:
            registry = registry_of(key)
            helper = _helper(document, registry)
            if helper:
                keychains.erase(helper, credential_files.server_of(key_of(registry)), path)
        auths.clear()

    if os.path.exists(path):
        _rewrite(path, change)


def _table(document: dict[str, Any], key: str) -> dict[str, Any]:
    found = document.get(key)
    if not isinstance(found, dict):
        found = {}
        if key == "auths":
            document[key] = found
    return found


def _helper(document: dict[str, Any], registry: Reference) -> str:
    own = _table(document, "credHelpers").get(registry.domain)
    return str(own or document.get("credsStore") or "")


def _is_store(document: dict[str, Any], registry: Reference) -> bool:
    """docker notes in the file whom the one helper of all registries knows."""
    return not _table(document, "credHelpers").get(registry.domain)


def _file_key(registry: Reference, path: str) -> str:
    """docker looks for Docker Hub by an old URL in its own file."""
    is_dockers = os.path.basename(path) == "config.json"
    return credential_files.server_of(registry.domain) if is_dockers and not registry.path else key_of(registry)


def _rewrite(path: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Reads the file, has it changed, and puts the new one in its place; others who do so wait."""
    path = os.path.realpath(path)  # a link into somebody's dotfiles stays one
    directory = os.path.dirname(path)
    try:
        os.makedirs(directory, 0o700, exist_ok=True)
        directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            flock(directory_fd, LOCK_EX)
            document = credential_files.read(path, must_exist=False) or {}
            before = json.dumps(document)
            change(document)
            if json.dumps(document) != before or not os.path.exists(path):
                _replace(path, document)
        finally:
            os.close(directory_fd)
    except OSError as error:
        raise RegistryError(f"cannot write credentials {path}: {os.strerror(error.errno or 0)}") from None


def _replace(path: str, document: dict[str, Any]) -> None:
    import json as standard  # indented, as a file that people edit

    temporary = f"{path}.{os.urandom(8).hex()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(standard.dumps(document, indent="\t") + "\n")
            file.flush()
            os.fsync(fd)
            if os.path.exists(path) and os.geteuid() == 0:
                owner = os.stat(path)
                os.fchown(fd, owner.st_uid, owner.st_gid)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
