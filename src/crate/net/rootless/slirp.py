"""slirp4netns for a container of its own: podman's options for it, its command line, its orders about ports."""

from __future__ import annotations

import time
from _socket import AF_UNIX, SHUT_WR, SOCK_CLOEXEC, SOCK_STREAM, socket

from crate.errors import HostError, UsageError
from crate.net.addresses import format_address, nth, parse_subnet
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypedDict

    from crate.net.sandbox import Port

    class Options(TypedDict):
        """What podman's options say; texts are empty where nothing was given."""

        subnet: str
        mtu: str
        host_loopback: bool
        ipv6: bool
        outbound: str
        outbound6: str


#: its own subnet, and the places of gateway, resolver and container in any (slirp4netns(1))
SUBNET, _GATEWAY, _RESOLVER, _CONTAINER = "10.0.2.0/24", 2, 3, 100
#: of the uplink, which has its own subnet
RESOLVER = "10.0.2.3"
_PREFIX_MAX = 25
_KNOWN = "known are allow_host_loopback, cidr, enable_ipv6, mtu, outbound_addr, outbound_addr6 and port_handler"
_HANDLERS = ("slirp4netns", "rootlesskit")
_ANSWER_BYTES = 4096
#: it says that it is ready a moment before it listens for orders
_TRIES, _PAUSE_SECONDS = 200, 0.01


def parse(text: str) -> Options:
    """`mtu=1500,enable_ipv6=false` as options; IPv6 is on, as in podman. UsageError for what it does not know."""
    found: Options = {
        "subnet": SUBNET,
        "mtu": "65520",
        "host_loopback": False,
        "ipv6": True,
        "outbound": "",
        "outbound6": "",
    }
    for option in text.split(",") if text else ():
        key, _, value = option.partition("=")
        if key == "allow_host_loopback":
            found["host_loopback"] = _truth(option, value)
        elif key == "enable_ipv6":
            found["ipv6"] = _truth(option, value)
        elif key == "cidr":
            subnet = parse_subnet(value)
            if ":" in value or subnet[1] > _PREFIX_MAX:
                raise UsageError(f"invalid option of slirp4netns: {option}", f"an IPv4 subnet up to /{_PREFIX_MAX}")
            found["subnet"] = value
        elif key == "mtu" and value.isascii() and value.isdigit():
            found["mtu"] = value
        elif key == "outbound_addr" and value:
            found["outbound"] = value
        elif key == "outbound_addr6" and value:
            found["outbound6"] = value
        elif key != "port_handler" or value not in _HANDLERS:  # its own is taken either way: it keeps the address
            raise UsageError(f"invalid option of slirp4netns: {option}", _KNOWN)
    if found["outbound6"] and not found["ipv6"]:
        raise UsageError("outbound_addr6 of slirp4netns needs enable_ipv6=true")
    return found


def _truth(option: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise UsageError(f"invalid option of slirp4netns: {option}", "true or false")
    return value == "true"


def addresses(options: Options) -> tuple[str, int, str, str]:
    """The container's address and prefix, the gateway, the resolver."""
    subnet = parse_subnet(options["subnet"])
    container, gateway, resolver = (format_address(nth(subnet, place)) for place in (_CONTAINER, _GATEWAY, _RESOLVER))
    return container, subnet[1], gateway, resolver


def arguments(options: Options, interface: str, api_socket: str = "") -> list[str]:
    """The command line, see slirp4netns(1)."""
    words = ["slirp4netns", "--configure", "--ready-fd=1", f"--mtu={options['mtu']}", f"--cidr={options['subnet']}"]
    if not options["host_loopback"]:
        words.append("--disable-host-loopback")
    if options["ipv6"]:
        words.append("--enable-ipv6")
    if options["outbound"]:
        words.append(f"--outbound-addr={options['outbound']}")
    if options["outbound6"]:
        words.append(f"--outbound-addr6={options['outbound6']}")
    if api_socket:
        words.append(f"--api-socket={api_socket}")
    return [*words, "--netns-type=path", "/proc/self/fd/0", interface]


def forward_ports(path: str, ports: Sequence[Port]) -> None:
    """Has a running one listen on the host's ports. HostError when it does not."""
    for port in ports:
        order = {
            "execute": "add_hostfwd",
            "arguments": {
                "proto": port["protocol"],
                "host_addr": port["host_ip"] or "0.0.0.0",
                "host_port": port["host_port"],
                "guest_port": port["container_port"],
            },
        }
        connection = _reach(path)
        try:
            connection.send(json.dumps(order).encode())
            connection.shutdown(SHUT_WR)
            answer = json.loads(connection.recv(_ANSWER_BYTES))
        finally:
            connection.close()
        if "error" in answer:
            raise HostError(
                f"cannot publish port {port['host_port']}/{port['protocol']}: slirp4netns: {answer['error']['desc']}"
            )


def _reach(path: str) -> socket:
    tries = _TRIES
    while True:
        connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
        try:
            connection.connect(path)
            return connection
        except OSError as error:
            connection.close()
            tries -= 1
            if not tries:
                raise HostError(f"cannot publish ports: slirp4netns: {error}") from None
        time.sleep(_PAUSE_SECONDS)
