"""`RUN --mount=`: bind, cache, tmpfs, secret and ssh, with BuildKit's keys and rules."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from crate.build.language.dockerfile_error import Fault, suggestion
from crate.build.records import dataclass
from crate.errors import UsageError
from crate.plan.quantities import size_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARING = ("shared", "private", "locked")
_KEYS = (
    *("type", "from", "source", "src", "target", "dst", "destination", "readonly", "ro", "readwrite", "rw"),
    *("required", "size", "id", "sharing", "mode", "uid", "gid", "env", "relabel", "z"),
)
_ID_MAX = (1 << 32) - 1
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))  # Go's strconv.ParseBool
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


@dataclass(frozen=True)
class Mount:
    """One mount. `origin` is `from=`; "" means the build context for bind, and nothing for cache.

    `target` may be relative to the working directory; "" takes the default of its type (secret: /run/secrets/ID).
    `mode`, `uid`, `gid` are None where not given; `env` names a variable that a secret is put into.
    """

    type: str = "bind"
    origin: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = True
    id: str = ""
    sharing: str = ""
    required: bool = False
    size_bytes: int = 0
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str = ""


def parse_mount(text: str, expand: Callable[[str], str] | None) -> Mount:
    """A value of --mount. Raises Fault.

    Without `expand` (the instruction is not executed yet) only `type` and `from` are looked at, where they are plain.
    """
    try:
        fields = next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration):
        raise Fault(f"failed to parse csv mounts: {text!r}", text) from None
    return _Reading(expand).mount(fields)


class _Reading:
    """The fields of one mount, on their way to a `Mount`."""

    def __init__(self, expand: Callable[[str], str] | None) -> None:
        self._expand = expand
        self._type = "bind"
        self._read_only: bool | None = None
        self._values: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._required = False

    def mount(self, fields: list[str]) -> Mount:
        for field in fields:
            key, equals, value = field.partition("=")
            key = key.lower()
            if self._expand is not None:
                self._take(field, key, self._expand(value) if equals else None)
            elif equals and key == "from":
                if "$" in value[:-1]:
                    raise Fault(f"'{key}' doesn't support variable expansion, define alias stage instead", field)
                self._values[key] = value
            elif equals and key == "type" and "$" not in value:
                self._take(field, key, value)
        if self._expand is not None:
            self._check()
        return self._made()

    def _take(self, field: str, key: str, value: str | None) -> None:
        if key in ("readonly", "ro", "readwrite", "rw"):
            given = True if value is None else self._truth(key, value)
            self._read_only = given if key.startswith(("readonly", "ro")) else not given
        elif key == "required":
            self._only_for(("secret", "ssh"), key)
            self._required = True if value is None else self._truth(key, value)
        elif key in ("z", "relabel"):
            pass  # labels of SELinux: buildah knows them, and nothing here has any
        elif key not in _KEYS:
            if value is None:
                raise Fault(f"invalid field '{field}' must be a key=value pair", field)
            raise Fault(f"unexpected key '{key}' in '{field}'{suggestion(key, _KEYS)}", field)
        elif value is None:
            raise Fault(f"invalid field '{field}' must be a key=value pair", field)
        elif key == "type":
            self._type = value.lower()
            if self._type not in TYPES:
                raise Fault(f'unsupported mount type "{value}"{suggestion(value, TYPES)}', field)
        else:
            self._value(key, value)

    def _value(self, key: str, value: str) -> None:
        if key == "sharing":
            value = value.lower()
            if value not in _SHARING:
                raise Fault(f'unsupported sharing value "{value}"{suggestion(value, _SHARING)}', value)
        elif key == "size":
            self._only_for(("tmpfs",), key)
            try:
                self._numbers[key] = size_bytes(key, value)
            except UsageError:
                raise Fault(f"invalid value for {key}: {value}", value) from None
        elif key in ("mode", "uid", "gid"):
            try:
                number = int(value, 8 if key == "mode" else 10) if value.isascii() and value.isdigit() else -1
            except ValueError:
                number = -1
            if not 0 <= number <= _ID_MAX:
                raise Fault(f"invalid value {value} for {key}", value)
            self._numbers[key] = number
        elif key == "env":
            self._only_for(("secret",), key)
        key = {"src": "source", "dst": "target", "destination": "target"}.get(key, key)
        self._values[key] = value

    def _truth(self, key: str, value: str) -> bool:
        if value not in _TRUE | _FALSE:
            raise Fault(f"invalid value for {key}: {value}", value)
        return value in _TRUE

    def _only_for(self, types: tuple[str, ...], key: str) -> None:
        if self._type not in types:
            raise Fault(f"unexpected key '{key}' for mount type '{self._type}'", key)

    def _check(self) -> None:
        values = self._values
        if self._type not in ("secret", "ssh", "cache"):
            for key in ("mode", "uid", "gid"):
                if key in self._numbers:
                    raise Fault(f'{key} not allowed for "{self._type}" type mounts', key)
        if self._type == "secret":
            if values.get("from"):
                raise Fault("secret mount should not have a from", "from")
            if values.get("sharing"):
                raise Fault("secret mount should not define sharing", "sharing")
            if not (values.get("source") or values.get("target") or values.get("id") or values.get("env")):
                raise Fault("invalid secret mount. one of source, target required", "secret")
            if values.get("source") and values.get("id"):
                raise Fault("both source and id can't be set", "source")
        if values.get("sharing") and self._type != "cache":
            raise Fault(f"invalid cache sharing set for {self._type} mount", "sharing")
        if self._type in ("bind", "cache", "tmpfs") and not values.get("target"):
            raise Fault(f"{self._type} mount requires a target", self._type)

    def _made(self) -> Mount:
        read_only = self._type not in ("cache", "tmpfs") if self._read_only is None else self._read_only
        values, numbers = self._values, self._numbers
        return Mount(
            type=self._type,
            origin=values.get("from", ""),
            source=values.get("source", ""),
            target=values.get("target", ""),
            read_only=read_only,
            id=values.get("id", ""),
            sharing=values.get("sharing", ""),
            required=self._required,
            size_bytes=numbers.get("size", 0),
            mode=numbers.get("mode"),
            uid=numbers.get("uid"),
            gid=numbers.get("gid"),
            env=values.get("env", ""),
        )
