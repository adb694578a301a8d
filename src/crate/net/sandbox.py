"""The network of a sandbox, in the order of its life: prepare, connect, publish; release, discard.

    prepare   before the clone    bridges and firewall stand, host ports are bound, addresses are leased
    connect   after the clone     from the host's namespace: interfaces, addresses, routes, loopback (or pasta)
    publish   before the exec     the firewall, or an ordinary user's forwarder, sends published ports to the address
    release   at the exit         what others can see as taken: addresses and ports
    discard   after the answer    firewall elements, which take 10 ms to delete

All five are called by the process that owns the sandbox; `release` and `discard` also by one that heals after it.
A lease is plain JSON data, so that it can be handed over an execve and kept in a container's state.
"""

from __future__ import annotations

import os

from crate import hotcore
from crate.errors import CrateError, KernelError, NotFoundError, UsageError
from crate.linux.netlink import NETLINK_ROUTE, netlink_in
from crate.net.netlink import route as route_messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NotRequired, TypedDict

    from crate.net.addresses import LeaseRecord
    from crate.net.endpoint import Attachment, Endpoint
    from crate.net.store import Network, Roots
    from crate.settings import Settings

    class Port(TypedDict):
        """A port to publish; host port 0 lets the kernel choose, host address "" means every one."""

        host_ip: str
        host_port: int
        host_port_last: NotRequired[int]  # the end of a range to choose from; never in a lease
        container_port: int
        protocol: str  # tcp, udp

    class Request(TypedDict):
        """What a container asks of the network; `mode` must be there, and a network for `bridge`."""

        mode: str  # none, host, bridge, container, ns, pasta, slirp4netns
        networks: NotRequired[list[Attachment]]
        ports: NotRequired[list[Port]]
        options: NotRequired[str]  # of pasta or slirp4netns, separated by commas

    class Lease(TypedDict):
        """What a sandbox holds of the network. Texts are empty and numbers 0 where the mode has no such thing.

        `port_fds` are descriptors of the owner: it keeps them open, over an execve too, as long as it publishes.
        """

        version: int
        container: str
        mode: str
        table: str
        endpoints: list[Endpoint]  # of networks, or the one of pasta or slirp4netns
        resolver: str  # an address in the container that passes questions on to the host's resolver
        ports: list[Port]
        published: str  # the network whose endpoint the ports lead to
        port_fds: list[int]
        dns_fds: list[int]  # UDP, TCP: where the owner is asked for names (dns/door.py), as long as it keeps them open
        owner: list[int]  # pid and start time
        helper_pid: int  # pasta, slirp4netns or a forwarder, a child of the owner
        home_fds: list[int]  # of an ordinary user's networks (rootless/networks.py), as long as the owner is on them
        directory: str  # where a helper has its sockets, and an ordinary user's networks their place
        host_address: str  # by which the container reaches the host, where that is not the gateway
        options: str


#: the modes whose namespace belongs to somebody else, or to nobody: there is nothing to prepare or to undo
_PASSIVE = ("host", "container", "ns")
_USERSPACE = ("pasta", "slirp4netns")
_ROOTLESS = (*_USERSPACE, "bridge", "none")


def prepare(
    roots: Roots,
    settings: Settings,
    request: Request,
    container_id: str,
    owner_pid: int = 0,
    names: Sequence[str] = (),
) -> Lease:
    """Takes from the host what the request needs, or nothing at all. The owner is the caller unless told otherwise.

    `names` are those by which others on its networks find it. NameInUseError for a taken address or port, UsageError
    for an address outside the network, NotFoundError for an unknown network, HostError when the host cannot do it.
    """
    from crate.net.addresses import owner_of

    mode = request["mode"]
    if mode == "bridge" and roots.rootless:
        mode = rootless_mode(settings, request)
    lease: Lease = {
        "version": 2,
        "container": container_id,
        "mode": mode,
        "table": "",
        "endpoints": [],
        "resolver": "",
        "ports": [],
        "published": "",
        "port_fds": [],
        "dns_fds": [],
        "owner": owner_of(owner_pid or os.getpid()),
        "helper_pid": 0,
        "home_fds": [],
        "directory": "",
        "host_address": "",
        "options": request.get("options") or "",
    }
    if mode == "bridge" and roots.rootless:
        from crate.net.rootless import sandbox as rootless_sandbox

        rootless_sandbox.prepare(
            lease, roots, settings, request, lambda wanted: _prepare_networks(lease, roots, settings, wanted, names)
        )
    elif mode == "bridge":
        with hotcore.Apart("bridge"):
            _prepare_networks(lease, roots, settings, request, names)
    elif mode in _USERSPACE:
        from crate.net.rootless import userspace

        if any(attachment.get("rates") for attachment in request.get("networks") or ()):
            raise UsageError(f"cannot limit the rate of --network {mode}: it has no interface on the host")
        userspace.prepare(lease, request, roots.runroot)
    elif mode not in ("none", *_PASSIVE):
        raise UsageError(f"unknown network mode: {mode}")
    return lease


def rootless_mode(settings: Settings, request: Request) -> str:
    """An ordinary user's default network is none of the user's networks: the host's address, by a helper."""
    names = [attachment["network"] for attachment in request.get("networks") or ()]
    if any(name and not is_default(settings, name) for name in names):
        return "bridge"
    mode = str(settings.get("network.rootless"))
    if mode not in _ROOTLESS:
        raise UsageError(f"invalid network.rootless {mode}: it is one of {', '.join(_ROOTLESS)}", "correct config.toml")
    return mode


def is_default(settings: Settings, name: str) -> bool:
    """Whether this is the name of the default network, or of its bridge, by which older records have it."""
    return name in (settings.get("network.default"), settings.get("network.bridge"))


def _prepare_networks(lease: Lease, roots: Roots, settings: Settings, request: Request, names: Sequence[str]) -> None:
    from crate.net.endpoint import driver_of

    attachments = request.get("networks") or []
    networks = [find_network(roots, settings, attachment["network"]) for attachment in attachments]
    lease["table"] = str(settings.get("network.table"))
    outward = next((one for one in networks if driver_of(one["driver"]).can_publish(one)), None)
    if outward:
        lease["published"] = outward["name"]
    wanted = request.get("ports") or []
    if wanted:  # without such a network they are held for one that the container is connected to later
        from crate.net import ports

        if outward and (host_ip := outward["options"].get("host_ip")):
            wanted = [{**port, "host_ip": port["host_ip"] or host_ip} for port in wanted]
        lease["ports"], lease["port_fds"] = ports.reserve(wanted)
    try:
        for network, attachment in zip(networks, attachments, strict=True):
            add_endpoint(lease, roots, settings, network, attachment, names)
    except BaseException:
        for one in lease["endpoints"]:
            _release_endpoint(lease, one)
        _close(lease["port_fds"])
        raise


def find_network(roots: Roots, settings: Settings, name: str) -> Network:
    """The record of a network; the default one is made, one of a CNI file is read from there. NotFoundError."""
    from crate.net import store

    try:
        return store.load(roots, name)
    except NotFoundError:
        if not is_default(settings, name):
            from crate.net.drivers import cni

            return cni.load(settings, name)
    from crate.net import default_network

    return default_network.ensure(roots, settings)


def add_endpoint(
    lease: Lease, roots: Roots, settings: Settings, network: Network, attachment: Attachment, names: Sequence[str]
) -> Endpoint:
    """Takes an address of one more network for the sandbox; gives the endpoint, which is not attached yet.

    The errors are those of `prepare`.
    """
    from crate.net import endpoint, store

    record: LeaseRecord = {
        "container": lease["container"],
        "owner": lease["owner"],
        "names": [*names, *attachment["aliases"]],
        "address": "",
        "address6": "",
        "mac": "",
        "ports": _port_rows(lease) if network["name"] == lease["published"] else [],
    }
    made = endpoint.make(settings, network, attachment, record, lease["endpoints"])
    kept = network["created"] != store.NEVER and network["name"] != settings.get("network.default")
    if kept and not store.is_current(roots, network):
        from crate.net import removal

        _release_endpoint(lease, made)
        removal.remove_late(roots, settings, network)
        raise NotFoundError(f"no such network: {network['name']}", "it has just been removed")
    lease["endpoints"].append(made)
    return made


def _port_rows(lease: Lease) -> list[list[str | int]]:
    return [[port["host_ip"], port["host_port"], port["container_port"], port["protocol"]] for port in lease["ports"]]


def connect(lease: Lease, netns_fd: int) -> None:
    """Makes the container's network namespace work. The caller is in the host's namespace and has CAP_NET_ADMIN there.

    Notes in the lease what only the act can tell. KernelError when the kernel refuses.
    """
    if lease["mode"] == "bridge":
        _at_home(lease, lambda: _attach_all(lease, netns_fd))
        if has_names(lease):
            with hotcore.Apart("names"):
                from crate.net.dns import door as dns_door

                lease["dns_fds"] = dns_door.open_door(netns_fd)
    elif lease["mode"] in _USERSPACE:
        from crate.net.rootless import userspace

        userspace.connect(lease, netns_fd)
    elif lease["mode"] not in _PASSIVE:
        with netlink_in(netns_fd, NETLINK_ROUTE) as route:
            try:
                route.request([route_messages.link_up(1)])
            except OSError as error:
                raise KernelError("bring up the loopback interface", error) from error


def _at_home(lease: Lease, act: Callable[[], object]) -> None:
    """Acts where the bridges are: here, or, for the owner of a sandbox on a user's own networks, in their namespace."""
    if lease["home_fds"] and _owns(lease):
        from crate.net.rootless import networks as rootless_networks

        rootless_networks.act_inside(lease, act)
    else:
        act()


def enter_home(roots: Roots) -> bool:
    """Brings a command that changes networks, for good, to where the bridges are; tells whether there can be any."""
    if not roots.rootless:
        return True
    from crate.net.rootless import networks as rootless_networks

    return rootless_networks.enter(roots.runroot)


def _owns(lease: Lease) -> bool:
    """Whether this process is the sandbox's owner: somebody who heals may have the pid that that one had."""
    from crate.net.addresses import owner_of

    return lease["owner"][0] == os.getpid() and owner_of(os.getpid()) == lease["owner"]


def _attach_all(lease: Lease, netns_fd: int) -> None:
    for endpoint in lease["endpoints"]:
        attach(lease, endpoint, netns_fd)


def attach(lease: Lease, endpoint: Endpoint, netns_fd: int) -> None:
    """Puts the interface of an endpoint into the container's namespace. KernelError."""
    from crate.net.endpoint import driver_of

    publishes = bool(lease["ports"]) and endpoint["network"] == lease["published"]
    driver_of(endpoint["driver"]).attach(endpoint, netns_fd, publishes)
    if endpoint.get("rates"):
        from crate.net import shaping

        shaping.apply(endpoint)


def has_names(lease: Lease) -> bool:
    """Whether it is on a network with names, which its owner tells."""
    return any(endpoint["dns"] for endpoint in lease["endpoints"])


def detach(lease: Lease, endpoint: Endpoint, netns_fd: int) -> None:
    """Takes the interface of an endpoint out of a container that goes on. KernelError."""
    from crate.net.endpoint import driver_of

    driver_of(endpoint["driver"]).detach(endpoint, netns_fd)


def remove_endpoint(lease: Lease, endpoint: Endpoint) -> None:
    """Gives back the address of an endpoint of a sandbox that goes on; its ports lead nowhere then."""
    _release_endpoint(lease, endpoint)
    _discard_endpoint(lease, endpoint)
    lease["endpoints"].remove(endpoint)
    if endpoint["network"] == lease["published"]:
        lease["published"] = ""


def remove_stray(lease: Lease, roots: Roots, settings: Settings, name: str) -> None:
    """Gives back an address of a network that a killed command took for the sandbox, and nobody knows of."""
    from crate.net import endpoint as endpoints

    try:
        network = find_network(roots, settings, name)
    except NotFoundError:
        return  # it was removed, and its leases with it
    held = [key for one in lease["endpoints"] if one["network"] == name for key in one["keys"]]
    endpoints.give_back_stray(endpoints.lease_directory(settings, network), lease["container"], held)


def choose_publisher(lease: Lease, network: Network) -> None:
    """Lets the ports, if they lead nowhere, lead to a network that its endpoint is to be added of, if they can."""
    from crate.net.endpoint import driver_of

    if lease["ports"] and not lease["published"] and driver_of(network["driver"]).can_publish(network):
        lease["published"] = network["name"]


def publish_again(lease: Lease) -> None:
    """Sends the ports, which lead nowhere, to the first network that they can lead to; to none, if there is none."""
    from crate.net.endpoint import driver_of

    for endpoint in lease["endpoints"]:
        driver = driver_of(endpoint["driver"])
        if driver.can_publish(endpoint) and driver.redirect(endpoint, lease["table"], _port_rows(lease)):
            lease["published"] = endpoint["network"]
            return


def publish_here(lease: Lease, endpoint: Endpoint) -> None:
    """Sends the ports to an endpoint that was attached for them, by a process that is where the bridges are."""
    from crate.net.endpoint import driver_of

    if lease["ports"] and endpoint["network"] == lease["published"]:
        driver_of(endpoint["driver"]).publish(endpoint, lease["table"], _port_rows(lease))


def publish(lease: Lease) -> None:
    """Lets packets for the published ports through to the container: from here on the world can reach it."""
    if not lease["ports"] or not lease["published"]:
        return
    _at_home(lease, lambda: publish_here(lease, publisher(lease)))
    if lease["port_fds"] and lease["home_fds"]:
        if _owns(lease):
            from crate.net.rootless import sandbox as rootless_sandbox

            rootless_sandbox.forward(lease)
    elif lease["port_fds"]:
        from crate.net import ports

        ports.listen(lease["port_fds"])


def publisher(lease: Lease) -> Endpoint:
    """The endpoint that the published ports lead to. StopIteration without one."""
    return next(one for one in lease["endpoints"] if one["network"] == lease["published"])


def release(roots: Roots, lease: Lease) -> None:
    """Gives back what others can see as taken: addresses and, in the owner, the host ports and the helper.

    All of it, whatever fails; then the first failure is raised: OSError, KernelError, or HostError of a CNI plugin.
    """
    failure: OSError | CrateError | None = None
    for endpoint in lease["endpoints"] if lease["mode"] == "bridge" else ():
        try:
            _release_endpoint(lease, endpoint)
        except (OSError, CrateError) as error:
            failure = failure or error
    if _owns(lease):
        _close([*lease["port_fds"], *lease["dns_fds"]])
        if lease["helper_pid"]:
            from crate.net.rootless import userspace

            userspace.stop(lease)
    lease["port_fds"], lease["dns_fds"] = [], []
    if failure:
        raise failure


def _release_endpoint(lease: Lease, endpoint: Endpoint) -> None:
    from crate.net.endpoint import driver_of

    published = bool(lease["ports"]) and endpoint["network"] == lease["published"]
    driver_of(endpoint["driver"]).release(endpoint, lease["container"], published=published)


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def discard(lease: Lease) -> None:
    """Removes what nobody notices any more: firewall elements of published ports, its own and of owners that died."""
    if lease["mode"] != "bridge":
        return
    if not lease["home_fds"]:
        _discard_endpoints(lease)
    elif _owns(lease):
        from crate.net.rootless import sandbox as rootless_sandbox

        rootless_sandbox.discard(lease, lambda: _discard_endpoints(lease))


def _discard_endpoints(lease: Lease) -> None:
    for endpoint in lease["endpoints"]:
        _discard_endpoint(lease, endpoint)


def _discard_endpoint(lease: Lease, endpoint: Endpoint) -> None:
    if endpoint.get("rates"):
        from crate.net import shaping

        shaping.remove(endpoint)
    from crate.net.endpoint import driver_of

    record: LeaseRecord | None = None
    if lease["ports"] and endpoint["network"] == lease["published"]:
        record = {
            "container": lease["container"],
            "owner": lease["owner"],
            "names": [],
            "address": endpoint["address"],
            "address6": endpoint["address6"],
            "mac": endpoint["mac"],
            "ports": _port_rows(lease),
        }
    driver_of(endpoint["driver"]).discard(endpoint, lease["table"], record)
