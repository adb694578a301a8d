"""The container's process: its command, directory, limits and rights."""

from __future__ import annotations

from crate.errors import UsageError
from crate.plan.refusal import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.oci.runtime_spec import POSIXRlimit
    from crate.plan.host import Host
    from crate.plan.shapes import Options
    from crate.settings import Settings

INIT_DESTINATION = "/run/.crate-init"


def make_command(options: Options, config: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """(entrypoint, command) in force: an --entrypoint resets the image's command, a command replaces it."""
    given = options.get("entrypoint")
    command = list(options.get("command") or ())
    if given is None:
        entrypoint = list(config.get("Entrypoint") or ())
        command = command or list(config.get("Cmd") or ())
    else:
        entrypoint = parse_entrypoint(given)
    if not entrypoint and not command:
        raise UsageError("no command specified", "give a command after the image, or --entrypoint")
    return entrypoint, command


def parse_entrypoint(given: str) -> list[str]:
    """One program, or a JSON list of program and arguments as podman takes it; empty: none."""
    if given.startswith("["):
        from crate.oci import json

        try:
            words = json.loads(given)
        except ValueError:
            return [given]
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
    return [given] if given else []


def make_directory(options: Options, config: Mapping[str, Any]) -> str:
    """The working directory, cleaned as by Go's path.Clean."""
    given = options.get("workdir")
    path = given or config.get("WorkingDir") or "/"
    if not path.startswith("/"):
        if given:
            raise UsageError(f'the working directory "{path}" is invalid, it needs to be an absolute path')
        path = f"/{path}"
    if path == "/" or ("//" not in path and "/." not in path and path[-1] != "/"):
        return str(path)
    from os.path import normpath

    return "/" + normpath(path).lstrip("/")


# name → number of getrlimit(2)
_LIMITS = {
    "cpu": 0, "fsize": 1, "data": 2, "stack": 3, "core": 4, "rss": 5, "nproc": 6, "nofile": 7, "memlock": 8,
    "locks": 10, "sigpending": 11, "msgqueue": 12, "nice": 13, "rtprio": 14, "rttime": 15,
}  # fmt: skip
_UNLIMITED = (1 << 64) - 1


def make_limits(options: Options, host: Host, settings: Settings, warnings: list[str]) -> list[POSIXRlimit]:
    """`--ulimit NAME=SOFT[:HARD]`. Without CAP_SYS_RESOURCE the caller's hard limit is the ceiling: with a warning."""
    given = options.get("ulimit")
    limits: dict[str, POSIXRlimit] = {}
    for text in [*settings.get("containers.ulimits"), *(given or ())]:
        if text == "host":
            limits.clear()
            continue
        name, soft, hard = _parse_limit(text)
        ceiling = host.hard_limit(_LIMITS[name])
        if ceiling is not None and hard > ceiling:
            soft, hard = min(soft, ceiling), ceiling
            if text in (given or ()):
                warnings.append(f"WARNING: ulimit {name} is at most {ceiling} for this user: {soft}:{hard} is set")
        limits[name] = {"type": f"RLIMIT_{name.upper()}", "hard": hard, "soft": soft}
    return list(limits.values())


def _parse_limit(text: str) -> tuple[str, int, int]:
    name, equals, values = text.partition("=")
    if not equals:
        raise invalid("ulimit", text, f"invalid ulimit argument: {text}")
    if name not in _LIMITS:
        raise invalid("ulimit", text, f"invalid ulimit type: {name}")
    words = values.split(":")
    if len(words) > 2:
        reason = f"too many limit value arguments - {values}, can only have up to two, `soft[:hard]`"
        raise invalid("ulimit", text, reason)
    numbers = [_parse_number(text, word) for word in words]
    soft, hard = numbers[0], numbers[-1]
    if soft > hard:
        shown = -1 if soft == _UNLIMITED else soft
        raise invalid("ulimit", text, f"ulimit soft limit must be less than or equal to hard limit: {shown} > {hard}")
    return name, soft, hard


def _parse_number(text: str, word: str) -> int:
    if word in ("-1", "unlimited"):
        return _UNLIMITED
    if not word.isascii() or not word.removeprefix("-").isdigit():
        raise invalid("ulimit", text, f'strconv.ParseInt: parsing "{word}": invalid syntax')
    if not 0 <= int(word) < 1 << 63:
        raise invalid("ulimit", text, f'strconv.ParseInt: parsing "{word}": value out of range')
    return int(word)


def oom_score(options: Options, host: Host, warnings: list[str]) -> int | None:
    """`--oom-score-adj`; without CAP_SYS_RESOURCE not below the caller's own: with a warning."""
    if options.get("oom_score_adj") is None:
        return None
    from crate.plan.quantities import integer

    value = integer("oom-score-adj", options["oom_score_adj"])
    if not -1000 <= value <= 1000:
        raise UsageError(f"invalid value {value}, range for oom score adj is [-1000, 1000]")
    own = host.oom_score_adj()
    if own is None or own <= value:
        return value
    warnings.append(f"WARNING: oom score adj is at least {own} for this user: {own} is set")
    return own


def make_user(options: Options, config: Mapping[str, Any]) -> str:
    """`NAME|UID[:GROUP|GID]`, empty for root; whether the names exist only the root filesystem tells."""
    user = options.get("user")
    if user is None:
        return str(config.get("User") or "")
    if user.count(":") > 1 or (user.startswith(":") and len(user) > 1 and not user[1:].strip()):
        raise UsageError(f'invalid user "{user}"', "write it as NAME|UID[:GROUP|GID]")
    return str(user)
