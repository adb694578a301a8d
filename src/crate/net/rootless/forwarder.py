"""Process `crate:ports`: carries what comes to the published ports of an ordinary user's container on to it.

    client ──▶ host port: a socket of the host's network     ┐ one process, in the namespace of the user's networks:
    forwarder ──▶ container: a socket of this namespace      ┘ a socket stays in the namespace that it was made in

Child of the sandbox's owner, which has bound the ports, and dies with it. Towards the container it takes the client's
address and port (IP_TRANSPARENT, a right over this namespace), so that the container sees who asks; return_path.py
brings the answers back. Clients on the host's loopback, and IPv6 clients of a container without IPv6, appear with the
address of the bridge.
"""

from __future__ import annotations

import os
import sys
from _socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_IP,
    IPPROTO_IPV6,
    SO_REUSEADDR,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOL_SOCKET,
    socket,
)

from crate import fresh
from crate.linux.namespace import CLONE_NEWNET, setns
from crate.linux.process import PR_SET_PDEATHSIG, fork_child, prctl
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from crate.net.sandbox import Lease

_SIGKILL = 9
_IP_TRANSPARENT, _IPV6_TRANSPARENT = 19, 75  # ip(7), linux/in6.h
_DESCRIPTORS_MAX, _DESCRIPTORS_SPARE = 16384, 64
_CHUNK = 131072  # a fifth faster than 32768, in a process that does nothing else


def start(lease: Lease) -> int:
    """Starts it for the ports of a lease, whose sockets listen already; gives its pid. OSError."""
    parent = os.getpid()
    given = {key: lease[key] for key in ("ports", "published", "port_fds", "endpoints")}
    arguments = fresh.command("ports", json.dumps(given), lease["container"][:12])
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)

    def child() -> NoReturn:
        prctl(PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        setns(lease["home_fds"][1], CLONE_NEWNET)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        for fd in lease["port_fds"]:
            os.set_inheritable(fd, True)
        os.execve("/proc/self/exe", arguments, fresh.ENVIRONMENT)

    try:
        return fork_child(child)
    finally:
        os.close(null)


def serve() -> NoReturn:
    """Its life: until it is killed."""
    import gc
    import time
    from resource import RLIMIT_NOFILE, getrlimit, setrlimit
    from select import POLLIN, poll

    from crate.net.proxy import Proxy, held_sockets
    from crate.net.sandbox import publisher

    gc.disable()
    with open("/proc/self/comm", "wb", buffering=0) as file:
        file.write(b"crate:ports")
    hard = min(getrlimit(RLIMIT_NOFILE)[1], _DESCRIPTORS_MAX)
    setrlimit(RLIMIT_NOFILE, (hard, hard))
    lease: Any = json.loads(sys.argv[1])
    endpoint = publisher(lease)
    four, six = endpoint["address"], endpoint["address6"]
    bound = []
    for fd_family, address in ((AF_INET, four or six), (AF_INET6, six or four)):
        bound += held_sockets(lease, address, (fd_family,))
    for fd in lease["port_fds"]:
        os.close(fd)
    proxy = Proxy(bound, transparent, (hard - _DESCRIPTORS_SPARE) // 2, _CHUNK)
    waiting = poll()
    waiting.register(proxy.fileno(), POLLIN)
    while True:
        waiting.poll(max(0.0, (proxy.due_at - time.monotonic()) * 1000) if proxy.due_at else None)
        proxy.step()


def transparent(target: tuple[str, int], client: Any, kind: int) -> socket:
    """A socket on its way to the target that has the client's address and port, where that can be. OSError."""
    from crate.net.proxy import connect

    family = AF_INET6 if ":" in target[0] else AF_INET
    onward = _socket(family, kind)
    source = _source(family, client)
    if source:
        try:
            if family == AF_INET6:
                onward.setsockopt(IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
            else:
                onward.setsockopt(IPPROTO_IP, _IP_TRANSPARENT, 1)
            # The same client may speak to several ports of ours with one port of its own.
            onward.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            onward.bind(source)
        except OSError:
            onward.close()
            onward = _socket(family, kind)
    connect(onward, target)
    return onward


def _socket(family: int, kind: int) -> socket:
    return socket(family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK)


def _source(family: int, client: Any) -> tuple[str, int] | None:
    """The address to appear with; None for one that means another machine here, or is of the other family."""
    address = client[0]
    if address.startswith("::ffff:"):
        address = address[7:]
    if (":" in address) != (family == AF_INET6):
        return None
    if address.startswith(("127.", "fe80:")) or address == "::1":
        return None
    return address, client[1]
