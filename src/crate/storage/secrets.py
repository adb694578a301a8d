"""Secrets: small values with a name, each in one file that only its owner may read.

    secrets/<id>.json            the record, and the value in base64

A container that is given a secret gets a copy when it is made, so that what is removed or replaced here stays as it was
there. Which containers have one is the engine's to know.
"""

from __future__ import annotations

import binascii
import os
import time

from crate.errors import NameInUseError, NotFoundError, StateError, UsageError
from crate.oci import json
from crate.storage.durable import read_file, sync_directory, write_file
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypedDict

    from crate.storage.roots import Roots

    class SecretRecord(TypedDict):
        """A secret without its value; times as in RFC 3339, in UTC."""

        version: int
        id: str
        name: str
        created: str
        updated: str
        labels: dict[str, str]


#: one byte more than a value may have, as for podman
LIMIT_BYTES = 512000
_KEYS = {"id", "name", "created", "updated", "labels", "value"}


def check_name(name: str) -> None:
    """Raises UsageError unless podman would take this as a secret's name."""
    if not 1 <= len(name) <= 253 or any(character in name for character in "=/,\0"):
        raise UsageError(
            f"secret name \"{name}\" must be 1 to 253 chars long and not include '=', '/', ',', or the NUL character"
        )


def create(
    roots: Roots, name: str, value: bytes, *, labels: Mapping[str, str] | None = None, replace: bool = False
) -> SecretRecord:
    """Keeps a value under a name, durable when this returns; with `replace` over one that is there, in one step.

    Raises NameInUseError, UsageError.
    """
    check_name(name)
    if not 0 < len(value) < LIMIT_BYTES:
        raise UsageError(f"secret data must be larger than 0 and less than {LIMIT_BYTES} bytes")
    directory = _directory(roots)
    os.makedirs(directory, 0o700, exist_ok=True)
    with Lock(directory):
        _sweep(directory)
        there = next((record for record in list_all(roots) if record["name"] == name), None)
        if there and not replace:
            raise NameInUseError(f"{name}: secret name in use", "--replace overwrites it")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        record: SecretRecord = {
            "version": 1,
            "id": there["id"] if there else os.urandom(13).hex()[:25],
            "name": name,
            "created": there["created"] if there else now,
            "updated": now,
            "labels": dict(labels or {}),
        }
        text = json.dumps({**record, "value": binascii.b2a_base64(value, newline=False).decode()})
        write_file(None, f"{directory}/{record['id']}.json", text, durable=True)
    return record


def list_all(roots: Roots) -> list[SecretRecord]:
    """The records of all secrets, sorted by name."""
    directory = _directory(roots)
    found = []
    for file in os.listdir(directory) if os.access(directory, os.F_OK) else ():
        if file.endswith(".json"):
            try:
                found.append(_read(roots, file)[0])
            except NotFoundError:
                pass  # removed while we look
    return sorted(found, key=lambda record: record["name"])


def find(roots: Roots, text: str) -> SecretRecord:
    """The secret of this name or id, or of the only id that begins so. NotFoundError; UsageError for several."""
    every = list_all(roots)
    for record in every:
        if text in (record["name"], record["id"]):
            return record
    near = [record for record in every if record["id"].startswith(text)] if text else []
    if len(near) > 1:
        raise UsageError(f"more than one secret has an id that begins with {text}", "give more of it")
    if not near:
        raise NotFoundError(f'no secret with name or id "{text}": no such secret', "see crate secret ls")
    return near[0]


def value(roots: Roots, secret_id: str) -> bytes:
    """What is secret. NotFoundError."""
    return binascii.a2b_base64(_read(roots, f"{secret_id}.json")[1])


def remove(roots: Roots, secret_id: str) -> None:
    """Takes a secret away at once. NotFoundError."""
    directory = _directory(roots)
    try:
        with Lock(directory):
            _sweep(directory)
            os.unlink(f"{directory}/{secret_id}.json")
    except FileNotFoundError:
        raise NotFoundError(f'no secret with name or id "{secret_id}": no such secret') from None
    sync_directory(directory)


def _sweep(directory: str) -> None:
    """Removes the values that killed commands were about to write, for who holds the lock, as each writer does."""
    for file in os.listdir(directory):
        if file.startswith("."):
            os.unlink(f"{directory}/{file}")


def _directory(roots: Roots) -> str:
    return f"{roots.graphroot}/secrets"


def _read(roots: Roots, file: str) -> tuple[SecretRecord, str]:
    try:
        record = json.loads(read_file(f"{_directory(roots)}/{file}"))
        if not record.keys() >= _KEYS or not isinstance(record["value"], str):
            raise ValueError
        return record, record.pop("value")
    except FileNotFoundError:
        raise NotFoundError(f'no secret with name or id "{file.removesuffix(".json")}": no such secret') from None
    except (ValueError, AttributeError):
        raise StateError(f"cannot read secret {file}: it is damaged", f"rm {_directory(roots)}/{file}") from None
