"""How the rest of an instruction's line becomes words: flags, the JSON form, quoted words, name=value pairs.

Quotes and escapes stay in the words (but not in flags): variable expansion removes them, see `expansion`.
"""

from __future__ import annotations

import json
import re

from crate.build.language.dockerfile_error import Fault

#: what separates words in the plain forms
SPACES = re.compile(r"[\t\v\f\r ]+")


def split_flags(text: str) -> tuple[list[str], str]:
    """The words `--name[=value]` at the begin of an instruction's arguments, without their quotes, and the rest."""
    flags: list[str] = []
    at, length = 0, len(text)
    while True:
        while at < length and text[at].isspace():
            at += 1
        if not text.startswith("--", at):
            return flags, text[at:]
        word, is_given, at = _flag(text, at)
        if word == "--":
            return flags, text[at:]
        if word or is_given:
            flags.append(word)


def _flag(text: str, at: int) -> tuple[str, bool, int]:
    """One flag from `at`: its text, whether it had quotes (then it may be empty), and where it ended."""
    word: list[str] = []
    quote = ""
    is_quoted = False
    while at < len(text):
        letter = text[at]
        if quote:
            if letter == quote:
                quote = ""
                at += 1
                continue
        elif letter.isspace():
            break
        elif letter in "'\"":
            quote, is_quoted = letter, True
            at += 1
            continue
        if letter == "\\":
            at += 1
            if at == len(text):
                break
            letter = text[at]
        word.append(letter)
        at += 1
    return "".join(word), is_quoted, at


def json_form(text: str) -> list[str] | None:
    """The strings of the exec form `["a", "b"]`; None when it is not that, and so the shell form.

    Raises Fault for an array of something else.
    """
    if not text.lstrip().startswith("["):
        return None
    try:
        found = json.loads(text, strict=True, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list):
        return None
    if not all(isinstance(item, str) for item in found):
        raise Fault("when using JSON array syntax, arrays must be comprised of strings only", text.strip())
    # Go's decoder puts U+FFFD where a surrogate has no partner.
    return [item.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for item in found]


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def plain_words(text: str) -> list[str]:
    """Words between white space; quotes mean nothing."""
    return SPACES.split(text) if text else []


def quoted_words(text: str, escape: str) -> list[str]:
    """Words between white space outside of quotes; quotes and escapes stay."""
    words: list[str] = []
    word: list[str] = []
    quote = ""
    is_given = False
    at, length = 0, len(text)
    while at < length:
        letter = text[at]
        if not quote and letter.isspace():
            if word or is_given:
                words.append("".join(word))
            word, is_given = [], False
        elif letter == escape and quote != "'":
            if at + 1 == length:
                break  # an escape with nothing behind it is nothing
            word += [letter, text[at + 1]]
            at += 1
        else:
            if quote:
                if letter == quote:
                    quote = ""
            elif letter in "'\"":
                quote, is_given = letter, True
            word.append(letter)
        at += 1
    if word or is_given:
        words.append("".join(word))
    return words


def name_values(text: str, keyword: str, escape: str) -> list[tuple[str, str]]:
    """`name=value ...`, or `name all the rest` (ENV, LABEL). Raises Fault."""
    words = quoted_words(text, escape)
    if not words:
        return []
    if "=" not in words[0]:
        parts = SPACES.split(text, maxsplit=1)
        if len(parts) < 2:
            raise Fault(f"{keyword} must have two arguments", text)
        return [(parts[0], parts[1])]
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Fault(f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value', word)
        pairs.append((name, value))
    return pairs
