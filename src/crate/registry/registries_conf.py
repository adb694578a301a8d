"""registries.conf of podman, skopeo and buildah (containers-registries.conf(5), version 2), read where it exists.

    $CONTAINERS_REGISTRIES_CONF, else ~/.config/containers/registries.conf, else /etc/containers/registries.conf
    then *.conf of /etc/containers/registries.conf.d (not beside a user's own file) and of the user's directory;
    $CONTAINERS_REGISTRIES_CONF_DIR stands for both

A later file beats an earlier one: by prefix for `[[registry]]`, by name for `[aliases]`. What podman noted of the
answers that it got (short-name-aliases.conf) counts as well. crate's own settings (`registries.…`) are beside it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from crate.errors import UsageError
from crate.oci import reference as references

if TYPE_CHECKING:
    from crate.oci.reference import Reference

_SYSTEM = "/etc/containers/registries.conf"
_MODES = ("", "disabled", "permissive", "enforcing")
_FROM = ("all", "digest-only", "tag-only", "")


class Mirror:
    """One place more: `location` stands for the prefix of its registry."""

    __slots__ = ("insecure", "location", "only")

    def __init__(self, location: str, insecure: bool, only: str) -> None:
        self.location = location
        self.insecure = insecure
        self.only = only


class Rule:
    """A `[[registry]]`: what holds for names that begin with `prefix`."""

    __slots__ = ("blocked", "insecure", "location", "mirrors", "origin", "prefix")

    def __init__(
        self, prefix: str, location: str, insecure: bool, blocked: bool, mirrors: list[Mirror], origin: str
    ) -> None:
        self.prefix = prefix
        self.location = location
        self.insecure = insecure
        self.blocked = blocked
        self.mirrors = mirrors
        self.origin = origin

    def match(self, name: str) -> int:
        """How many characters of an image's name, with tag and digest or without, the prefix covers; 0: not for it."""
        if self.prefix.startswith("*."):
            host = name.partition("/")[0]
            plain = self.prefix[1:]
            if "/" in plain:
                return 0
            domain = host if ":" in plain else host.partition(":")[0]
            return len(host) if domain.endswith(plain) and domain != plain else 0
        follows = name[len(self.prefix) : len(self.prefix) + 1]
        return len(self.prefix) if name.startswith(self.prefix) and follows in ("", "/", ":", "@") else 0

    def places(self, reference: Reference) -> list[tuple[str, str, bool, bool]]:
        """(host, repository, insecure, whether it is a mirror) to be asked for an image, in their order."""
        covered = self.match(str(reference))
        rest = reference.name[covered:]
        found = []
        for mirror in self.mirrors:
            if (mirror.only == "digest-only" and not reference.digest) or (
                mirror.only == "tag-only" and reference.digest
            ):
                continue
            found.append((*_split(mirror.location + rest), mirror.insecure, True))
        own = self.location + rest if self.location else reference.name
        return [*found, (*_split(own), self.insecure, False)]


class RegistriesConf:
    """What the files say together."""

    def __init__(self) -> None:
        self.search: list[str] = []
        self.mode = ""
        self.aliases: dict[str, str] = {}
        self.rules: dict[str, Rule] = {}
        self.files: list[str] = []

    def rule(self, reference: Reference) -> Rule | None:
        """The rule of the longest prefix. Raises UsageError for a registry that is blocked."""
        name = str(reference)
        matching = [rule for rule in self.rules.values() if rule.match(name)]
        if not matching:
            return None
        best = max(matching, key=lambda rule: (not rule.prefix.startswith("*"), len(rule.prefix)))
        if best.blocked:
            raise UsageError(f"registry {best.prefix} is blocked in {best.origin}")
        return best

    def candidates(self, text: str) -> list[Reference]:
        """What a name without a registry may mean, best first; without a word on it: docker.io. UsageError."""
        name, mark, rest = _name_and_rest(text)
        alias = self.aliases.get(name)
        if alias:
            return [references.parse(f"{alias}{mark}{rest}")]
        if len(self.search) > 1 and self.mode == "enforcing":
            shown = ", ".join(f"{registry}/{text}" for registry in self.search)
            raise UsageError(f'the name "{text}" may mean several images', f"give one of them in full: {shown}")
        return [references.parse(f"{registry}/{text}") for registry in self.search] or [references.parse(text)]


def load(rules_only: bool = False) -> RegistriesConf:
    """Reads the files. Raises UsageError for one that is not as it should be.

    `rules_only`: what short names mean is not of interest, so files without a `[[registry]]` are passed over: reading
    TOML takes a tenth of the time of a push that has nothing to send.
    """
    made = RegistriesConf()
    for path in _files():
        _take(made, path, rules_only)
    return made


def _files() -> list[str]:
    home = os.environ.get("HOME") or "/"
    configuration = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    own = f"{configuration}/containers/registries.conf"
    override = os.environ.get("CONTAINERS_REGISTRIES_CONF") or os.environ.get("REGISTRIES_CONFIG_PATH")
    if override:
        main, directories = override, [f"{_SYSTEM}.d", f"{own}.d"]
    elif os.path.exists(own):
        main, directories = own, [f"{own}.d"]
    else:
        main, directories = _SYSTEM, [f"{_SYSTEM}.d", f"{own}.d"]
    directory = os.environ.get("CONTAINERS_REGISTRIES_CONF_DIR")
    found = [main]
    for place in [directory] if directory else directories:
        try:
            found += [f"{place}/{name}" for name in sorted(os.listdir(place)) if name.endswith(".conf")]
        except OSError:
            pass
    cache = os.environ.get("XDG_CACHE_HOME") or f"{home}/.cache"
    cached = [] if override else [f"{cache}/containers/short-name-aliases.conf"]
    return [path for path in (*found, *cached) if os.path.isfile(path)]


def _take(made: RegistriesConf, path: str, rules_only: bool) -> None:
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {os.strerror(error.errno or 0)}") from None
    lines = [line for line in map(bytes.strip, text.splitlines()) if line and not line.startswith(b"#")]
    if not lines or (rules_only and not any(line.lstrip(b"[ \t").startswith(b"registry") for line in lines)):
        return
    import tomllib

    try:
        content = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {str(error)[:1].lower()}{str(error)[1:]}") from None
    made.files.append(path)
    search = content.get("unqualified-search-registries")
    if search is not None:
        if not isinstance(search, list) or not all(isinstance(one, str) for one in search):
            raise UsageError(f"{path}: unqualified-search-registries must be a list of strings")
        made.search = [_location(path, one) for one in search]
    mode = content.get("short-name-mode", made.mode)
    if mode not in _MODES:
        raise UsageError(f'{path}: invalid short-name-mode "{mode}"', f"one of: {', '.join(_MODES[1:])}")
    made.mode = mode
    aliases = content.get("aliases") or {}
    for name, target in aliases.items() if isinstance(aliases, dict) else ():
        made.aliases[name] = str(target)
    entries = content.get("registry") or []
    for entry in entries if isinstance(entries, list) else [entries]:
        rule = _rule(path, entry)
        made.rules[rule.prefix] = rule


def _rule(path: str, entry: Any) -> Rule:
    if not isinstance(entry, dict):
        raise UsageError(f"{path}: registry must be a list of tables", "write [[registry]]")
    location = _location(path, entry.get("location") or "") if entry.get("location") else ""
    prefix = str(entry.get("prefix") or location)
    if not prefix or (not location and not prefix.startswith("*.")):
        raise UsageError(f"{path}: a registry without a location")
    digests_only = entry.get("mirror-by-digest-only") is True
    mirrors = []
    for one in entry.get("mirror") or []:
        only = str(one.get("pull-from-mirror") or "") if isinstance(one, dict) else "-"
        if only not in _FROM or not one.get("location"):
            raise UsageError(f"{path}: a malformed mirror of {prefix}")
        only = "digest-only" if digests_only else only
        mirrors.append(Mirror(_location(path, one["location"]), one.get("insecure") is True, only))
    return Rule(
        prefix.rstrip("/"), location, entry.get("insecure") is True, entry.get("blocked") is True, mirrors, path
    )


def _location(path: str, text: Any) -> str:
    if not isinstance(text, str) or "://" in text or not text.strip("/"):
        raise UsageError(f"{path}: invalid location {text!r}", "write host[:port][/path], without a scheme")
    return text.strip("/")


def _split(name: str) -> tuple[str, str]:
    host, _, path = name.partition("/")
    return host, path


def _name_and_rest(text: str) -> tuple[str, str, str]:
    """`alpine:3@sha256:…` is `alpine`, `:`, `3@sha256:…`."""
    end = min((position for position in map(text.find, ":@") if position >= 0), default=len(text))
    return text[:end], text[end : end + 1], text[end + 1 :]
