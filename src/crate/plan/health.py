"""The health check of a container: that of the image, as the options change it."""

from __future__ import annotations

from crate.errors import UsageError
from crate.plan.quantities import duration_ns, integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.plan.shapes import Options

_DURATIONS = {
    "health_interval": "Interval",
    "health_timeout": "Timeout",
    "health_start_period": "StartPeriod",
    "health_start_interval": "StartInterval",
}


def make_health(options: Options, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The check in the form of the image config (Test, Interval in ns, …); None for none."""
    given = {key: options[key] for key in (*_DURATIONS, "health_cmd", "health_retries") if options.get(key)}
    if options.get("no_healthcheck"):
        if given:
            raise UsageError("--no-healthcheck conflicts with --health-* options")
        return None
    health = dict(config.get("Healthcheck") or {})
    command = given.get("health_cmd")
    if command == "none":
        return None
    if command:
        health["Test"] = _command(command)
    for option, key in _DURATIONS.items():
        if option in given:
            if option == "health_interval" and given[option] == "disable":
                health[key] = 0
                continue
            value = duration_ns(option.replace("_", "-"), given[option])
            if value < 0 or 0 < value < 1_000_000:
                raise UsageError(f"{key} in Healthcheck cannot be less than 1ms")
            health[key] = value
    if "health_retries" in given:
        retries = integer("health-retries", given["health_retries"])
        if retries < 0:
            raise UsageError("--health-retries cannot be negative")
        health["Retries"] = retries
    return health if health.get("Test") and health["Test"][0] != "NONE" else None


def make_log(options: Options) -> dict[str, Any]:
    """{"count", "size", "directory"}, what was given of them; 0 means without limit. UsageError."""
    found: dict[str, Any] = {}
    for name in ("count", "size"):
        given = options.get(f"health_max_log_{name}")
        if given is not None:
            found[name] = integer(f"health-max-log-{name}", given, signed=False)
    place = options.get("health_log_destination")
    if place and place != "local":
        if not place.startswith("/"):
            raise UsageError(f"--health-log-destination: {place}", "local, or the absolute path of a directory")
        found["directory"] = place
    return found


def _command(text: str) -> list[str]:
    """For the shell; a JSON list is a command by itself, as podman takes it."""
    if text.startswith("["):
        from crate.oci import json

        try:
            words = json.loads(text)
        except ValueError:
            words = None
        if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
            return words if words[0] in ("CMD", "CMD-SHELL", "NONE") else ["CMD", *words]
    return ["CMD-SHELL", text]
