"""`signedIdentity` of a policy: which name in a signature is good for the image that was asked for.

A signature says "this digest may be called that"; taken for another name it would let a server exchange images.
"""

from __future__ import annotations

from crate.errors import UsageError
from crate.oci import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.oci.reference import Reference

_WORDS: dict[str, tuple[str, ...]] = {
    "matchExact": (),
    "matchRepoDigestOrExact": (),
    "matchRepository": (),
    "exactReference": ("dockerReference",),
    "exactRepository": ("dockerRepository",),
    "remapIdentity": ("prefix", "signedPrefix"),
}


class Identity:
    """One rule of these; `values` are its members."""

    __slots__ = ("type", "values")

    def __init__(self, type: str, values: dict[str, str] | None = None) -> None:
        self.type = type
        self.values = values or {}

    def matches(self, wanted: Reference, signed: str) -> bool:
        """May an image that was signed as `signed` be taken for `wanted`?"""
        own = _read(signed)
        if own is None:
            return False
        if self.type == "exactReference":
            exact = _read(self.values["dockerReference"])
            return exact is not None and bool(own.tag or own.digest) and str(own) == str(exact)
        if self.type == "exactRepository":
            exact = _read(self.values["dockerRepository"])
            return exact is not None and own.name == exact.name
        if self.type == "matchRepository":
            return own.name == wanted.name
        if self.type == "matchExact":
            return bool(own.tag or own.digest) and str(own) == _selected(wanted)
        if self.type == "remapIdentity":
            remapped = _remap(_selected(wanted), self.values["prefix"], self.values["signedPrefix"])
            found = _read(remapped)
            return found is not None and _matches_digest_or_exact(found, own)
        return _matches_digest_or_exact(wanted, own)


DEFAULT = Identity("matchRepoDigestOrExact")


def parse(value: object, place: str) -> Identity:
    """The rule of a JSON object. Raises UsageError."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(value, dict) or kind not in _WORDS:
        raise UsageError(f"{place}: unknown type of signedIdentity", f"one of: {', '.join(_WORDS)}")
    words = _WORDS[kind]
    if set(value) != {"type", *words} or not all(isinstance(value[word], str) for word in words):
        raise UsageError(f"{place}: signedIdentity {kind} has the members: {', '.join(('type', *words))}")
    values = {word: str(value[word]) for word in words}
    for word in ("dockerReference", "dockerRepository"):
        if word in values and _read(values[word]) is None:
            raise UsageError(f"{place}: {word} is no reference")
    return Identity(kind, values)


def _matches_digest_or_exact(wanted: Reference, own: Reference) -> bool:
    """A digest needs no name of its own, as it names the content; a tag needs the very same."""
    if not own.tag or own.digest:
        return False
    return own.name == wanted.name if wanted.digest else str(own) == _selected(wanted)


def _selected(wanted: Reference) -> str:
    """The reference by what decides: of tag and digest the digest."""
    return f"{wanted.name}@{wanted.digest}" if wanted.digest else str(wanted)


def _remap(text: str, prefix: str, signed: str) -> str:
    if text == prefix or (text.startswith(prefix) and text[len(prefix)] in "/:@"):
        return signed + text[len(prefix) :]
    return text


def _read(text: str) -> Reference | None:
    """A reference that says itself whether it has a tag: none is added."""
    try:
        found = references.parse(text)
    except UsageError:
        return None
    if not found.digest and ":" not in text.rpartition("/")[2]:
        found.tag = ""
    return found
