"""--log-driver and --log-opt: which drivers there are, which options each takes, and what these may say."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.plan.shapes import Options
    from crate.settings import Settings

_TEXTS = ("labels", "labels-regex", "env", "env-regex", "tag", "mode", "max-buffer-size")
_FILES = ("max-size", "max-file", "path", *_TEXTS)
#: driver → its options
DRIVERS: dict[str, tuple[str, ...]] = {
    "json-file": (*_FILES, "compress"),
    "k8s-file": _FILES,
    "local": (*_FILES, "compress"),
    "journald": _TEXTS,
    "syslog": (*_TEXTS, "syslog-address", "syslog-facility", "syslog-format"),
    "passthrough": (),
    "none": (),
}
#: docker's own for its driver of this name
_LOCAL = {"max-size": "20m", "max-file": "5", "compress": "true"}
FACILITIES = (
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp security console solaris-cron "
    "local0 local1 local2 local3 local4 local5 local6 local7"
).split()
TAG_FIELDS = ("ID", "FullID", "Name", "ImageID", "ImageFullID", "ImageName", "Command", "DaemonName")


def make_log(options: Options, settings: Settings) -> dict[str, Any]:
    """The record's `log`: the driver and its options, complete. UsageError."""
    driver = options.get("log_driver") or settings.get("logs.driver")
    if driver not in DRIVERS:
        known = ", ".join(DRIVERS)
        raise UsageError(f'logger: no log driver named "{driver}" is registered', f"there are {known}")
    if driver == "passthrough" and options.get("tty"):
        raise UsageError("the log driver passthrough and --tty cannot be used together")
    given: dict[str, str] = {}
    for entry in options.get("log_opt") or ():
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise UsageError(f"invalid logging opt format {entry!r}: must be KEY=VALUE")
        if name not in DRIVERS[driver] and DRIVERS[driver]:
            raise UsageError(f"unknown log opt '{name}' for {driver} log driver")
        given[name] = value
    if not DRIVERS[driver]:
        return {"driver": driver, "options": {}}
    if "max-size" in DRIVERS[driver]:
        given = _of_files(given, driver, settings)
    if len(given) > 2 or driver not in ("json-file", "k8s-file"):
        _check(given, driver)
    return {"driver": driver, "options": given}


def _of_files(given: dict[str, str], driver: str, settings: Settings) -> dict[str, str]:
    from crate.plan.quantities import size_bytes

    if driver == "local":
        given = {**_LOCAL, **given}
    size = given.get("max-size", settings.get("logs.max_size"))
    files = given.get("max-file", str(settings.get("logs.max_file")))
    if size != "-1":
        size_bytes("log-opt max-size", size, 1000)
    if not files.isascii() or not files.isdigit() or int(files) < 1:
        raise UsageError(f"invalid log opt max-file {files!r}: max-file cannot be less than 1")
    return {**given, "max-size": size, "max-file": files}


def parse_boolean(text: str) -> bool:
    """As Go's strconv.ParseBool. UsageError."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise UsageError(f'invalid value for the log opt compress: "{text}"', "true or false")


def _check(given: Mapping[str, str], driver: str) -> None:
    import re

    if "compress" in given and parse_boolean(given["compress"]) and given["max-file"] == "1":
        raise UsageError("compress cannot be true when max-file is less than 2")
    if not given.get("path", "/").startswith("/"):
        raise UsageError(f"invalid log opt path {given['path']!r}: it must be absolute")
    if given.get("mode", "blocking") not in ("blocking", "non-blocking"):
        raise UsageError(f'logger: logging mode "{given["mode"]}" is invalid', "blocking or non-blocking")
    for name in ("labels-regex", "env-regex"):
        try:
            re.compile(given.get(name, ""))
        except re.error as error:
            raise UsageError(f"invalid log opt {name} {given[name]!r}: {error}") from None
    for field in re.findall(r"{{(.*?)}}", given.get("tag", "")):
        if field.strip()[:1] != "." or field.strip()[1:] not in TAG_FIELDS:
            fields = ", ".join(f"{{{{.{name}}}}}" for name in TAG_FIELDS)
            raise UsageError(
                f"invalid log opt tag {given['tag']!r}: unknown field {{{{{field}}}}}", f"there are {fields}"
            )
    if driver == "syslog":
        split_address(given.get("syslog-address", ""))
        facility_number(given.get("syslog-facility", "daemon"))
        if given.get("syslog-format", "") not in ("", "rfc3164", "rfc5424", "rfc5424micro"):
            raise UsageError(f"invalid syslog format {given['syslog-format']!r}", "rfc3164, rfc5424 or rfc5424micro")


def split_address(text: str) -> tuple[str, str, int]:
    """The protocol (unix, unixgram, udp, tcp), path or host, and port of a syslog-address; "" is the host's own."""
    if not text:
        return "unix", "/dev/log", 0
    protocol, separator, place = text.partition("://")
    if not separator or protocol not in ("unix", "unixgram", "udp", "tcp"):
        raise UsageError(
            f"invalid syslog-address {text!r}", "unix:///PATH, unixgram:///PATH, udp://HOST[:PORT] or tcp://…"
        )
    if protocol in ("unix", "unixgram"):
        if not place.startswith("/"):
            raise UsageError(f"invalid syslog-address {text!r}: its path must be absolute")
        return protocol, place, 0
    host, colon, port = place.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = place, "514"
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"invalid syslog-address {text!r}: it has no host or no good port")
    return protocol, host.strip("[]"), int(port)


def facility_number(text: str) -> int:
    """The number of a facility, given by name or number. UsageError."""
    if text in FACILITIES:
        return FACILITIES.index(text)
    if text.isascii() and text.isdigit() and int(text) < len(FACILITIES):
        return int(text)
    raise UsageError(f"invalid syslog facility {text!r}", "a name as daemon or local0, or a number up to 23")
