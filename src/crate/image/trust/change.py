"""`image trust`: the policy file as people see it, and one scope of it changed."""

from __future__ import annotations

import os

from crate.errors import UsageError
from crate.image.trust import gpg, identity, policy, registries_d
from crate.image.trust.requirement import ACCEPT, REJECT, SIGNED_BY, SIGSTORE, Requirement
from crate.storage.durable import write_file
from crate.storage.roots import user_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypedDict

    class Shown(TypedDict):
        """A scope and one of its requirements: `type` in podman's words, `keys` are paths, `ids` whose they are."""

        transport: str
        name: str
        type: str
        keys: list[str]
        ids: list[str]
        store: str


TYPES = {"accept": ACCEPT, "reject": REJECT, "signedBy": SIGNED_BY, "sigstoreSigned": SIGSTORE}
_WORDS = {ACCEPT: "accept", REJECT: "reject", SIGNED_BY: "signed", SIGSTORE: "sigstoreSigned"}
DEFAULT = "default"


def show(path: str) -> list[Shown]:
    """The default first, then scope by scope. Raises UsageError."""
    found = policy.parse(policy.read(path), path)
    rows = [_shown("all", DEFAULT, one) for one in found.default]
    for transport, scopes in sorted(found.transports.items()):
        for scope, requirements in sorted(scopes.items()):
            kind = "repository" if transport in ("docker", "atomic") else transport
            rows += [_shown(kind, scope, one) for one in requirements]
    return rows


def without_policy() -> list[Shown]:
    """What holds where there is no policy file."""
    return [_shown("all", DEFAULT, Requirement(ACCEPT, [], [], identity.DEFAULT))]


def _shown(transport: str, scope: str, one: Requirement) -> Shown:
    ids: list[str] = []
    if one.type == SIGNED_BY:
        for key in one.keys("the policy"):
            ids += gpg.key_ids(key)
    where = scope if transport == "repository" else "" if scope == DEFAULT else scope
    store = registries_d.store_of(where) if transport in ("repository", "all") else ""
    return {"transport": transport, "name": scope, "type": _WORDS[one.type], "keys": one.key_paths, "ids": ids,
            "store": store}  # fmt: skip


def place_to_write() -> str:
    """The file that `set` changes: the one in force, or where a new one belongs."""
    found = policy.find()
    if found and os.access(found, os.W_OK):
        return found
    return (policy.user_file() if user_place()[0] or found else "") or policy.SYSTEM_FILE


def set_scope(path: str, scope: str, kind: str, keys: Sequence[str]) -> None:
    """Makes `scope`, a registry or a repository or `default`, need what `kind` says. Raises UsageError."""
    if kind not in TYPES:
        raise UsageError(f'invalid choice: "{kind}" is no type of trust', f"one of: {', '.join(TYPES)}")
    is_signed = kind in ("signedBy", "sigstoreSigned")
    if is_signed and not keys:
        raise UsageError(f"at least one public key must be defined for type {kind}", "--pubkeysfile FILE")
    if keys and not is_signed:
        raise UsageError(f"--pubkeysfile is for signedBy and sigstoreSigned, not for {kind}")
    for key in keys:
        if not key.startswith("/") or not os.path.isfile(key):
            raise UsageError(f"{key}: no such key file", "give its absolute path")
    entries: list[dict[str, Any]] = [{"type": TYPES[kind]}]
    if is_signed:
        more = {"keyType": "GPGKeys"} if kind == "signedBy" else {}
        entries = [{"type": TYPES[kind], **more, "keyPath": key} for key in keys]
    content: dict[str, Any] = policy.read(path) if os.path.exists(path) else {"default": [{"type": ACCEPT}]}
    policy.parse(content, path)  # a broken file is not made worse
    if scope == DEFAULT:
        content["default"] = entries
    else:
        content.setdefault("transports", {}).setdefault("docker", {})[scope] = entries
    policy.parse(content, path)
    _write(path, content)


def _write(path: str, content: dict[str, Any]) -> None:
    import json as library

    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        write_file(None, path, library.dumps(content, indent=4) + "\n", durable=True, mode=0o644)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {os.strerror(error.errno or 0)}") from None
