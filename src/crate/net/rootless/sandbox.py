"""A sandbox on an ordinary user's own networks: what its owner does besides what root's does (net/sandbox.py).

prepare   membership in the namespace of the networks, uplink; host ports are bound in the host's namespace
forward   the process that carries what comes to the ports (forwarder.py)
reach_out the uplink, when it is connected to a network that leads out
discard   firewall elements; the membership ends, and with the last one the namespace
"""

from __future__ import annotations

import os
from _socket import AF_INET

from crate.errors import HostError, UsageError
from crate.net import store
from crate.net.rootless import networks as rootless_networks
from crate.net.rootless import uplink, userspace, userspace_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crate.net.sandbox import Lease, Request
    from crate.net.store import Network, Roots
    from crate.settings import Settings

_DRIVERS = ("bridge",)


def prepare(
    lease: Lease, roots: Roots, settings: Settings, request: Request, take: Callable[[Request], object]
) -> None:
    """Joins the user's networks, binds the ports here, and has `take` lease the addresses there; or holds nothing.

    The errors are those of sandbox.prepare.
    """
    networks = _networks(roots, settings, [attachment["network"] for attachment in request.get("networks") or ()])
    program = _uplink(settings)
    outward = program != "none" and any(network is None or not network["internal"] for network in networks)
    home_fds = rootless_networks.join(roots.runroot, program if outward else "")
    lease["home_fds"], lease["directory"] = home_fds, roots.runroot
    if outward:
        lease.update(_way_out(program))  # type: ignore[typeddict-item]
    held: list[int] = []
    try:
        if wanted := request.get("ports") or []:
            from crate.net import ports

            userspace.check_protocols(request)
            lease["ports"], held = ports.reserve(wanted)
        rootless_networks.act_inside(lease, lambda: take({**request, "ports": []}))
    except BaseException:
        for fd in held:
            os.close(fd)
        rootless_networks.leave(home_fds)
        raise
    lease["port_fds"] = held


def _way_out(program: str) -> dict[str, str]:
    return {"resolver": uplink.resolver(program), "host_address": userspace.host_address(AF_INET)[0]}


def reach_out(roots: Roots, settings: Settings, name: str) -> dict[str, str]:
    """Starts the uplink, if it does not run, for a sandbox that is to be connected to a network of this name.

    Gives what changes in the lease; nothing for a network that does not lead out. For a process in the host's network.
    The errors are those of sandbox.prepare.
    """
    (network,) = _networks(roots, settings, [name])
    program = _uplink(settings)
    if program == "none" or (network and network["internal"]):
        return {}
    rootless_networks.leave(rootless_networks.join(roots.runroot, program))
    return _way_out(program)


def _networks(roots: Roots, settings: Settings, names: Sequence[str]) -> list[Network | None]:
    """The records of the networks; None for the default one that is not there yet."""
    from crate.errors import NotFoundError
    from crate.net.sandbox import is_default

    found: list[Network | None] = []
    for name in names:
        try:
            network = store.load(roots, name)
        except NotFoundError:
            if not is_default(settings, name):
                raise
            found.append(None)
            continue
        if network["driver"] not in _DRIVERS:
            raise UsageError(
                f"cannot attach to network {name} without root: its driver {network['driver']} needs an interface "
                "of the host",
                "an ordinary user's networks have the driver bridge",
            )
        found.append(network)
    return found


def _uplink(settings: Settings) -> str:
    """The program of the way out; "none" where there is to be none."""
    chosen = str(settings.get("network.rootless"))
    if chosen != "bridge":
        return chosen
    return "pasta" if userspace_process.find_program("pasta") else "slirp4netns"


def enter(roots: Roots, settings: Settings) -> list[int]:
    """Becomes a member and goes, for good, into the namespace of the networks; gives the descriptors. HostError."""
    program = _uplink(settings)
    home_fds = rootless_networks.join(roots.runroot, "" if program == "none" else program)
    rootless_networks.go_inside(home_fds[1])
    return home_fds


def forward(lease: Lease) -> None:
    """Lets clients in. HostError when the process for it cannot be started."""
    from crate.net import ports
    from crate.net.rootless import forwarder

    ports.listen(lease["port_fds"], every=True)
    try:
        lease["helper_pid"] = forwarder.start(lease)
    except OSError as error:
        raise HostError(f"cannot publish ports: {error}") from None


def discard(lease: Lease, act: Callable[[], object]) -> None:
    """Has `act` clear the firewall, and ends the membership."""
    home_fds, lease["home_fds"] = lease["home_fds"], []
    try:
        rootless_networks.call_inside(home_fds[1], lambda: act() and None)
    finally:
        rootless_networks.leave(home_fds)
