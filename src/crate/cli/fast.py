"""The fast parser: ordinary command lines, by the generated table; whatever is unusual is left to Typer.

Typer with sixty commands costs forty milliseconds (docs/speed.md), this under one tenth. It never complains: for
everything that it does not understand, `parse` returns None, and `cli/application.py` parses again and has the words.
"""

from __future__ import annotations

from crate.cli import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple

    class Request(NamedTuple):
        """A command file under `crate.cli` and its options; or the help text that is wanted instead."""

        module: str
        options: dict[str, Any]
        help: str


BOOLEANS = {
    "1": True, "t": True, "T": True, "TRUE": True, "true": True, "True": True,
    "0": False, "f": False, "F": False, "FALSE": False, "false": False, "False": False,
}  # fmt: skip


class _Unusual(Exception):
    """Something for Typer."""


class _Help(Exception):
    """`--help` came first."""


def parse(arguments: list[str]) -> tuple[str, dict[str, Any], str] | None:
    """What a command line asks for: (module, options, "") or ("", {}, words whose help is wanted). None: unusual."""
    given: dict[str, Any] = {}
    words = ""
    try:
        rest = _options(arguments, table.GLOBALS, "", given, given, [])
        if given.get("version"):
            return "system.version", {"format": None, "short": True, "globals": given}, ""
        if not rest or arguments[-len(rest) - 1 : -len(rest)] == ["--"]:
            return None
        words = rest.pop(0)
        while words in table.GROUPS:
            if not rest:
                return None
            if rest[0] in ("--help", "-h"):
                return "", {}, words
            words += " " + rest.pop(0)
        module = table.COMMANDS.get(words)
        if module is None:
            return None
        stop_at_argument, positions, keys, text = table.OPTIONS[module]
        options: dict[str, Any] = dict.fromkeys(keys.split())
        found: list[str] | None = None if stop_at_argument else []
        rest = _options(rest, text, table.GLOBALS, options, given, found)
        _arguments([*(found or []), *rest], positions, options)
    except _Unusual:
        return None
    except _Help:
        return "", {}, words
    options["globals"] = given
    return module, options, ""


def _options(
    arguments: list[str], text: str, more: str, into: dict[str, Any], given: dict[str, Any], found: list[str] | None
) -> list[str]:
    """Reads options of `text` into `into` and those of `more` into `given`; returns what follows them.

    Arguments among the options are added to `found`, or end the options where that is None.
    """
    count, index = len(arguments), 0
    while index < count:
        argument = arguments[index]
        index += 1
        if argument[:1] != "-" or argument == "-":
            if found is None or text is table.GLOBALS:
                return arguments[index - 1 :]
            found.append(argument)
            continue
        if argument == "--":
            return arguments[index:]
        if argument[:2] == "--":
            name, equals, value = argument.partition("=")
            if name == "--help" and not equals:
                raise _Help
            kind, key, target = _find(name, text, more, into, given)
            if not equals and kind not in "bo":
                if index == count:
                    raise _Unusual
                value = arguments[index]
                index += 1
            _set(target, key, kind, value if equals or kind not in "bo" else "true")
            continue
        letters = argument[1:]
        while letters:
            name, letters = "-" + letters[0], letters[1:]
            if name == "-h" and " -h " not in text:
                raise _Help
            kind, key, target = _find(name, text, "", into, given)
            if letters[:1] == "=" and len(letters) > 1:
                value, letters = letters[1:], ""
            elif kind in "bo":
                value = "true"
            elif letters:
                value, letters = letters, ""
            elif index < count:
                value = arguments[index]
                index += 1
            else:
                raise _Unusual
            _set(target, key, kind, value)
    return []


def _find(
    name: str, text: str, more: str, into: dict[str, Any], given: dict[str, Any]
) -> tuple[str, str, dict[str, Any]]:
    """Kind and key of an option: a line of the table is `kind key --name -n `, between newlines."""
    if " " in name or "\n" in name:
        raise _Unusual
    at = text.find(f" {name} ")
    if at < 0:
        text, into = more, given
        at = text.find(f" {name} ")
        if at < 0 or name == "--version":
            raise _Unusual
    start = text.rfind("\n", 0, at) + 1
    return text[start], text[start + 2 : text.index(" ", start + 2)], into


def _set(target: dict[str, Any], key: str, kind: str, value: str) -> None:
    if kind in "so":
        target[key] = value
    elif kind == "b":
        if value not in BOOLEANS:
            raise _Unusual
        target[key] = BOOLEANS[value]
    elif kind == "i":
        digits = value[1:] if value[:1] in ("-", "+") else value
        if not (digits.isascii() and digits.isdigit()):
            raise _Unusual
        target[key] = int(value)
    else:
        items = value.split(",") if kind == "c" else [value]
        if target.get(key):
            target[key].extend(items)
        else:
            target[key] = items


def _arguments(values: list[str], positions: str, options: dict[str, Any]) -> None:
    """Gives the positional arguments their keys: `image command*` (`?` optional, `*` any number, `+` at least one)."""
    rest = values
    for position in positions.split():
        mark = position[-1]
        if mark in "*+":
            if mark == "+" and not rest:
                raise _Unusual
            options[position[:-1]] = rest or None
            rest = []
        elif rest:
            options[position.rstrip("?")] = rest[0]
            rest = rest[1:]
        elif mark == "?":
            options[position[:-1]] = None
        else:
            raise _Unusual
    if rest:
        raise _Unusual
