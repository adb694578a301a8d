"""containers-registries.d(5): where the signatures of a registry's images lie.

~/.config/containers/registries.d, or where that is not there /etc/containers/registries.d:   *.yaml, all together
"""

from __future__ import annotations

import os

from crate.errors import UsageError
from crate.storage.roots import user_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.oci.reference import Reference

_SYSTEM = "/etc/containers/registries.d"
_USER = ".config/containers/registries.d"
_SYSTEM_STORE, _USER_STORE = "/var/lib/containers/sigstore", ".local/share/containers/sigstore"
_WORDS = ("lookaside", "lookaside-staging", "sigstore", "sigstore-staging", "use-sigstore-attachments")


class Places:
    """Of one image: `read` and `write` are base URLs of GPG signatures; `attachments`: does the registry keep some?"""

    __slots__ = ("attachments", "read", "write")

    def __init__(self, read: str, write: str, attachments: bool) -> None:
        self.read = read
        self.write = write
        self.attachments = attachments


def places(reference: Reference) -> Places:
    """Where the signatures of an image are read and written. Raises UsageError for a malformed file."""
    scopes = [f"{reference.name}@{reference.digest}" if reference.digest else str(reference)]
    scope = reference.name
    while scope:
        scopes.append(scope)
        scope = scope.rpartition("/")[0]
    known = _load()
    read = write = ""
    attachments: bool | None = None
    # A narrower scope need not say everything: each word is looked for by itself.
    for entry in [*(known[scope] for scope in scopes if scope in known), known.get("", {})]:
        own = entry.get("lookaside") or entry.get("sigstore") or ""
        write = write or entry.get("lookaside-staging") or entry.get("sigstore-staging") or own
        read = read or own
        if attachments is None and "use-sigstore-attachments" in entry:
            attachments = bool(entry["use-sigstore-attachments"])
    default = f"file://{_store()}"
    return Places(read or default, write or read or default, bool(attachments))


def store_of(scope: str) -> str:
    """The base URL that is written for a scope (or "" for the default one), "" for none: for people to look at."""
    entry = _load().get(scope, {})
    return str(entry.get("lookaside") or entry.get("sigstore") or "")


def _store() -> str:
    home = os.environ.get("HOME", "")
    return f"{home}/{_USER_STORE}" if user_place()[0] and home else _SYSTEM_STORE


def _directory() -> str:
    home = os.environ.get("HOME", "")
    own = f"{home}/{_USER}" if home.startswith("/") else ""
    return own if own and os.path.isdir(own) else _SYSTEM


def _load() -> dict[str, dict[str, Any]]:
    """Scope -> its members; "" is `default-docker`."""
    directory = _directory()
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".yaml"))
    except OSError:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        path = f"{directory}/{name}"
        content = _read(path)
        given = dict(content.get("docker") or {})
        if content.get("default-docker") is not None:
            given[""] = content["default-docker"]
        for scope, entry in given.items():
            if scope in found:
                raise UsageError(f"{path}: {scope or 'default-docker'} is in another file of {directory} as well")
            found[scope] = _checked(path, scope, entry)
    return found


def _read(path: str) -> dict[str, Any]:
    import yaml

    try:
        with open(path, "rb") as file:
            content = yaml.safe_load(file)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, RecursionError):
        raise UsageError(f"cannot read {path}: it is not YAML") from None
    content = {} if content is None else content
    if not isinstance(content, dict) or not isinstance(content.get("docker") or {}, dict):
        raise UsageError(f"{path} is malformed", "containers-registries.d(5) tells its form")
    return content


def _checked(path: str, scope: object, entry: object) -> dict[str, Any]:
    if not isinstance(scope, str) or not isinstance(entry, dict):
        raise UsageError(f"{path}: {scope} is malformed", "containers-registries.d(5) tells its form")
    for word, value in entry.items():
        if word not in _WORDS or not isinstance(value, bool if word.startswith("use-") else str):
            raise UsageError(f"{path}: {word} of {scope or 'default-docker'} is unknown or of another type")
    return entry
