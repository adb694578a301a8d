"""--link, docker's way before networks had names: what it asks for, and the variables that it puts into a container."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypedDict

    from crate.plan.shapes import NetworkRequest

    class Link(TypedDict):
        """Another container, by name or id until it is looked up, and the name that it gets here."""

        container: str
        alias: str


_SOLE = ("none", "host", "container", "ns")
#: of the other container's environment what is its own alone
_PRIVATE = ("HOME", "HOSTNAME", "PATH", "TERM", "container")


def make_links(given: Iterable[str], request: NetworkRequest) -> list[Link]:
    """`NAME` or `NAME:ALIAS`. UsageError for what is neither, an alias that comes twice, or a mode without networks."""
    links: list[Link] = []
    for text in given:
        name, colon, alias = text.partition(":")
        name = name.removeprefix("/")
        alias = alias.rpartition("/")[2] if colon else name
        if not name or not alias or ":" in alias or set(alias) & set(" \t\n;=#"):
            raise UsageError(f"bad format for links: {text}", "write it as NAME or NAME:ALIAS")
        if any(link["alias"] == alias for link in links):
            raise UsageError(f"cannot link two containers as {alias}", f"give one another alias: --link {name}:ALIAS")
        links.append({"container": name, "alias": alias})
    if links and request["mode"] in _SOLE:
        raise UsageError(f"conflicting options: {request['mode']} type networking can't be used with links")
    return links


def variables(own_name: str, alias: str, address: str, ports: Iterable[str], environment: Iterable[str]) -> list[str]:
    """Docker's variables of one link. `ports`: `80/tcp`, exposed by the other; `environment`: its `KEY=VALUE`."""
    prefix = alias.upper().replace("-", "_").replace(".", "_")
    found = [f"{prefix}_NAME=/{own_name}/{alias}"]
    host = f"[{address}]" if ":" in address else address
    for place, port in enumerate(sorted(ports, key=_order)):
        number, _, protocol = port.partition("/")
        name = f"{prefix}_PORT_{number}_{protocol.upper()}"
        if place == 0:
            found.append(f"{prefix}_PORT={protocol}://{host}:{number}")
        found += [
            f"{name}={protocol}://{host}:{number}",
            f"{name}_ADDR={address}",
            f"{name}_PORT={number}",
            f"{name}_PROTO={protocol}",
        ]
    return found + [f"{prefix}_ENV_{entry}" for entry in environment if entry.partition("=")[0] not in _PRIVATE]


def _order(port: str) -> tuple[int, bool, str]:
    number, _, protocol = port.partition("/")
    return int(number), protocol != "tcp", protocol
