"""--publish, --publish-all and --expose."""

from __future__ import annotations

from crate.errors import UsageError
from crate.plan.refusal import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from crate.plan.shapes import Options, Port

_PROTOCOLS = ("tcp", "udp", "sctp")


def make_ports(options: Options, config: Mapping[str, Any]) -> list[Port]:
    """The published ports, one entry each; --publish-all adds what is exposed and not yet published."""
    ports: list[Port] = []
    for text in options.get("publish") or ():
        ports += parse_publish(text)
    exposed = parse_expose(options.get("expose") or ())
    if options.get("publish_all"):
        published = {f"{port['container_port']}/{port['protocol']}" for port in ports}
        for name in [*(_normal(port) for port in config.get("ExposedPorts") or ()), *exposed]:
            if name not in published:
                published.add(name)
                number, _, protocol = name.partition("/")
                ports.append(_port("", 0, int(number), protocol))
    _refuse_twice(ports)
    return ports


def _port(host_ip: str, host_port: int, container_port: int, protocol: str) -> Port:
    return {"host_ip": host_ip, "host_port": host_port, "container_port": container_port, "protocol": protocol}


def _refuse_twice(ports: list[Port]) -> None:
    seen: dict[tuple[int, str], list[str]] = {}
    for port in ports:
        if not port["host_port"]:
            continue
        addresses = seen.setdefault((port["host_port"], port["protocol"]), [])
        for address in addresses:
            if address == port["host_ip"] or not address or not port["host_ip"]:
                raise UsageError(f"conflicting port mappings for host port {port['host_port']} ({port['protocol']})")
        addresses.append(port["host_ip"])


def parse_publish(text: str) -> list[Port]:
    """`[[IP:][HOST_PORT]:]CONTAINER_PORT[/PROTOCOL]`, ports or ranges; an IPv6 address stands in brackets."""
    rest, slash, protocol = text.rpartition("/") if "/" in text else (text, "", "tcp")
    protocol = protocol.lower()
    if protocol not in _PROTOCOLS:
        raise invalid("publish", text, f"invalid proto: {protocol}" if slash else "invalid proto: ")
    host, host_ports, container_ports = _parts(text, rest)
    if not container_ports:
        raise invalid("publish", text, f"no port specified: {text}<empty>")
    first, last = _range(container_ports, text, "containerPort")
    if not host_ports:
        return [_port(host, 0, port, protocol) for port in range(first, last + 1)]
    host_first, host_last = _range(host_ports, text, "hostPort", lowest=0)
    if last - first != host_last - host_first:
        if first != last:
            raise invalid(
                "publish",
                text,
                f"invalid ranges specified for container and host Ports: {container_ports} and {host_ports}",
            )
        # One container port and a range on the host: whoever binds it takes the first that is free.
        return [{**_port(host, host_first, first, protocol), "host_port_last": host_last}]
    if not host_first:
        return [_port(host, 0, port, protocol) for port in range(first, last + 1)]
    return [_port(host, host_first + port - first, port, protocol) for port in range(first, last + 1)]


def _parts(text: str, rest: str) -> tuple[str, str, str]:
    """(address, host ports, container ports)."""
    host = ""
    if rest.startswith("["):
        host, bracket, rest = rest[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise invalid("publish", text, f"invalid IP address: {text}")
        rest = rest[1:]
        words = rest.split(":")
        if len(words) > 2:
            raise invalid("publish", text, f"invalid port specification: {text}")
    else:
        words = rest.split(":")
        if len(words) > 2:
            host, words = ":".join(words[:-2]), words[-2:]
    _check_address(host, text)
    return host, words[0] if len(words) > 1 else "", words[-1]


def _check_address(host: str, text: str) -> None:
    if not host:
        return
    from _socket import AF_INET, AF_INET6, inet_pton

    try:
        inet_pton(AF_INET6 if ":" in host else AF_INET, host.partition("%")[0])
    except OSError:
        raise invalid("publish", text, f"invalid IP address: {host}") from None


def _range(text: str, whole: str, what: str, lowest: int = 1) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    numbers = []
    for word in (first, last) if dash else (first,):
        if not word.isascii() or not word.isdigit() or not lowest <= int(word) <= 65535:
            raise invalid("publish", whole, f"invalid {what}: {text}")
        numbers.append(int(word))
    if numbers[0] > numbers[-1]:
        raise invalid("publish", whole, f"invalid {what}: invalid range specified for port: {text}")
    return numbers[0], numbers[-1]


def parse_expose(entries: Iterable[str]) -> list[str]:
    """`PORT[-PORT][/PROTOCOL]` as `80/tcp` each."""
    exposed: list[str] = []
    for entry in entries:
        ports, slash, protocol = entry.partition("/")
        protocol = protocol.lower() if slash else "tcp"
        first, dash, last = ports.partition("-")
        words = (first, last) if dash else (first,)
        if protocol not in _PROTOCOLS:
            raise UsageError(f"invalid protocol {protocol!r} for --expose: {entry}", "tcp, udp or sctp")
        if not all(word.isascii() and word.isdigit() and 0 < int(word) <= 65535 for word in words):
            raise UsageError(f"invalid range format for --expose: {entry}", "write it as PORT[-PORT][/PROTOCOL]")
        if int(words[0]) > int(words[-1]):
            raise UsageError(f"invalid range format for --expose: {entry}: the range is empty")
        names = [f"{port}/{protocol}" for port in range(int(words[0]), int(words[-1]) + 1)]
        exposed += [name for name in names if name not in exposed]
    return exposed


def _normal(port: str) -> str:
    """`80/tcp` of an image's `80`; images that name ranges or nonsense are refused as the option would be."""
    return parse_expose([str(port)])[0]
