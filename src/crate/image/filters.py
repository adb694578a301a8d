"""The filters of `images` and `image prune`: `key=value` and `key!=value`, each a question to an image."""

from __future__ import annotations

import time

from crate.errors import NotFoundError, UsageError
from crate.image import local
from crate.oci import moment
from crate.oci import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crate.image.listing import Listed
    from crate.storage.roots import Roots

    Question = Callable[[Listed], bool]

_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
_IMAGE_TYPES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")


def compile_filters(roots: Roots, texts: Iterable[str]) -> Question:
    """One question that is the conjunction of all filters. Raises UsageError, NotFoundError."""
    questions = [_question(roots, text) for text in texts]
    return lambda image: all(ask(image) for ask in questions)


def _question(roots: Roots, text: str) -> Question:
    key, negated, value = text.partition("!=")
    if not negated:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f'invalid image filter "{text}": must be in the format "filter=value or filter!=value"')
    ask = _ask(roots, key.strip().lower(), value)
    return (lambda image: not ask(image)) if negated else ask


def _ask(roots: Roots, key: str, value: str) -> Question:
    if key in ("since", "after"):
        border = _created(roots, key, value)
        return lambda image: image["created_ns"] > border
    if key == "before":
        border = _created(roots, key, value)
        return lambda image: image["created_ns"] < border
    if key == "until":
        border = moment.parse(value, time.time_ns())
        return lambda image: image["created_ns"] < border
    if key == "id":
        beginning = value.removeprefix("sha256:")
        return lambda image: image["id"].startswith(beginning)
    if key == "digest":
        return lambda image: any(digest.startswith(value) for digest in image["digests"])
    if key == "label":
        name, equals, wanted = value.partition("=")
        return lambda image: name in image["labels"] and (not equals or image["labels"][name] == wanted)
    if key == "reference":
        return _reference(roots, value)
    # No engine but crate keeps containers here, so none is "external".
    flag = False if (key, value) == ("containers", "external") else _boolean(key, value)
    if key == "dangling":
        return lambda image: image["dangling"] == flag
    if key == "intermediate":
        return lambda image: image["intermediate"] == flag
    if key == "containers":
        return lambda image: (image["containers"] > 0) == flag
    if key == "readonly":
        return lambda image: not flag
    if key == "manifest":
        return lambda image: (image["manifest_type"] in _IMAGE_TYPES) == flag
    raise UsageError(f'unsupported image filter "{key}"')


def _boolean(key: str, value: str) -> bool:
    if value in _TRUE or value in _FALSE:
        return value in _TRUE
    raise UsageError(f'invalid image filter "{key}={value}": it takes true or false')


def _created(roots: Roots, key: str, value: str) -> int:
    try:
        return moment.created(local.get(roots, value)["created"])
    except NotFoundError as error:
        raise NotFoundError(f'cannot find the image of filter "{key}={value}": {error.message}', error.hint) from None


def _reference(roots: Roots, value: str) -> Question:
    """A pattern as of Go's path.Match against the name in full, without registry, and without path; or an image."""
    import re

    pattern = re.compile(go_pattern(value))
    meant = None if any(c in value for c in "*?[\\") else local.find(roots, value)
    meant_id = meant["id"] if meant else ""
    return lambda image: (
        image["id"] == meant_id
        or any(pattern.fullmatch(candidate) for name in image["names"] for candidate in _candidates(name))
    )


def _candidates(name: str) -> list[str]:
    parsed = references.parse(name)
    selector = str(parsed)[len(parsed.name) :]
    shortest = parsed.path.rpartition("/")[2]
    plain = [parsed.name, parsed.path, shortest, references.familiar_name(parsed.name)]
    return plain + [text + selector for text in plain]


def go_pattern(pattern: str) -> str:
    """Go's path.Match as a regular expression: `*` and `?` stop at a slash. Raises UsageError for a malformed one."""
    import re

    result, position = [], 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            result.append("[^/]*")
        elif character == "?":
            result.append("[^/]")
        elif character == "[":
            end = pattern.find("]", position + 1)
            body = pattern[position:end]
            if end < 0 or body in ("", "^"):
                raise UsageError(f'malformed pattern "{pattern}"')
            negation = "^" if body.startswith("^") else ""
            body = body.removeprefix("^").replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            result.append(f"[{negation}{body}]")
            position = end + 1
        else:
            if character == "\\":
                if position >= len(pattern):
                    raise UsageError(f'malformed pattern "{pattern}"')
                character = pattern[position]
                position += 1
            result.append(re.escape(character))
    try:
        re.compile("".join(result))
    except re.error:
        raise UsageError(f'malformed pattern "{pattern}"') from None
    return "".join(result)
