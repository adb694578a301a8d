"""Names of users and groups, looked up in the container's own /etc/passwd and /etc/group, read beneath its root."""

from __future__ import annotations

import os
import stat

from crate.errors import UsageError
from crate.linux.fs import O_PATH
from crate.runtime.paths import open_in_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_LIMIT = 1 << 20


def lookup(root_fd: int, text: str, groups: list[str]) -> tuple[dict[str, Any], str]:
    """The OCI `user` object of `user[:group]` (names or numbers, empty for root), and the user's home directory.

    `groups` are additional ones, by name or number. Without an explicit group the user's own one and those that
    list the user in /etc/group count, as docker does it.
    """
    user_text, _, group_text = text.partition(":")
    passwd = _records(root_fd, "etc/passwd", 7)
    group_lines = _records(root_fd, "etc/group", 3)
    entry = _find(passwd, user_text or "0")
    name = entry[0] if entry else ""
    home = entry[5] if entry else "/"
    if entry:
        uid, gid = _number(entry[2], text), _number(entry[3], text)
    elif _is_digits(user_text):  # beyond 32 bits too: refused, no name (CVE-2026-46680)
        uid, gid = _number(user_text, text), 0
    elif user_text in ("", "root"):
        uid, gid, name, home = 0, 0, "root", "/root"
    else:
        raise UsageError(f"unable to find user {user_text}: no matching entries in passwd file")
    if "\0" in home:
        raise UsageError(f"cannot use the home directory of user {text or 'root'}: a NUL byte in it")
    extra: list[int] = []
    if group_text:
        gid = _group(group_lines, group_text)
    elif name:
        extra = [_number(line[2], text) for line in group_lines if len(line) > 3 and name in line[3].split(",")]
    for wanted in groups:
        number = _group(group_lines, wanted)
        if number not in extra:
            extra.append(number)
    # The user's own group is among them: a file that denies it access must not be reached as "others" (CVE-2022-36109).
    extra = [gid, *(number for number in extra if number != gid)]
    return {"uid": uid, "gid": gid, "additionalGids": extra}, home or "/"


def lookup_group(root_fd: int, text: str) -> int:
    """The number of a group, by name or number. UsageError."""
    return _group(_records(root_fd, "etc/group", 3), text)


def lower_capabilities(capabilities: Any, added: Sequence[str]) -> None:
    """Who is not root has only what --cap-add gave by name; the rest is in the bounding set, for setuid programs."""
    wanted = {name if name.startswith("CAP_") else f"CAP_{name}" for name in map(str.upper, added)}
    kept = [name for name in capabilities["bounding"] if name in wanted]
    for kind in ("effective", "permitted", "inheritable", "ambient"):
        capabilities[kind] = kept


def names(root_fd: int, path: str) -> dict[int, str]:
    """Number -> name, of `etc/passwd` or `etc/group`; the first name of a number counts."""
    found: dict[int, str] = {}
    for line in _records(root_fd, path, 3):
        if _is_number(line[2]):
            found.setdefault(int(line[2]), line[0])
    return found


def _group(lines: list[list[str]], text: str) -> int:
    entry = _find(lines, text)
    if entry:
        return _number(entry[2], text)
    if _is_digits(text):
        return _number(text, text)
    raise UsageError(f"unable to find group {text}: no matching entries in group file")


def _find(lines: list[list[str]], text: str) -> list[str] | None:
    """The line of a name. Digits are never one, or an image could say who 5000 is: the first line with that id."""
    if _is_digits(text):
        matches = [line for line in lines if _is_number(line[2]) and _is_number(text) and int(line[2]) == int(text)]
    else:
        matches = [line for line in lines if line[0] == text]
    return matches[0] if matches else None


def _is_digits(text: str) -> bool:
    return text.isdigit() and text.isascii()


def _is_number(text: str) -> bool:
    """Whether it is made of the ten digits, and few of them: str.isdigit() takes ², and int() refuses 5000 digits."""
    return _is_digits(text) and len(text) < 20


def _number(text: str, context: str) -> int:
    if not _is_number(text) or int(text) > 0x7FFFFFFF:
        raise UsageError(f"user {context!r}: the id {text!r} is not within 0 to 2147483647")
    return int(text)


def _records(root_fd: int, path: str, fields: int) -> list[list[str]]:
    try:
        path_fd = open_in_root(root_fd, path, O_PATH)
    except OSError:
        return []
    try:
        # Looked at before it is opened: opening alone makes some devices do things, and an image may hold any.
        if not stat.S_ISREG(os.fstat(path_fd).st_mode):
            return []
        fd = os.open(f"/proc/self/fd/{path_fd}", os.O_RDONLY | os.O_CLOEXEC)
        text = os.read(fd, _LIMIT).decode("utf-8", "surrogateescape")
        os.close(fd)
    finally:
        os.close(path_fd)
    lines = [line.strip().split(":") for line in text.split("\n")]
    return [line for line in lines if len(line) >= fields and not line[0].startswith("#")]
