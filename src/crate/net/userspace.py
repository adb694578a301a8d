"""Networks that need no right on the host: pasta (package passt) or slirp4netns carry packets as ordinary sockets.

The helper is a process of its own: child of the sandbox's owner, in the host's network namespace and the owner's user
namespace, with the container's namespace as its standard input, since pasta closes every other descriptor. It tells
that it is ready on its standard output. It dies with its owner (PR_SET_PDEATHSIG), and `stop` kills and reaps it when
the sandbox ends; it does not watch the namespace, which its own tap device keeps alive.
"""

from __future__ import annotations

import _signal
import os
import select
from _socket import AF_INET, AF_UNIX, SHUT_WR, SOCK_CLOEXEC, SOCK_STREAM, socket

from crate.errors import HostError, UsageError
from crate.linux.netlink import NETLINK_ROUTE, Netlink, netlink_in
from crate.linux.process import PR_SET_PDEATHSIG, fork_child, prctl
from crate.net import route_messages
from crate.net.addresses import format_address
from crate.net.endpoint import blank
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from crate.net.sandbox import Lease, Port, Request

#: on this address pasta hands DNS questions to the host's resolver, which may listen on the host's loopback alone
PASTA_RESOLVER = "169.254.1.1"
#: slirp4netns has a network of its own; its addresses are in its manual page
SLIRP_RESOLVER, SLIRP_ADDRESS, SLIRP_GATEWAY = "10.0.2.3", "10.0.2.100", "10.0.2.2"
_READY_SECONDS = 10
_SIGKILL = 9
_TUN = "/dev/net/tun"
_SLIRP_OPTIONS = "known are mtu, allow_host_loopback and enable_ipv6"
_PACKAGES = {"pasta": "passt", "slirp4netns": "slirp4netns"}


def prepare(lease: Lease, request: Request, runroot: str) -> None:
    """Checks that the helper can work, fixes the numbers of random ports, notes the address the container will have.

    The ports are free at this moment and are bound by the helper; between the two somebody may take one.
    """
    from crate.net import ports

    program = lease["mode"]
    if not find_program(program):
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
    lease["ports"], fds = ports.reserve(request.get("ports") or [])
    for fd in fds:
        os.close(fd)
    lease["directory"] = runroot
    attachments = request.get("networks")
    endpoint = blank(program, (attachments[0]["interface"] if attachments else "") or "eth0")
    if program == "pasta":
        endpoint["address"], endpoint["prefix"] = _host_address()
        lease["resolver"] = PASTA_RESOLVER
    else:
        endpoint["address"], endpoint["prefix"], endpoint["gateway"] = SLIRP_ADDRESS, 24, SLIRP_GATEWAY
        lease["resolver"] = SLIRP_RESOLVER
    lease["endpoints"] = [endpoint]


def find_program(name: str) -> str:
    """The path of a program, or nothing."""
    for directory in (*os.get_exec_path(), "/usr/bin", "/usr/local/bin"):
        if directory.startswith("/") and os.access(f"{directory}/{name}", os.X_OK):
            return f"{directory}/{name}"
    return ""


def _host_address() -> tuple[str, int]:
    """The IPv4 address that pasta takes over: that of the interface with the default route; none on a host without."""
    with Netlink(NETLINK_ROUTE) as route:
        for _, payload in route.request([route_messages.routes(AF_INET)]):
            destination, _, outward = route_messages.parse_route(payload)
            if destination or not outward:
                continue
            for _, answer in route.request([route_messages.addresses(AF_INET)]):
                index, local, prefix = route_messages.parse_address(answer)
                if index == outward:
                    return format_address(local), prefix
    return "", 0


def connect(lease: Lease, netns_fd: int) -> None:
    """Starts the helper in the container's namespace, waits until it works, and notes its pid in the lease."""
    with netlink_in(netns_fd, NETLINK_ROUTE) as route:
        route.request([route_messages.link_up(1)])
    program = lease["mode"]
    arguments = pasta_arguments(lease) if program == "pasta" else slirp_arguments(lease)
    lease["helper_pid"] = _start(find_program(program), arguments, netns_fd)
    if program == "slirp4netns" and lease["ports"]:
        try:
            _forward_ports(slirp_socket(lease), lease["ports"])
        except BaseException:
            stop(lease)
            raise


def pasta_arguments(lease: Lease) -> list[str]:
    """The command line of pasta, see pasta(1)."""
    options = [option for option in lease["options"].split(",") if option]
    arguments = ["pasta", "--config-net", "--foreground", "--quiet", "--no-netns-quit"]
    if "--map-gw" in options:  # podman's word for leaving pasta's default: the gateway's address is the host
        options.remove("--map-gw")
    else:
        arguments.append("--no-map-gw")
    arguments += ["--ns-ifname", lease["endpoints"][0]["interface"], "--dns-forward", PASTA_RESOLVER]
    arguments += ["--pid", "/proc/self/fd/1", "--netns", "/proc/self/fd/0", "-T", "none", "-U", "none"]
    for flag, protocol in (("-t", "tcp"), ("-u", "udp")):
        specs = [_pasta_port(port) for port in lease["ports"] if port["protocol"] == protocol]
        if not specs and flag in options:
            continue  # pasta(1) takes no ports beside "none"
        for spec in specs or ["none"]:
            arguments += [flag, spec]
    return arguments + options


def _pasta_port(port: Port) -> str:
    ports = f"{port['host_port']}:{port['container_port']}"
    return f"{port['host_ip']}/{ports}" if port["host_ip"] else ports


def slirp_arguments(lease: Lease) -> list[str]:
    """The command line of slirp4netns, see slirp4netns(1)."""
    arguments = ["slirp4netns", "--configure", "--ready-fd=1"]
    given = dict(option.partition("=")[::2] for option in lease["options"].split(",") if option)
    arguments.append(f"--mtu={given.pop('mtu', '65520')}")
    if given.pop("allow_host_loopback", "false") != "true":
        arguments.append("--disable-host-loopback")
    if given.pop("enable_ipv6", "false") == "true":
        arguments.append("--enable-ipv6")
    if given:
        raise UsageError(f"unknown option of slirp4netns: {next(iter(given))}", _SLIRP_OPTIONS)
    if lease["ports"]:
        arguments.append(f"--api-socket={slirp_socket(lease)}")
    return arguments + ["--netns-type=path", "/proc/self/fd/0", lease["endpoints"][0]["interface"]]


def slirp_socket(lease: Lease) -> str:
    """Where slirp4netns takes orders about ports."""
    return f"{lease['directory']}/slirp4netns-{lease['container'][:12]}.sock"


def _start(path: str, arguments: list[str], netns_fd: int) -> int:
    """Starts a helper and waits for its word. HostError, with the last line of its complaint, when it ends instead."""
    parent = os.getpid()
    ready_fd, word_fd = os.pipe2(os.O_CLOEXEC)
    complaint_fd = os.memfd_create("complaint", os.MFD_CLOEXEC)

    def child() -> NoReturn:
        prctl(PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.setsid()  # a terminal's interrupt is for the container
        _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)  # ignored by Python, and pasta then refuses to start
        os.dup2(netns_fd, 0)
        os.dup2(word_fd, 1)
        os.dup2(complaint_fd, 2)
        os.execve(path, arguments, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    try:
        pid = fork_child(child)
        os.close(word_fd)
        word_fd = -1
        poll = select.poll()
        poll.register(ready_fd, select.POLLIN)
        if poll.poll(_READY_SECONDS * 1000) and os.read(ready_fd, 64):
            return pid
        _kill(pid)
        said, _, _ = os.pread(complaint_fd, 65536, 0).decode(errors="replace").partition("\nUsage:")
        lines = said.strip().splitlines()
        reason = next((line for line in reversed(lines) if "syslog" not in line), "it gave no reason")
        raise HostError(f"cannot set up the network: {arguments[0]}: {reason}")
    finally:
        for fd in (ready_fd, word_fd, complaint_fd):
            if fd >= 0:
                os.close(fd)


def _forward_ports(path: str, ports: list[Port]) -> None:
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
        connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
        try:
            connection.connect(path)
            connection.send(json.dumps(order).encode())
            connection.shutdown(SHUT_WR)
            answer = json.loads(connection.recv(4096))
        finally:
            connection.close()
        if "error" in answer:
            raise HostError(
                f"cannot publish port {port['host_port']}/{port['protocol']}: slirp4netns: {answer['error']['desc']}"
            )


def stop(lease: Lease) -> None:
    """Ends and reaps the helper of a sandbox; only its owner may, since only for it the pid cannot be another's."""
    if lease["helper_pid"]:
        _kill(lease["helper_pid"])
        lease["helper_pid"] = 0
    if lease["mode"] == "slirp4netns" and lease["ports"]:
        try:
            os.unlink(slirp_socket(lease))
        except FileNotFoundError:
            pass


def _kill(pid: int) -> None:
    try:
        os.kill(pid, _SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
