"""The command line of pasta for a container of its own, see pasta(1), and which of its options a user may give."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.net.sandbox import Port

#: on this address pasta hands DNS questions to the host's resolver, which may listen on the host's loopback alone
RESOLVER = "169.254.1.1"
#: what it is always started with: as a child, ready when it has written its pid (userspace_process.py)
CHILD = (
    *("pasta", "--config-net", "--foreground", "--quiet", "--no-netns-quit"),
    *("--pid", "/proc/self/fd/1", "--netns", "/proc/self/fd/0"),
)
PORTLESS = ("-t", "none", "-u", "none", "-T", "none", "-U", "none")
#: short and long names
_TCP, _UDP, _TCP_OUT, _UDP_OUT = ("-t", "--tcp-ports"), ("-u", "--udp-ports"), ("-T", "--tcp-ns"), ("-U", "--udp-ns")
_INTERFACE, _DNS, _ADDRESS = ("-I", "--ns-ifname"), ("--dns-forward",), ("-a", "--address")
#: without these it is no child that crate can watch
_OURS = (
    *("-P", "--pid", "--netns", "--netns-only", "--no-netns-quit", "--userns", "--runas", "-f", "--foreground"),
    *("-h", "--help", "--version", "-l", "--log-file", "-p", "--pcap"),
)


def arguments(options: str, interface: str, ports: Sequence[Port]) -> list[str]:
    """The command line. `options`: what the user gave, separated by commas; it goes before what crate would say.

    UsageError for an option that is crate's own.
    """
    given = [option for option in options.split(",") if option]
    for option in given:
        if option.partition("=")[0] in _OURS:
            raise UsageError(f"cannot give pasta the option {option}: crate sets it itself")
    words = [*CHILD]
    if "--map-gw" in given:  # podman's word for leaving pasta's default: the gateway's address is the host
        given.remove("--map-gw")
    else:
        words.append("--no-map-gw")
    if not value(given, _INTERFACE):
        words += ["--ns-ifname", interface]
    if not value(given, _DNS):
        words += ["--dns-forward", RESOLVER]
    for names, protocol in ((_TCP, "tcp"), (_UDP, "udp")):
        specs = [_spec(port) for port in ports if port["protocol"] == protocol]
        if not specs and value(given, names):
            continue  # it takes no ports beside "none"
        for spec in specs or ["none"]:
            words += [names[0], spec]
    for names in (_TCP_OUT, _UDP_OUT):
        if not value(given, names):
            words += [names[0], "none"]
    return words + given


def value(given: Sequence[str], names: Sequence[str]) -> str:
    """The value of an option, by any of its names; empty where it was not given."""
    for number, option in enumerate(given):
        name, _, attached = option.partition("=")
        if name in names:
            return attached or ([*given, ""][number + 1])
    return ""


def given_address(options: str) -> str:
    """The IPv4 address that a user gives the container; empty for the host's."""
    return value(options.split(","), _ADDRESS)


def given_interface(options: str) -> str:
    """The name that a user gives the container's interface."""
    return value(options.split(","), _INTERFACE)


def _spec(port: Port) -> str:
    ports = f"{port['host_port']}:{port['container_port']}"
    return f"{port['host_ip']}/{ports}" if port["host_ip"] else ports
