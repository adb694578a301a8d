"""The environment of the container's process: image, settings, files and options, the later ones stronger."""

from __future__ import annotations

from crate.errors import UsageError
from crate.plan.refusal import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.plan.host import Host
    from crate.plan.shapes import Options
    from crate.settings import Settings

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROXIES = "http_proxy https_proxy ftp_proxy no_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY NO_PROXY".split()


def make_environment(
    options: Options, config: Mapping[str, Any], host: Host, settings: Settings, hostname: str
) -> list[str]:
    """`KEY=VALUE` in the order of their first mention, without HOME, which needs the container's /etc/passwd."""
    values = {"PATH": DEFAULT_PATH, "container": "crate", "HOSTNAME": hostname}
    if options.get("tty"):
        values["TERM"] = "xterm"
    for entry in settings.get("containers.env"):
        _set(values, entry)
    for entry in config.get("Env") or ():
        _set(values, entry)
    wanted = options.get("http_proxy")
    if settings.get("containers.http_proxy") if wanted is None else wanted:
        values.update({name: host.environ[name] for name in _PROXIES if host.environ.get(name)})
    for entry in options.get("env_merge") or ():
        _merge(values, entry)
    if options.get("unsetenv_all"):
        values.clear()
    for name in options.get("unsetenv") or ():
        values.pop(name, None)
    wanted = options.get("env_host")
    if settings.get("containers.env_host") if wanted is None else wanted:
        values.update(host.environ)
    _apply_options(values, options, host)
    if options.get("tz") is not None:
        values["TZ"] = _timezone(options["tz"], host)
    return [f"{name}={value}" for name, value in values.items()]


def exec_environment(base: list[str], options: Options, host: Host) -> list[str]:
    """The environment of `exec`: that of the container (`base`), then TERM with --tty, --env-file and --env."""
    values: dict[str, str] = {}
    for entry in base:
        _set(values, entry)
    if options.get("tty"):
        values.setdefault("TERM", "xterm")
    _apply_options(values, options, host)
    return [f"{name}={value}" for name, value in values.items()]


def _apply_options(values: dict[str, str], options: Options, host: Host) -> None:
    for path in options.get("env_file") or ():
        for entry in read_lines(path, host, "env-file"):
            _apply(values, entry, host)
    for entry in options.get("env") or ():
        if not entry or entry[0] == "=":
            raise invalid("env", entry, f"invalid environment variable: {entry}")
        _apply(values, entry, host)


def _set(values: dict[str, str], entry: str) -> None:
    name, _, value = entry.partition("=")
    values[name] = value


def _apply(values: dict[str, str], entry: str, host: Host) -> None:
    """`KEY=VALUE`; `KEY` takes the caller's value, or removes the variable; `KEY*` takes all that begin so."""
    name, equals, value = entry.partition("=")
    if equals:
        values[name] = value
    elif name.endswith("*"):
        values.update({key: value for key, value in host.environ.items() if key.startswith(name[:-1])})
    elif name in host.environ:
        values[name] = host.environ[name]
    else:
        values.pop(name, None)


def _merge(values: dict[str, str], entry: str) -> None:
    name, equals, template = entry.partition("=")
    if not equals or not name:
        raise invalid("env-merge", entry, f"invalid environment variable: {entry}")
    text, rest = "", template
    while "$" in rest:
        before, _, rest = rest.partition("$")
        if rest.startswith("{") and "}" in rest:
            variable, _, rest = rest[1:].partition("}")
        else:
            length = 0
            while length < len(rest) and (rest[length].isalnum() or rest[length] == "_"):
                length += 1
            variable, rest = rest[:length], rest[length:]
        text += before + values.get(variable, "")
    values[name] = text + rest


def _timezone(name: str, host: Host) -> str:
    if name == "local":
        return ""
    if name.startswith("/") or ".." in name or host.stat(f"/usr/share/zoneinfo/{name}") is None:
        raise UsageError(f"running container create option: finding timezone: unknown time zone {name}")
    return name


def read_lines(path: str, host: Host, option: str) -> list[str]:
    """The `KEY[=VALUE]` lines of an --env-file or --label-file. UsageError for what docker refuses."""
    try:
        text = host.read_text(path)
    except UnicodeDecodeError:
        raise UsageError(f"{path} contains invalid utf8 bytes") from None
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise UsageError(f"open {path}: {reason}", f"--{option} takes a file of KEY=VALUE lines") from None
    entries = []
    for number, line in enumerate(text.split("\n"), 1):
        entry = line.removesuffix("\r").lstrip()
        if not entry or entry[0] == "#":
            continue
        name = entry.partition("=")[0]
        if not name:
            raise UsageError(f"{path}: line {number}: no variable name on line '{entry}'")
        if name.split() != [name]:
            raise UsageError(f"{path}: line {number}: variable '{name}' contains whitespaces")
        entries.append(entry)
    return entries
