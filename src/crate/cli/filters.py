"""`--filter KEY=VALUE` of containers, networks, volumes and secrets; hot only where a filter is given.

Values of one key are alternatives, different keys must all hold, labels all of them: as docker and podman have it.
"""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.engine.pods.pod import Pod
    from crate.storage.secrets import SecretRecord

    Test = Callable[[Any, str], bool]

_EVERY = ("label", "label!", "annotation")  # keys whose values must all hold
_STATES = (
    "created",
    "running",
    "paused",
    "restarting",
    "removing",
    "exited",
    "stopped",
    "dead",
    "configured",
    "initialized",
)


def parse(given: Iterable[str], known: Iterable[str]) -> dict[str, list[str]]:
    """Key -> values. Raises UsageError for what is not `key=value`, or a key that is not known."""
    known = list(known)
    found: dict[str, list[str]] = {}
    for text in given:
        key, equals, value = text.partition("=")
        key = key.strip().lower()
        if key.endswith("!"):
            key = key[:-1].strip() + "!"
        if not equals or not key:
            raise UsageError(
                f'invalid argument "{text}" for "-f, --filter" flag: bad format of filter', "as name=value"
            )
        if key not in known:
            raise UsageError(f'invalid filter "{key}"', f"one of {', '.join(sorted(known))}")
        found.setdefault(key, []).append(value.strip())
    return found


def _holds(item: Any, filters: dict[str, list[str]], tests: dict[str, Test]) -> bool:
    for key, values in filters.items():
        results = (tests[key](item, value) for value in values)
        if not (all(results) if key in _EVERY else any(results)):
            return False
    return True


def matches(pattern: str, text: str) -> bool:
    """A pattern of names: a regular expression that may match anywhere, as in docker and podman."""
    special = set(pattern) & set("^$*+?.()[]{}|\\")
    if not special:
        return pattern in text
    if special == {"^", "$"} and pattern[0] == "^" and pattern[-1] == "$":
        return pattern[1:-1] == text
    import re  # 4 ms, for those who ask for it

    try:
        return re.search(pattern, text) is not None
    except re.error as error:
        raise UsageError(f"invalid pattern {pattern!r}: {error}") from None


def has_label(labels: dict[str, str] | None, wanted: str) -> bool:
    """`key` or `key=value`."""
    key, equals, value = wanted.partition("=")
    return key in (labels or {}) and (not equals or (labels or {})[key] == value)


def boolean(value: str) -> bool:
    """The value of `dangling=`. Raises UsageError."""
    if value.lower() in ("1", "t", "true"):
        return True
    if value.lower() in ("0", "f", "false"):
        return False
    raise UsageError(f'invalid filter value "{value}"', "true or false")


# Containers.


def containers(engine: Engine, given: Iterable[str], listed: list[Container]) -> list[Container]:
    """Those of `listed` that match every filter."""
    tests = _container_tests(engine, listed)
    filters = parse(given, tests)
    for state in filters.get("status", []):
        if state not in _STATES:
            raise UsageError(f'invalid filter "status={state}"', f"one of {', '.join(_STATES)}")
    for key, check in _CHECKS.items():
        for value in filters.get(key, ()):
            check(value)
    return [container for container in listed if _holds(container, filters, tests)]


def _container_tests(engine: Engine, listed: list[Container]) -> dict[str, Test]:
    def state(container: Container) -> dict[str, Any]:
        return container.state(engine)

    def by_id(container: Container, value: str) -> bool:
        digits = value.lower().removeprefix("^")
        if digits and not digits.strip("0123456789abcdef"):
            return container.id.startswith(digits)
        return matches(value, container.id)

    def status(container: Container, value: str) -> bool:
        known = {"stopped": "exited", "configured": "created"}.get(value, value)
        return bool(state(container)["status"] == known)

    def exited(container: Container, value: str) -> bool:
        return bool(state(container)["status"] == "exited" and state(container)["exit_code"] == _exit_code(value))

    moments: dict[str, int] = {}

    def created(text: str) -> int:
        if text not in moments:
            moments[text] = _reference(engine, listed, text).record["created"]
        return moments[text]

    def ancestor(container: Container, value: str) -> bool:
        record = container.record
        image, image_id = str(record.get("image_name") or ""), str(record.get("image") or "")
        if value in (image, image_id) or (len(value) >= 4 and image_id.startswith(value.removeprefix("sha256:"))):
            return True
        name = image.rpartition("/")[2]
        return value in (name, name.partition(":")[0], image.rpartition(":")[0])

    def volume(container: Container, value: str) -> bool:
        mounts = container.record.get("mounts") or []
        return any(value in (m.get("name"), m.get("source"), m.get("destination")) for m in mounts)

    def network(container: Container, value: str) -> bool:
        from crate.engine.networks import attachments

        request = container.record["network"]
        names = [request["mode"], *attachments.names(request)]
        return value in names or _network_name(engine, value) in names

    def published(container: Container, value: str) -> bool:
        from crate.engine.networks.published import of_lease

        ports = of_lease(state(container).get("lease") or {})
        return bool(_ports(value) & {(p["container_port"], p["protocol"]) for p in ports})

    def exposed(container: Container, value: str) -> bool:
        every = [port for text in container.record.get("exposed_ports") or () for port in _ports(text)]
        return bool(_ports(value) & set(every)) or published(container, value)

    def health(container: Container, value: str) -> bool:
        from crate.engine.wait import health

        return (health(state(container)) or ("starting" if container.record.get("health") else "none")) == value

    def restart_policy(container: Container, value: str) -> bool:
        return bool(container.record["restart"]["name"] == _restart_policy(value))

    def pod(container: Container, value: str) -> bool:
        identifier = str(container.record["options"].get("pod_id") or "")
        return bool(identifier) and (
            identifier.startswith(value) or any(p["id"] == identifier and p["name"] == value for p in _pods(engine))
        )

    return {
        "id": by_id,
        "name": lambda c, value: matches(value.removeprefix("/"), c.name),
        "label": lambda c, value: has_label(c.record.get("labels"), value),
        "label!": lambda c, value: not has_label(c.record.get("labels"), value),
        "annotation": lambda c, value: has_label(c.record.get("annotations"), value),
        "status": status,
        "exited": exited,
        "before": lambda c, value: c.record["created"] < created(value),
        "since": lambda c, value: c.record["created"] > created(value),
        "until": lambda c, value: c.record["created"] <= _moment(value),
        "ancestor": ancestor,
        "volume": volume,
        "network": network,
        "publish": published,
        "expose": exposed,
        "health": health,
        "restart-policy": restart_policy,
        "is-task": lambda c, value: not boolean(value),
        "pod": pod,
    }


def _exit_code(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f'invalid filter "exited={text}"', "a number") from None


def _restart_policy(text: str) -> str:
    if text not in ("none", "no", "always", "on-failure", "unless-stopped"):
        raise UsageError(f"{text} invalid restart policy")
    return "no" if text == "none" else text


def _ports(text: str) -> set[tuple[int, str]]:
    """`80`, `80/udp`, `8000-8010/tcp`. Raises UsageError."""
    numbers, _, protocol = text.partition("/")
    first, _, last = numbers.partition("-")
    if not (first.isascii() and first.isdigit() and (last or first).isascii() and (last or first).isdigit()):
        raise UsageError(f'invalid port "{text}"', "as 80, 80/udp or 8000-8010/tcp")
    return {(number, protocol or "tcp") for number in range(int(first), min(int(last or first), 65535) + 1)}


#: what refuses a value although there is no container to compare it with
_CHECKS: dict[str, Callable[[str], object]] = {
    "exited": _exit_code,
    "restart-policy": _restart_policy,
    "publish": _ports,
    "expose": _ports,
}


def _network_name(engine: Engine, text: str) -> str:
    """The name of the network that an id, or its beginning, means; "" for none."""
    from crate.engine.networks import verbs as engine_networks
    from crate.errors import CrateError

    try:
        return str(engine_networks.find(engine, text)["name"])
    except CrateError:
        return ""


def _reference(engine: Engine, listed: list[Container], text: str) -> Container:
    from crate.engine import containers as engine_containers

    return engine_containers.find(engine, text)


def _pods(engine: Engine) -> list[dict[str, Any]]:
    from crate.storage import pods

    return pods.listing(engine.roots)


def _moment(text: str) -> int:
    import time

    from crate.oci.moment import parse as parse_moment

    return parse_moment(text, time.time_ns())


# Pods.


def pods(engine: Engine, given: Iterable[str], listed: list[Pod]) -> list[Pod]:
    """Those of `listed` that match every filter."""

    def number(value: str) -> int:
        try:
            return int(value)
        except ValueError:
            raise UsageError(f'invalid filter "ctr-number={value}"', "a number") from None

    def by_network(pod: Pod, value: str) -> bool:
        from crate.engine.networks import attachments

        requests = [member.record["network"] for member in pod.members]
        return any(value in (request["mode"], *attachments.names(request)) for request in requests)

    def by_state(pod: Pod, value: str) -> bool:
        known = {"stopped": "exited"}.get(value, value)
        return any(member.state(engine)["status"] == known for member in pod.members)

    tests: dict[str, Test] = {
        "id": lambda pod, value: pod.id.startswith(value) or matches(value, pod.id),
        "name": lambda pod, value: matches(value, pod.name),
        "label": lambda pod, value: has_label(pod.record["labels"], value),
        "label!": lambda pod, value: not has_label(pod.record["labels"], value),
        "status": lambda pod, value: pod.status(engine).lower() == value.lower(),
        "until": lambda pod, value: pod.record["created"] <= _moment(value),
        "network": by_network,
        "ctr-ids": lambda pod, value: any(matches(value, member.id) for member in pod.members),
        "ctr-names": lambda pod, value: any(matches(value, member.name) for member in pod.members),
        "ctr-number": lambda pod, value: len(pod.members) == number(value),
        "ctr-status": by_state,
    }
    filters = parse(given, tests)
    return [pod for pod in listed if _holds(pod, filters, tests)]


# Networks and volumes; those of images are `crate.image.filters`.


def networks(engine: Engine, given: Iterable[str] | None, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Network records that match every filter."""
    from crate.oci import moment

    used: set[str] = set()
    if any(text.startswith("dangling") for text in given or ()):
        from crate.engine.networks import verbs as engine_networks

        used = engine_networks.used(engine)
    tests: dict[str, Test] = {
        "name": lambda record, value: matches(value, record["name"]),
        "id": lambda record, value: str(record["id"]).startswith(value),
        "driver": lambda record, value: record.get("driver", "bridge") == value,
        "label": lambda record, value: has_label(record.get("labels"), value),
        "label!": lambda record, value: not has_label(record.get("labels"), value),
        "until": lambda record, value: moment.created(record.get("created") or "") <= _moment(value),
        "scope": lambda record, value: value == "local",
        "type": lambda record, value: (value == "builtin") == bool(record.get("builtin")),
        "dangling": lambda record, value: (record["name"] not in used) == boolean(value),
    }
    filters = parse(given or (), tests)
    return [record for record in listed if _holds(record, filters, tests)]


def volumes(engine: Engine, given: Iterable[str] | None, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Volume records that match every filter."""
    if not given:
        return listed
    from crate.engine import containers as engine_containers
    from crate.oci import moment

    used: set[str] = set()
    if any(text.startswith("dangling") for text in given):
        for container in engine_containers.listing(engine):
            used.update(str(mount["name"]) for mount in container.record.get("mounts") or [] if mount.get("name"))
    tests: dict[str, Test] = {
        "name": lambda record, value: matches(value, record["name"]),
        "driver": lambda record, value: record.get("driver", "local") == value,
        "label": lambda record, value: has_label(record.get("labels"), value),
        "label!": lambda record, value: not has_label(record.get("labels"), value),
        "scope": lambda record, value: value == "local",
        "opt": lambda record, value: has_label(record.get("options"), value),
        "dangling": lambda record, value: (record["name"] not in used) == boolean(value),
        "until": lambda record, value: moment.created(record["created"]) <= _moment(value),
    }
    filters = parse(given, tests)
    return [record for record in listed if _holds(record, filters, tests)]


def secrets(given: Iterable[str] | None, listed: Sequence[SecretRecord]) -> list[SecretRecord]:
    """Secret records that match every filter."""
    tests: dict[str, Test] = {
        "name": lambda record, value: matches(value, record["name"]),
        "id": lambda record, value: str(record["id"]).startswith(value),
        "label": lambda record, value: has_label(record["labels"], value),
        "driver": lambda record, value: value == "file",
    }
    filters = parse(given or (), tests)
    return [record for record in listed if _holds(record, filters, tests)]
