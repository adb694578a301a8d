"""How events are shown: podman's line, podman's and docker's JSON in one object, Go templates of their fields; cold."""

from __future__ import annotations

import time

from crate.cli.output import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Event = dict[str, Any]


def form(text: str | None, *, short: bool) -> Callable[[Event], str]:
    """What makes the line of an event. `short`: without a template its ID is cut. UsageError for a bad template."""
    if text is None:
        return lambda event: one_line(line(event, short))
    from crate.cli.template import Template
    from crate.cli.template.values import json_text

    if text.replace(" ", "") in ("json", "{{json.}}"):
        return lambda event: json_text(described(event))
    template = Template(text.replace("\\t", "\t").replace("\\n", "\n"))
    return lambda event: template.execute({**_FIELDS, **described(event), "Time": moment(event["time"])})


def line(event: Event, short: bool) -> str:
    """The line of podman-events(1)."""
    kind, identifier, name = event["type"], event.get("id", ""), event.get("name", "")
    identifier = identifier[:12] if short else identifier
    head = f"{moment(event['time'])} {kind} {event['action']}"
    if kind in ("volume", "system"):
        return f"{head} {name}".rstrip()
    if kind == "image":
        return f"{head} {identifier} {name}"
    if kind == "network":
        return f"{head} {event.get('container', identifier)} (name={name})"
    parts = [f"image={event.get('image', '')}", f"name={name}"]
    parts += [f"{key}={event[key]}" for key in ("pod_id", "health_status") if event.get(key)]
    parts += [f"{key}={value}" for key, value in sorted((event.get("attributes") or {}).items())]
    return f"{head} {identifier} ({', '.join(parts)})"


def moment(nanoseconds: int) -> str:
    """As Go prints a time: `2022-11-21 10:01:42.12 +0000 UTC`."""
    seconds, rest = divmod(nanoseconds, 10**9)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) + f"{fraction} +0000 UTC"


#: what a template may name of any event
_FIELDS = {"ID": "", "Image": "", "Name": "", "ContainerExitCode": 0, "HealthStatus": "", "PodID": "", "Network": ""}
_DOCKERS = {"died": "die", "remove": "destroy", "exec_died": "exec_die", "exec": "exec_start"}


def described(event: Event) -> dict[str, Any]:
    """podman's object (ID, Status, Time …), and in it docker's further fields (Action, Actor, scope, timeNano)."""
    kind, action = str(event["type"]), str(event["action"])
    name, image, labels = event.get("name", ""), event.get("image", ""), event.get("attributes")
    seconds, rest = divmod(event["time"], 10**9)
    found: dict[str, Any] = {"ID": event.get("id", ""), "Image": image, "Name": name, "Status": action}
    found = {key: value for key, value in found.items() if value}
    more = (("exit_code", "ContainerExitCode"), ("health_status", "HealthStatus"), ("pod_id", "PodID"))
    found |= {field: event[key] for key, field in more if key in event}
    actor = {**(labels or {}), "name": name, **({"image": image} if image else {})}
    if "exit_code" in event:
        actor["exitCode"] = str(event["exit_code"])
    if kind == "container":
        action = _DOCKERS.get(action, action)
        action += f": {event['health_status']}" if "health_status" in event else ""
    elif kind == "image" and action == "remove":
        action = "delete"
    elif action == "remove":
        action = "destroy"
    return found | {
        "Time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}".rstrip("0").rstrip(".") + "Z",
        "Type": kind,
        "Attributes": labels or ({} if kind == "container" else None),
        "Action": action,
        "Actor": {"ID": event.get("id", "") or name, "Attributes": actor},
        "scope": "local",
        "time": seconds,
        "timeNano": event["time"],
    }
