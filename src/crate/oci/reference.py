"""Image references: parsed and normalised as github.com/distribution/reference does, with podman's local short names.

    reference := [domain "/"] path [":" tag] ["@" digest]

`re` would cost four milliseconds of every start, so the grammar is checked by hand; a property test compares it with
the regular expressions of the original.
"""

from __future__ import annotations

from crate.errors import UsageError
from crate.oci import digest as digests

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
LOCAL_DOMAIN = "localhost"
_LEGACY_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"
_PATH_LENGTH_MAX = 255

_DIGIT = "0123456789"
_LOWER_ALNUM = "abcdefghijklmnopqrstuvwxyz" + _DIGIT
_ALNUM = _LOWER_ALNUM + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_XDIGIT = _DIGIT + "abcdefABCDEF"


class Reference:
    """A complete, normalised name of an image: where it is (`domain`, `path`) and which one (`tag`, `digest`, or both).

    `domain` and `path` are never empty; `tag` and `digest` are "" when absent.
    """

    __slots__ = ("digest", "domain", "path", "tag")

    def __init__(self, domain: str, path: str, tag: str = "", digest: str = "") -> None:
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest

    @property
    def name(self) -> str:
        """`docker.io/library/alpine`: without tag and digest."""
        return f"{self.domain}/{self.path}"

    @property
    def selector(self) -> str:
        """What a registry is asked for: the digest when there is one, for a tag may move."""
        return self.digest or self.tag

    def __str__(self) -> str:
        return self.name + (self.tag and f":{self.tag}") + (self.digest and f"@{self.digest}")

    def __repr__(self) -> str:
        return f"Reference({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def familiar_name(name: str) -> str:
    """A repository's name without the default domain and `library/`, as docker shows it."""
    if name.startswith(f"{DEFAULT_DOMAIN}/"):
        name = name[len(DEFAULT_DOMAIN) + 1 :]
        if name.startswith(_OFFICIAL) and "/" not in name[len(_OFFICIAL) :]:
            name = name[len(_OFFICIAL) :]
    return name


def parse(text: str) -> Reference:
    """`text` as docker reads it: `alpine` is `docker.io/library/alpine:latest`.

    A reference without tag and digest gets the tag `latest`; one with both keeps both (its digest decides).
    Raises UsageError in docker's words.
    """
    if digests.is_hex_id(text):
        raise UsageError(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    domain, remainder = _split_domain(text)
    path = remainder.partition(":")[0]
    if path != path.lower():
        raise UsageError(f"invalid reference format: repository name ({path}) must be lowercase")
    return _read(domain, remainder, text)


def parse_local(text: str) -> Reference:
    """`text` as the name of a local image, by podman's rule: without a registry it belongs to `localhost`.

    Used where a name is given to an image (tag, load, build, commit). Raises UsageError.
    """
    return parse(f"{LOCAL_DOMAIN}/{text}" if is_short(text) else text)


def is_short(text: str) -> bool:
    """Does this name lack a registry, so that several registries are candidates?"""
    first, slash, _ = text.partition("/")
    return not slash or not (first == LOCAL_DOMAIN or "." in first or ":" in first)


def local_candidates(text: str) -> list[str]:
    """The full names under which a local image may be meant by `text`, best first; [] if it cannot be a name.

    As podman: a short name is looked for under `localhost/` first, then as docker reads it. A tag beside a digest is
    ignored: the digest is the only truth.
    """
    candidates = []
    for read in (parse_local, parse) if is_short(text) else (parse,):
        try:
            candidate = read(text)
        except UsageError:
            continue
        if candidate.digest:
            candidate.tag = ""
        candidates.append(str(candidate))
    return candidates


def _split_domain(text: str) -> tuple[str, str]:
    """Domain and rest, by the rules of `splitDockerDomain`; nothing is checked yet."""
    first, slash, rest = text.partition("/")
    if not slash:
        return DEFAULT_DOMAIN, _OFFICIAL + text
    if first == _LEGACY_DOMAIN:
        first = DEFAULT_DOMAIN
    elif not (first == LOCAL_DOMAIN or "." in first or ":" in first or first != first.lower()):
        first, rest = DEFAULT_DOMAIN, text
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = _OFFICIAL + rest
    return first, rest


def _read(domain: str, remainder: str, text: str) -> Reference:
    name, at, digest = remainder.partition("@")
    path, colon, tag = name.partition(":")
    if not _is_domain(domain) or not all(_is_component(part) for part in path.split("/")):
        raise UsageError(f'invalid reference format: "{text}"')
    if (colon and not is_tag(tag)) or (at and not _looks_like_digest(digest)):
        raise UsageError(f'invalid reference format: "{text}"')
    if len(path) > _PATH_LENGTH_MAX:
        raise UsageError(f"repository name must not be more than {_PATH_LENGTH_MAX} characters: {text[:40]}...")
    if at:
        reason = digests.fault(digest)
        if reason:
            raise UsageError(f"{reason}: {text}")
    elif not tag:
        tag = DEFAULT_TAG
    return Reference(domain, path, tag, digest)


def is_tag(text: str) -> bool:
    """Is this a tag: a word character, then up to 127 word characters, dots and dashes?"""
    return 0 < len(text) <= 128 and text[0] not in ".-" and not text.strip(_ALNUM + "_.-")


def _is_domain(text: str) -> bool:
    host, port = text, "0"
    if text.startswith("["):
        address, bracket, rest = text[1:].partition("]")
        if rest:
            colon, port = rest[0], rest[1:]
            bracket = bracket if colon == ":" else ""
        return bool(bracket and address and port) and not address.strip(_XDIGIT + ":") and not port.strip(_DIGIT)
    if ":" in text:
        host, _, port = text.partition(":")
    if not port or port.strip(_DIGIT):
        return False
    return all(part and part[0] != "-" and part[-1] != "-" and not part.strip(_ALNUM + "-") for part in host.split("."))


def _is_component(text: str) -> bool:
    """Lower case letters and digits, joined by one dot, one or two underscores, or dashes."""
    if not text or text[0] not in _LOWER_ALNUM or text[-1] not in _LOWER_ALNUM or text.strip(_LOWER_ALNUM + "._-"):
        return False
    if "." not in text and "_" not in text:
        return True
    separator = ""
    for character in text:
        if character not in _LOWER_ALNUM:
            separator += character
            continue
        if separator and separator not in (".", "_", "__") and separator.strip("-"):
            return False
        separator = ""
    return True


def _looks_like_digest(text: str) -> bool:
    """`digestPat` of the original: looser than a digest, whose own fault is then told in its own words."""
    algorithm, colon, encoded = text.partition(":")
    for separator in "-_.":
        algorithm = algorithm.replace(separator, "+")
    parts = algorithm.split("+")
    named = all(part and part[0] not in _DIGIT and not part.strip(_ALNUM) for part in parts)
    return bool(colon) and named and len(encoded) >= 32 and not encoded.strip(_XDIGIT)
