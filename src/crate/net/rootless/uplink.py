"""The one way out of the namespace of an ordinary user's networks: pasta or slirp4netns, with a tap device in it.

It has addresses of its own, not the host's, so that containers reach the host by those. Nobody owns it: whoever of the
members (networks.py) finds it dead starts it again, and it ends with the last of them (userspace_process.py).
"""

from __future__ import annotations

import os
from _socket import AF_INET, AF_INET6

from crate.errors import HostError
from crate.linux.netlink import NETLINK_ROUTE, Netlink
from crate.linux.process import pidfd_open, start_time
from crate.net.netlink import route as route_messages
from crate.net.rootless import networks as rootless_networks
from crate.net.rootless import pasta, slirp, userspace, userspace_process

INTERFACE = "uplink"
#: address, bits of its netmask, gateway; link-local ones (RFC 3927) are nobody else's on the way to elsewhere
_ADDRESS, _PREFIX, _GATEWAY = "169.254.3.2", "30", "169.254.3.1"
_ADDRESS6, _GATEWAY6 = "fd63:7261:7465:3::2", "fd63:7261:7465:3::1"


def resolver(program: str) -> str:
    """The address at which containers reach the host's resolver through an uplink."""
    return {"pasta": pasta.RESOLVER, "slirp4netns": slirp.RESOLVER}.get(program, "")


def ensure(runroot: str, netns_fd: int, program: str) -> list[int]:
    """Starts it if it does not run; gives pid and start time. The caller holds the gate, and is in the host's network.

    HostError when it cannot be started.
    """
    record = rootless_networks.read_record(runroot)
    running: list[int] = record.get("uplink") or [0, 0]
    if _is_alive(running):
        return running
    program = record.get("program") or program
    if not program:
        raise HostError("cannot start the uplink: nobody wants one")
    userspace.check(program)
    fifo = rootless_networks.fifo_path(runroot)
    _drain(fifo)
    number = userspace_process.start(_arguments(program), netns_fd, fifo)
    started = [number, start_time(number)]
    rootless_networks.write_record(runroot, {**record, "uplink": started, "program": program})
    return started


def _is_alive(uplink: list[int]) -> bool:
    return uplink[1] != 0 and start_time(uplink[0]) == uplink[1]


def wanted(runroot: str) -> bool:
    """Whether somebody on these networks wanted to reach elsewhere."""
    return bool(rootless_networks.read_record(runroot).get("program"))


def pid(runroot: str) -> int:
    """The process of the uplink that was started last; 0 when there was none."""
    return int((rootless_networks.read_record(runroot).get("uplink") or [0])[0])


def pidfd(runroot: str) -> int:
    """A descriptor to poll, readable when the uplink ends; -1 when it has ended already."""
    number, started = rootless_networks.read_record(runroot).get("uplink") or [0, 0]
    try:
        fd = pidfd_open(number)
    except OSError:
        return -1
    if start_time(number) == started:
        return fd
    os.close(fd)
    return -1


def _arguments(program: str) -> list[str]:
    if program == "slirp4netns":
        return slirp.arguments(slirp.parse(""), INTERFACE)
    words = [*pasta.CHILD, *pasta.PORTLESS, "--no-map-gw", "--ns-ifname", INTERFACE, "--dns-forward", pasta.RESOLVER]
    four, six = _reaches()
    if four or not six:
        words += ["-a", _ADDRESS, "-n", _PREFIX, "-g", _GATEWAY]
    if six:
        words += ["-a", _ADDRESS6, "-g", _GATEWAY6]
    return words


def _reaches() -> list[bool]:
    """Whether the host has a way to elsewhere by IPv4 and by IPv6."""
    with Netlink(NETLINK_ROUTE) as route:
        return [
            any(not route_messages.parse_route(payload)[0] for _, payload in route.request([message]))
            for message in (route_messages.routes(AF_INET), route_messages.routes(AF_INET6))
        ]


def _drain(fifo: str) -> None:
    """Takes out what an uplink that has ended complained of."""
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        while os.read(fd, 65536):
            pass
    except BlockingIOError:
        pass
    finally:
        os.close(fd)
