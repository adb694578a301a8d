"""The reservation of host ports: sockets that are bound and do not listen.

The firewall sends the packets on, so nothing would notice that two containers, or a container and a service of the
host, want the same port. The socket notices, for every family that the port is published on.
"""

from __future__ import annotations

import errno
import os
from _socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_IPV6,
    IPV6_V6ONLY,
    SO_REUSEADDR,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
    socket,
)

from crate.errors import HostError, NameInUseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.net.sandbox import Port

_ATTEMPTS = 32
_BACKLOG = 128
_IPPROTO_SCTP = 132
#: type and protocol of the socket for a port's protocol
_SOCKETS = {"tcp": (SOCK_STREAM, 0), "udp": (SOCK_DGRAM, 0), "sctp": (SOCK_STREAM, _IPPROTO_SCTP)}


def reserve(ports: Sequence[Port]) -> tuple[list[Port], list[int]]:
    """Binds every port; gives the ports with their numbers filled in, and the descriptors that hold them.

    NameInUseError when a port is taken, HostError when it cannot be bound; then nothing is held.
    """
    taken: list[Port] = []
    fds: list[int] = []
    try:
        for port in ports:
            number, held = _reserve_one(port)
            fds += held
            taken.append(
                {
                    "host_ip": port["host_ip"],
                    "host_port": number,
                    "container_port": port["container_port"],
                    "protocol": port["protocol"],
                }
            )
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return taken, fds


def listen(fds: Sequence[int], *, every: bool = False) -> None:
    """Lets connections that no rule carries on wait for the proxy, which the owner begins a little later: proxy.py.

    Those are the ones by IPv6; `every` one for an ordinary user's forwarder.
    """
    for fd in fds:
        holder = socket(fileno=fd)
        try:
            if holder.type == SOCK_STREAM and holder.proto != _IPPROTO_SCTP and (every or holder.family == AF_INET6):
                # What it accepts has the same mark; else nobody could bind the port while the last rests in TIME_WAIT.
                holder.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
                holder.listen(_BACKLOG)
        finally:
            holder.detach()


def _reserve_one(port: Port) -> tuple[int, list[int]]:
    first, last = port["host_port"], port.get("host_port_last", port["host_port"])
    for attempt in range(_ATTEMPTS if first == 0 else last - first + 1):
        number = first and first + attempt
        try:
            return _bind(port["host_ip"], number, port["protocol"])
        except OSError as error:
            name = _name(port, number)
            # Another family may have the number that the kernel chose for the first; then it chooses another.
            if error.errno == errno.EADDRINUSE and (first == 0 or number < last):
                continue
            if error.errno == errno.EADDRINUSE:
                if last > first:
                    name = _name(port, first) + f" to {last}"
                raise NameInUseError(
                    f"cannot publish port {name}: address already in use",
                    f"`ss -lnp 'sport = {number}'` shows who has it; or publish another host port",
                ) from None
            hint = None
            if error.errno == errno.EACCES:
                hint = f"lower the sysctl net.ipv4.ip_unprivileged_port_start to {number}"
            if error.errno == errno.EPROTONOSUPPORT:
                hint = f"load the kernel's module: modprobe {port['protocol']}"
            if error.errno == errno.EADDRNOTAVAIL:
                hint = f"give this host the address {port['host_ip']}, or publish on another one"
            raise HostError(f"cannot publish port {name}: {os.strerror(error.errno or 0).lower()}", hint) from None
    raise HostError(f"cannot publish port {_name(port, 0)}: found no port free on every address", "give a host port")


def _name(port: Port, number: int) -> str:
    address = port["host_ip"] or "0.0.0.0"
    return f"{f'[{address}]' if ':' in address else address}:{number}/{port['protocol']}"


def _bind(host_ip: str, number: int, protocol: str) -> tuple[int, list[int]]:
    """Binds one number on an address, or on all of both families; gives the number and the descriptors."""
    kind = _SOCKETS[protocol]
    addresses = [host_ip] if host_ip else ["0.0.0.0", "::"]
    fds: list[int] = []
    try:
        for address in addresses:
            try:
                number, fd = _bind_one(address, number, kind)
            except OSError as error:
                if not host_ip and address == "::" and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    continue  # a host without IPv6
                raise
            fds.append(fd)
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return number, fds


def _bind_one(address: str, number: int, kind: tuple[int, int]) -> tuple[int, int]:
    try:
        holder = _bound(address, number, kind, reuse=False)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or kind != _SOCKETS["tcp"] or number == 0:
            raise
        # Connections of an earlier listener may still be in TIME_WAIT, which is no clash. With SO_REUSEADDR these do
        # not count; but neither does another holder of that kind, unless it listens. So this one does: then it clashes.
        holder = _bound(address, number, kind, reuse=True)
        try:
            holder.listen(0)
        except OSError:
            holder.close()
            raise
    return int(holder.getsockname()[1]), holder.detach()


def _bound(address: str, number: int, kind: tuple[int, int], *, reuse: bool) -> socket:
    family = AF_INET6 if ":" in address else AF_INET
    holder = socket(family, kind[0] | SOCK_CLOEXEC, kind[1])
    try:
        if family == AF_INET6:
            holder.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1)
        if reuse:
            holder.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        holder.bind((address, number))
    except BaseException:
        holder.close()
        raise
    return holder
