"""Reads config.toml, checks it against the table of defaults, and keeps the result in a form that loads at once."""

from __future__ import annotations

import marshal
import os
import sys

from crate.errors import HostError, UsageError
from crate.settings.defaults import DEFAULTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.settings.defaults import Value

    # path, mtime in ns, size, inode, whether it is podman's
    Stamp = list[Any]

_VERSION = 2
_TYPES = {bool: "true or false", int: "a whole number", str: "a string", list: "a list of strings", dict: "a table"}


def read_cached(stamps: list[Stamp], cache_dir: str | None) -> dict[str, tuple[Value, str]]:
    """Key → (value, file) of the files in `stamps`, the strongest last; from the cache while they are unchanged."""
    cache = None if cache_dir is None else f"{cache_dir}/settings.{os.getuid()}"
    key = [_VERSION, sys.hexversion, stamps]  # marshal's form belongs to one version of Python
    if cache is not None:
        try:
            with open(cache, "rb", buffering=0) as file:
                content = marshal.loads(file.readall() or b"")
            if content["key"] == key:
                return dict(content["given"])
        except (OSError, EOFError, ValueError, KeyError, TypeError):
            pass
    given: dict[str, tuple[Value, str]] = {}
    for path, *_, is_podmans in stamps:
        given.update(_read(path, is_podmans))
    if cache is not None:
        _keep(cache, marshal.dumps({"key": key, "given": given}))
    return given


def _keep(cache: str, content: bytes) -> None:
    temporary = f"{cache}.{os.getpid()}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, content)
        finally:
            os.close(fd)
        os.rename(temporary, cache)
    except OSError:
        pass  # without a cache the next command reads the file again


def _read(path: str, is_podmans: bool) -> dict[str, tuple[Value, str]]:
    import tomllib

    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {str(error)[:1].lower()}{str(error)[1:]}") from None
    if is_podmans:
        from crate.settings.containers_conf import translated

        return {key: (_checked(path, key, value), path) for key, value in translated(content)}
    return {key: (value, path) for key, value in _flat(path, "", content)}


def _flat(path: str, prefix: str, table: dict[str, Any]) -> list[tuple[str, Value]]:
    found: list[tuple[str, Value]] = []
    for name, value in table.items():
        key = f"{prefix}{name}"
        if key in DEFAULTS:
            found.append((key, _checked(path, key, value)))
        elif isinstance(value, dict) and any(known.startswith(f"{key}.") for known in DEFAULTS):
            found += _flat(path, f"{key}.", value)
        else:
            raise UsageError(f"{path}: unknown key {key}", _nearest(key))
    return found


def _nearest(key: str) -> str:
    from difflib import get_close_matches

    tables = sorted({known.partition(".")[0] for known in DEFAULTS})
    names = [known for known in DEFAULTS if known.partition(".")[2] == key]
    close = names or ([] if "." in key else get_close_matches(key, tables, 1)) or get_close_matches(key, DEFAULTS, 1)
    if close:
        return f"did you mean {close[0]}?"
    return "docs/configuration.md lists all keys"


def _checked(path: str, key: str, value: Any) -> Value:
    wanted = type(DEFAULTS[key][0])
    fits = type(value) is wanted
    if wanted is list and fits:
        fits = all(isinstance(item, str) for item in value)
    if wanted is dict and fits:
        value = {name: [item] if isinstance(item, str) else item for name, item in value.items()}
        if not all(isinstance(item, list) and all(isinstance(one, str) for one in item) for item in value.values()):
            raise UsageError(f"{path}: every value of {key} must be a string or a list of strings")
    if not fits:
        raise UsageError(f"{path}: {key} must be {_TYPES[wanted]}")
    return value  # type: ignore[no-any-return]
