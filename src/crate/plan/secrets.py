"""--secret of run and create: which secrets a container is given, and as what."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class SecretUse(TypedDict):
        """`target` is a path, or the name of a variable; `uid`, `gid` None: those of the container's process."""

        name: str
        type: str
        target: str
        uid: int | None
        gid: int | None
        mode: int


#: where the files of secrets are, unless they have a path of their own
DIRECTORY = "/run/secrets"
_KEYS = ("source", "type", "target", "uid", "gid", "mode")
_HINT = "NAME[,type=mount|env][,target=NAME|PATH][,uid=UID][,gid=GID][,mode=OCTAL]"


def make_secrets(texts: list[str]) -> list[SecretUse]:
    """The uses in their order. UsageError."""
    uses = [_parse(text) for text in texts]
    seen: set[tuple[str, str]] = set()
    for use in uses:
        if (use["type"], use["target"]) in seen:
            raise UsageError(f"cannot use secret {use['name']}: {use['target']} is taken by another secret")
        seen.add((use["type"], use["target"]))
    return uses


def _parse(text: str) -> SecretUse:
    words = text.split(",")
    given: dict[str, str] = {}
    if "=" not in words[0]:
        given["source"] = words.pop(0)
    for word in words:
        key, equals, value = word.partition("=")
        if key not in _KEYS or not equals or not value:
            raise UsageError(f"error parsing secret {text}: option {word} is invalid", _HINT)
        given[key] = value
    name, kind = given.get("source", ""), given.get("type", "mount")
    if not name:
        raise UsageError(f"error parsing secret {text}: no source found", _HINT)
    if kind not in ("mount", "env"):
        raise UsageError(f"error parsing secret {text}: type {kind} is invalid", "mount or env")
    target = given.get("target") or name
    if kind == "env":
        if any(key in given for key in ("uid", "gid", "mode")):
            raise UsageError(f"error parsing secret {text}: uid, gid and mode are for files", "leave them away")
        if "=" in target:  # the name of the variable would end there
            raise UsageError(f"error parsing secret {text}: target {target} is invalid", "a variable's name has no `=`")
        return {"name": name, "type": kind, "target": target, "uid": None, "gid": None, "mode": 0}
    words = [word for word in target.split("/") if word not in ("", ".")]
    path = f"/{'/'.join(words)}" if target.startswith("/") else f"{DIRECTORY}/{'/'.join(words)}"
    if not words or ".." in words or target.endswith("/") or path == DIRECTORY:
        raise UsageError(f"error parsing secret {text}: target {target} is invalid", "the path of a file, without ..")
    return {
        "name": name,
        "type": kind,
        "target": path,
        "uid": _number(text, given, "uid", 10),
        "gid": _number(text, given, "gid", 10),
        "mode": 0o400 if "mode" not in given else _number(text, given, "mode", 8) or 0,
    }


def _number(text: str, given: dict[str, str], key: str, base: int) -> int | None:
    if key not in given:
        return None
    try:
        number = int(given[key], base)
    except ValueError:
        number = -1
    if not 0 <= number <= (0o777 if base == 8 else 0x7FFFFFFF) or not given[key].isalnum():
        raise UsageError(f"error parsing secret {text}: {key} {given[key]} is invalid", _HINT)
    return number
