"""The verbs on secrets: create, list, inspect, remove."""

from __future__ import annotations

import os

from crate.errors import UsageError
from crate.storage import secrets as store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.context import Engine
    from crate.storage.secrets import SecretRecord


def create(engine: Engine, options: dict[str, Any]) -> str:
    """The id of the secret, whose value comes from a file, standard input (`-`) or a variable. UsageError."""
    if options.get("driver") not in (None, "", "file"):
        raise UsageError(f"no such secret driver: {options['driver']}", "file is the only one")
    if options.get("driver_opts"):
        raise UsageError("invalid driver option: the driver file has none", "leave --driver-opts away")
    labels = dict(_pair(text) for text in options.get("label") or ())
    value = _value(options["file"], bool(options.get("env")))
    return store.create(engine.roots, options["name"], value, labels=labels, replace=bool(options.get("replace")))["id"]


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name:
        raise UsageError(f'invalid argument "{text}" for "--label" flag: must be formatted as key=value')
    return name, value


def _value(source: str, is_variable: bool) -> bytes:
    if is_variable:
        value = os.environ.get(source)
        if value is None:
            raise UsageError(f"cannot create store secret data: environment variable {source} is not set")
        return value.encode("utf-8", "surrogateescape")
    try:
        fd = os.dup(0) if source == "-" else os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            return file.read(store.LIMIT_BYTES)
    except OSError as error:
        raise UsageError(
            f"cannot read secret from {source}: {error.strerror}", "FILE, or - for standard input"
        ) from None


def listing(engine: Engine) -> list[SecretRecord]:
    """The records of all secrets by name."""
    return store.list_all(engine.roots)


def inspect(engine: Engine, text: str, show: bool = False) -> dict[str, Any]:
    """What podman tells of a secret; its value only with `show`. NotFoundError."""
    record = store.find(engine.roots, text)
    found: dict[str, Any] = {
        "ID": record["id"],
        "CreatedAt": record["created"],
        "UpdatedAt": record["updated"],
        "Spec": {"Name": record["name"], "Driver": {"Name": "file", "Options": {}}, "Labels": record["labels"]},
    }
    if show:
        found["SecretData"] = store.value(engine.roots, record["id"]).decode("utf-8", "replace")
    return found


def remove(engine: Engine, text: str) -> str:
    """Removes it and gives its id; the containers that were given it keep their copies. NotFoundError."""
    secret_id = store.find(engine.roots, text)["id"]
    store.remove(engine.roots, secret_id)
    return secret_id
