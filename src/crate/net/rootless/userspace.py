"""Networks that need no right on the host: pasta (package passt) or slirp4netns carry packets as ordinary sockets.

The helper is a process of its own (userspace_process.py): child of the sandbox's owner, in the host's network namespace
and the owner's user namespace. `stop` kills and reaps it when the sandbox ends; it does not watch the namespace, which
its own tap device keeps alive. Options and command lines are in pasta.py and slirp.py.
"""

from __future__ import annotations

import os
from _socket import AF_INET, AF_INET6

from crate.errors import HostError, UsageError
from crate.linux.netlink import NETLINK_ROUTE, Netlink, netlink_in
from crate.net.addresses import format_address
from crate.net.endpoint import blank
from crate.net.netlink import route as route_messages
from crate.net.rootless import userspace_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.net.sandbox import Lease, Request

_TUN = "/dev/net/tun"
_PACKAGES = {"pasta": "passt", "slirp4netns": "slirp4netns"}
_PROTOCOLS = ("tcp", "udp")
_LINK_LOCAL = b"\xfe\x80"


def check(program: str) -> None:
    """HostError unless the helper is there and can make its tap device."""
    if not userspace_process.find_program(program):
        package = _PACKAGES[program]
        raise HostError(
            f"cannot set up the network: no program {program}",
            f"install the package {package} (apt install {package}), or use --network none or host",
        )
    if not os.access(_TUN, os.R_OK | os.W_OK):
        raise HostError(
            f"cannot set up the network: {_TUN} cannot be opened",
            f"make it accessible (chmod 666 {_TUN}), or use --network none or host",
        )


def prepare(lease: Lease, request: Request, runroot: str) -> None:
    """Checks that the helper can work, fixes the numbers of random ports, notes the address the container will have.

    The ports are free at this moment and are bound by the helper; between the two somebody may take one.
    """
    from crate.net import ports

    program = lease["mode"]
    check(program)
    check_protocols(request)
    attachments = request.get("networks")
    endpoint = blank(program, (attachments[0]["interface"] if attachments else "") or "eth0")
    if program == "pasta":
        from crate.net.rootless import pasta

        pasta.arguments(lease["options"], endpoint["interface"], ())  # only for its complaint
        endpoint["address"], endpoint["prefix"] = host_address(AF_INET)
        endpoint["address6"], endpoint["prefix6"] = host_address(AF_INET6)
        if given := pasta.given_address(lease["options"]):
            endpoint["address6" if ":" in given else "address"] = given
        endpoint["interface"] = pasta.given_interface(lease["options"]) or endpoint["interface"]
        lease["resolver"] = pasta.RESOLVER
    else:
        from crate.net.rootless import slirp

        options = slirp.parse(lease["options"])
        endpoint["address"], endpoint["prefix"], endpoint["gateway"], lease["resolver"] = slirp.addresses(options)
        if not options["host_loopback"]:  # then the gateway is no way to the host
            lease["host_address"] = host_address(AF_INET)[0]
    lease["ports"], fds = ports.reserve(request.get("ports") or [])
    for fd in fds:
        os.close(fd)
    lease["directory"] = runroot
    lease["endpoints"] = [endpoint]


def check_protocols(request: Request) -> None:
    """UsageError for a port that nobody without root can publish."""
    for port in request.get("ports") or ():
        if port["protocol"] not in _PROTOCOLS:
            raise UsageError(
                f"cannot publish port {port['container_port']}/{port['protocol']} without root",
                "an ordinary user's ports are tcp or udp",
            )


def host_address(family: int) -> tuple[str, int]:
    """The host's address, which pasta takes over: of the interface with the default route; none without one."""
    with Netlink(NETLINK_ROUTE) as route:
        for _, payload in route.request([route_messages.routes(family)]):
            destination, _, outward = route_messages.parse_route(payload)
            if destination or not outward:
                continue
            for _, answer in route.request([route_messages.addresses(family)]):
                index, local, prefix = route_messages.parse_address(answer)
                if index == outward and not local.startswith(_LINK_LOCAL):
                    return format_address(local), prefix
    return "", 0


def connect(lease: Lease, netns_fd: int) -> None:
    """Starts the helper in the container's namespace, waits until it works, and notes its pid in the lease."""
    with netlink_in(netns_fd, NETLINK_ROUTE) as route:
        route.request([route_messages.link_up(1)])
    interface = lease["endpoints"][0]["interface"]
    if lease["mode"] == "pasta":
        from crate.net.rootless import pasta

        lease["helper_pid"] = userspace_process.start(
            pasta.arguments(lease["options"], interface, lease["ports"]), netns_fd
        )
        return
    from crate.net.rootless import slirp

    path = slirp_socket(lease) if lease["ports"] else ""
    lease["helper_pid"] = userspace_process.start(
        slirp.arguments(slirp.parse(lease["options"]), interface, path), netns_fd
    )
    if path:
        try:
            slirp.forward_ports(path, lease["ports"])
        except BaseException:
            stop(lease)
            raise


def slirp_socket(lease: Lease) -> str:
    """Where slirp4netns takes orders about ports."""
    return f"{lease['directory']}/slirp4netns-{lease['container'][:12]}.sock"


def stop(lease: Lease) -> None:
    """Ends and reaps the helper of a sandbox; only its owner may, since only for it the pid cannot be another's."""
    if lease["helper_pid"]:
        userspace_process.kill(lease["helper_pid"])
        lease["helper_pid"] = 0
    if lease["mode"] == "slirp4netns" and lease["ports"]:
        try:
            os.unlink(slirp_socket(lease))
        except FileNotFoundError:
            pass
