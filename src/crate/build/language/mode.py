"""--chmod of COPY and ADD: octal, or the symbolic modes of chmod(1) with their X, s, t and copies (`g=u`)."""

from __future__ import annotations

import re

from crate.build.language.dockerfile_error import Fault

_OCTAL = re.compile(r"[0-7]+")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_SPECIAL = {"u": 0o4000, "g": 0o2000}


class ModeChange:
    """What --chmod makes of the mode of each file and directory. Raises Fault for what is no mode."""

    def __init__(self, text: str) -> None:
        self._octal: int | None = None
        self._clauses: list[tuple[str, list[tuple[str, str]]]] = []
        if _OCTAL.fullmatch(text):
            self._octal = int(text, 8)
            if self._octal > 0o7777:
                raise Fault(
                    f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777", text
                )
            return
        for clause in text.split(","):
            match = _CLAUSE.fullmatch(clause)
            if not match:
                raise Fault(f"invalid chmod parameter: '{text}'", text)
            self._clauses.append((match[1] or "a", _ACTION.findall(match[2])))

    def apply(self, mode: int, is_directory: bool) -> int:
        """The new permission bits (07777) of a file that has these."""
        if self._octal is not None:
            return self._octal
        for who, actions in self._clauses:
            classes = "ugo" if "a" in who else who
            for sign, letters in actions:
                bits = _bits(letters, classes, mode, is_directory)
                if sign == "+":
                    mode |= bits
                elif sign == "-":
                    mode &= ~bits
                else:
                    cleared = sum(0o7 << _SHIFT[one] for one in set(classes)) | (0o1000 if "o" in classes else 0)
                    if not is_directory:  # chmod(1): a directory keeps them unless they are named
                        cleared |= sum(_SPECIAL.get(one, 0) for one in set(classes))
                    mode = mode & ~cleared | bits
        return mode & 0o7777


def _bits(letters: str, classes: str, mode: int, is_directory: bool) -> int:
    bits = 0
    for one in classes:
        if letters in _SHIFT:
            value = mode >> _SHIFT[letters] & 0o7
        else:
            value = sum(bit for letter, bit in (("r", 4), ("w", 2), ("x", 1)) if letter in letters)
            if "X" in letters and (is_directory or mode & 0o111):
                value |= 1
        bits |= value << _SHIFT[one]
        if "s" in letters:
            bits |= _SPECIAL.get(one, 0)
        if "t" in letters and one == "o":
            bits |= 0o1000
    return bits
