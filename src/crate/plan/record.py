"""container.json: what OCI does not describe of a container, in a form that carries its version."""

from __future__ import annotations

import time

from crate.errors import UsageError
from crate.plan.log_config import make_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.plan.host import Host
    from crate.plan.shapes import Options
    from crate.settings import Settings

VERSION = 1
_RESTARTS = ("no", "always", "on-failure", "unless-stopped")
_ON_FAILURE = ("none", "kill", "restart", "stop")


def make_record(
    options: Options, image: Mapping[str, Any] | None, host: Host, settings: Settings, container_id: str
) -> dict[str, Any]:
    """The record, without what container.py adds of the parts of the plan."""
    config = (image or {}).get("config", {}).get("config") or {}
    health = _health(options, config)
    return {
        "version": VERSION,
        "id": container_id,
        "name": options.get("name") or "",
        "created": host.now_ns,
        "image": (image or {}).get("id", ""),
        "image_name": options.get("image") or "",
        "image_digest": (image or {}).get("digest", ""),
        "layers": list((image or {}).get("layers") or ()),
        "platform": options.get("platform") or "",
        "tty": bool(options.get("tty")),
        "interactive": bool(options.get("interactive")),
        "attach": _attach(options),
        "detach_keys": _detach_keys(options, settings),
        "labels": make_labels(options, config, host),
        "log": make_log(options, settings),
        "remove": bool(options.get("rm")),
        "restart": restart_policy(options, settings),
        "stop_signal": _stop_signal(options, config),
        "stop_timeout": _stop_timeout(options, settings),
        "timeout": _timeout(options),
        "health": health,
        "health_on_failure": _on_failure(options, health),
        "health_log": _health_log(options),
        "privileged": bool(options.get("privileged")),
        "options": {
            key: value
            for key, value in options.items()
            if value not in (None, False, []) and key not in ("env", "globals")
        },
    }


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 in UTC with nanoseconds, as docker prints times."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def _attach(options: Options) -> list[str]:
    given = [stream.lower() for stream in options.get("attach") or ()]
    for stream in given:
        if stream not in ("stdin", "stdout", "stderr"):
            raise UsageError(
                f'invalid argument "{stream}" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR'
            )
    if given and options.get("detach"):
        raise UsageError("conflicting options: cannot specify both --attach and --detach")
    if given or options.get("detach"):
        return given
    return ["stdin", "stdout", "stderr"] if options.get("interactive") else ["stdout", "stderr"]


def _detach_keys(options: Options, settings: Settings) -> str:
    given = options.get("detach_keys")
    if given is None:
        return str(settings.get("containers.detach_keys"))
    for key in given.split(",") if given else ():
        letter = key.removeprefix("ctrl-")
        if len(letter) != 1 or (letter != key and not ("a" <= letter <= "z" or letter in "@[\\]^_")):
            raise UsageError(f"invalid detach keys ({given}): Unknown character: '{key}'")
    return str(given)


def make_labels(options: Options, config: Mapping[str, Any], host: Host) -> dict[str, str]:
    """Those of the image, of --label-file and of --label. UsageError."""
    labels = dict(config.get("Labels") or {})
    entries: list[str] = []
    for path in options.get("label_file") or ():
        from crate.plan.environment import read_lines

        entries += read_lines(path, host, "label-file")
    for entry in entries + list(options.get("label") or ()):
        name, _, value = entry.partition("=")
        if not name:
            raise UsageError(f'invalid argument "{entry}" for "-l, --label" flag: invalid label: {entry}')
        labels[name] = value
    return labels


def restart_policy(options: Options, settings: Settings) -> dict[str, Any]:
    """`on-failure:3` as {"name", "maximum_retry_count"}; UsageError in docker's words."""
    given = options.get("restart")
    text = settings.get("containers.restart") if given is None else given
    name, colon, count = (text or "no").partition(":")
    if name not in _RESTARTS or (colon and name == "no"):
        raise UsageError(f"invalid restart policy '{text}'", "no, always, unless-stopped or on-failure[:max-retries]")
    if colon and (not count.isascii() or not count.isdigit()):
        raise UsageError("invalid restart policy format: maximum retry count must be an integer")
    if colon and name != "on-failure":
        raise UsageError("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if name != "no" and options.get("rm"):
        raise UsageError("conflicting options: cannot specify both --restart and --rm")
    return {"name": name, "maximum_retry_count": int(count or "0")}


def _stop_signal(options: Options, config: Mapping[str, Any]) -> int:
    given = options.get("stop_signal") or config.get("StopSignal")
    if not given:
        return 15
    from crate.linux.signals import parse_signal

    number = parse_signal(str(given))
    if number is None:
        raise UsageError(f"invalid signal: {given}")
    return number


def _stop_timeout(options: Options, settings: Settings) -> int:
    given = options.get("stop_timeout")
    if given is None:
        return int(settings.get("containers.stop_timeout"))
    from crate.plan.quantities import integer

    return integer("stop-timeout", given)


def _timeout(options: Options) -> int:
    """The seconds after which the container is killed; 0: never."""
    from crate.plan.quantities import integer

    return integer("timeout", options.get("timeout") or 0, signed=False)


def _health(options: Options, config: Mapping[str, Any]) -> dict[str, Any] | None:
    names = ("health_cmd", "health_interval", "health_timeout", "health_start_period", "health_start_interval")
    if options.get("no_healthcheck") or any(options.get(n) for n in (*names, "health_retries")):
        from crate.plan.health import make_health

        return make_health(options, config)
    health = config.get("Healthcheck")
    return health if health and health.get("Test") and health["Test"][0] != "NONE" else None


def _on_failure(options: Options, health: dict[str, Any] | None) -> str:
    action = options.get("health_on_failure") or "none"
    if action not in _ON_FAILURE:
        raise UsageError(f'invalid value "{action}" for on-failure action', ", ".join(_ON_FAILURE))
    if action != "none" and not health:
        raise UsageError(f"cannot set on-failure action to {action} without a health check")
    if action == "restart" and options.get("rm"):
        raise UsageError("conflicting options: cannot specify both --health-on-failure=restart and --rm")
    return str(action)


def _health_log(options: Options) -> dict[str, Any]:
    """Where podman's log of the checks goes, how many there are in it and how long the output of each may be."""
    names = ("health_max_log_count", "health_max_log_size", "health_log_destination")
    if not any(options.get(name) is not None for name in names):
        return {}
    from crate.plan.health import make_log

    return make_log(options)
