"""The challenges of a `WWW-Authenticate` header (RFC 9110, section 11): scheme and parameters of each."""

from __future__ import annotations

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def parse(header: str) -> list[tuple[str, dict[str, str]]]:
    """`[("bearer", {"realm": ..., "service": ...}), ...]`, names in lower case; what cannot be read is left out.

    requests joins several headers with commas, which also part the parameters: a token followed by a space and no
    `=` begins a new challenge.
    """
    challenges: list[tuple[str, dict[str, str]]] = []
    position = 0
    while position < len(header):
        if header[position] in " \t,":
            position += 1
            continue
        word, position = _token(header, position)
        if not word:
            position += 1
            continue
        after = _skip_space(header, position)
        if after < len(header) and header[after] == "=" and challenges:
            value, position = _value(header, _skip_space(header, after + 1))
            challenges[-1][1].setdefault(word.lower(), value)
        else:
            challenges.append((word.lower(), {}))
    return challenges


def _token(text: str, position: int) -> tuple[str, int]:
    end = position
    while end < len(text) and text[end] in _TOKEN:
        end += 1
    return text[position:end], end


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t":
        position += 1
    return position


def _value(text: str, position: int) -> tuple[str, int]:
    if position >= len(text) or text[position] != '"':
        end = position
        while end < len(text) and text[end] not in ", \t":
            end += 1
        return text[position:end], end
    characters = []
    position += 1
    while position < len(text) and text[position] != '"':
        if text[position] == "\\" and position + 1 < len(text):
            position += 1
        characters.append(text[position])
        position += 1
    return "".join(characters), position + 1
