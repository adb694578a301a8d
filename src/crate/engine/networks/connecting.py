"""Connecting a container to a network and disconnecting it, while it runs or for its next start (decision 66).

    connect      intent (amended.json) · lease · intent with the endpoint · interface · amended.json · ports · record
                 · no intent
    disconnect   intent with the endpoint · record · interface · lease · ports · amended.json · no intent

The record decides what a killed one comes to: the next command that changes networks of the container, or the network,
takes away what there is of the network that an intent tells of, unless the record has it (`settle`).
"""

from __future__ import annotations

import os

from crate.engine import amendments
from crate.engine.networks import verbs as networks
from crate.engine.networks.lookups import announce
from crate.errors import NotFoundError, StateError, UsageError
from crate.linux.process import pidfd_send_signal
from crate.net import etc_files, sandbox
from crate.plan.network_modes import check_attachment
from crate.storage import containers as store
from crate.storage import journal
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.net.endpoint import Attachment, Endpoint

_RUNS = ("running", "paused")


def connect(engine: Engine, container: Container, text: str, options: dict[str, Any]) -> None:
    """Connects it to the network that `text` means. `options`: `ip`, `ip6`, `mac_address`, `alias`.

    UsageError, NameInUseError, StateError (it is there already, or has no networks of its own).
    """
    name = networks.name_of(engine, text)
    attachment: Attachment = {
        "network": name,
        "ip": options.get("ip") or "",
        "ip6": options.get("ip6") or "",
        "mac": options.get("mac_address") or "",
        "aliases": list(options.get("alias") or ()),
        "interface": "",
    }
    check_attachment(attachment)
    way_out = _reach_out(engine, container, name) if engine.roots.rootless else {}

    def change(record: dict[str, Any], state: dict[str, Any]) -> None:
        if name in _names(record):
            raise StateError(f'container {container.name} is already connected to network "{name}"')
        record["network"]["networks"].append(attachment)
        if state["status"] in _RUNS:
            _join(engine, container, record, state, attachment, way_out)
        _save(container, record)

    _change(engine, container, change)
    _tell(engine, name, "connect", container)


def disconnect(engine: Engine, container: Container, text: str, force: bool = False) -> None:
    """Takes it off the network. StateError when it is not on it; `force` takes a network that is gone, too."""
    try:
        name = networks.name_of(engine, text)
    except NotFoundError:
        if not force:
            raise
        name = text

    def change(record: dict[str, Any], state: dict[str, Any]) -> None:
        if name not in _names(record):
            raise StateError(f'container {container.name} is not connected to network "{name}"')
        former = record["network"]["networks"]
        lease = (state["lease"] or {}) if state["status"] in _RUNS else {}
        endpoint = next((one for one in lease.get("endpoints") or () if one["network"] == name), None)
        if endpoint:
            _note(container, state, {"network": name, "endpoint": endpoint})
        record["network"]["networks"] = [one for one in former if one["network"] != name]
        _save(container, record)
        if endpoint:
            try:
                _leave(engine, container, record, state, endpoint)
            except BaseException:
                record["network"]["networks"] = former
                _save(container, record)
                _note(container, state, None)
                raise

    _change(engine, container, change)
    _tell(engine, name, "disconnect", container)


def settle(engine: Engine, container: Container, name: str = "") -> None:
    """Brings to an end what a killed command began with a network of a running container, if one did.

    `name`: only with this network. The errors are those of `disconnect`.
    """
    state = container.state(engine)
    intent = amendments.changing(container.paths.run_directory, state) if state["status"] in _RUNS else None
    if intent and name in ("", intent["network"]):
        _change(engine, container, lambda record, state: None)


def _reach_out(engine: Engine, container: Container, name: str) -> dict[str, str]:
    """Makes a way out for a container that has none, from the host's network; gives what is new in its lease."""
    state = container.state(engine)
    lease = state.get("lease") or {}
    if state["status"] not in _RUNS or not lease.get("home_fds") or lease["resolver"]:
        return {}
    from crate.net.rootless import sandbox as rootless_sandbox

    return rootless_sandbox.reach_out(engine.roots, engine.settings, name)


def _names(record: dict[str, Any]) -> list[str]:
    return [attachment["network"] for attachment in record["network"]["networks"]]


def _tell(engine: Engine, name: str, action: str, container: Container) -> None:
    try:
        driver = sandbox.find_network(engine.roots, engine.settings, name)["driver"]
    except NotFoundError:
        driver = ""  # of a network that was gone already
    attributes = {"container": container.id, "name": name, "type": driver}
    journal.record(engine.roots, "network", action, container.id, name, attributes=attributes, network=name)


def _change(engine: Engine, container: Container, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Has a function change the record, and the sandbox of a running container, under the container's lock."""
    try:
        with Lock(container.paths.directory):
            record = store.read_record(engine.roots, container.id)
            if record is None:
                raise FileNotFoundError
            mode = _mode(engine, record)
            if mode != "bridge":
                raise UsageError(
                    f'cannot change the networks of container {container.name}: its network mode is "{mode}"',
                    "only a container that was made with networks of its own can be connected to others",
                )
            state = container.state(engine, fresh=True)
            _settle(engine, container, record, state)
            change(record, state)
            _note(container, state, None)
            container.record = record
    except FileNotFoundError:
        raise NotFoundError(f"no such container: {container.name}") from None


def _mode(engine: Engine, record: dict[str, Any]) -> str:
    request = record["network"]
    if request["mode"] == "bridge" and engine.roots.rootless:
        return sandbox.rootless_mode(engine.settings, request)
    return str(request["mode"])


def _save(container: Container, record: dict[str, Any]) -> None:
    store.write_record(container.paths, record, container.paths.files != container.paths.run_directory)


def _join(
    engine: Engine,
    container: Container,
    record: dict[str, Any],
    state: dict[str, Any],
    attachment: Attachment,
    way_out: dict[str, str],
) -> None:
    lease, settings = state["lease"], engine.settings
    published = lease["published"]
    sandbox.enter_home(engine.roots)
    network = sandbox.find_network(engine.roots, settings, attachment["network"])
    names = [container.name, container.id[:12], record["hostname"]]
    resolv_conf = etc_files.resolv_conf(record, lease)
    lease.update(way_out)
    netns_fd = _open_namespace(engine, container, state)
    try:
        _note(container, state, {"network": network["name"]})
        sandbox.choose_publisher(lease, network)
        endpoint = sandbox.add_endpoint(lease, engine.roots, settings, network, attachment, names)
        try:
            _note(container, state, {"network": endpoint["network"], "endpoint": endpoint})
            sandbox.attach(lease, endpoint, netns_fd)
            try:
                amendments.write_lease(container.paths.run_directory, state)
                sandbox.publish_here(lease, endpoint)
            except BaseException:
                sandbox.detach(lease, endpoint, netns_fd)
                raise
        except BaseException:
            sandbox.remove_endpoint(lease, endpoint)
            amendments.write_lease(container.paths.run_directory, state)
            raise
    except BaseException:
        lease["published"] = published
        _note(container, state, None)
        raise
    finally:
        os.close(netns_fd)
    announce(container.paths.attach_socket)
    own = f"{record['hostname']} {container.name}"
    etc_files.add_own_addresses(container.paths.directory, endpoint, own)
    etc_files.renew_resolv_conf(container.paths.directory, resolv_conf, etc_files.resolv_conf(record, lease))


def _leave(
    engine: Engine, container: Container, record: dict[str, Any], state: dict[str, Any], endpoint: Endpoint
) -> None:
    lease = state["lease"]
    resolv_conf = etc_files.resolv_conf(record, lease)
    sandbox.enter_home(engine.roots)
    netns_fd = _open_namespace(engine, container, state)
    try:
        sandbox.detach(lease, endpoint, netns_fd)
    finally:
        os.close(netns_fd)
    sandbox.remove_endpoint(lease, endpoint)
    if lease["ports"] and not lease["published"]:
        sandbox.publish_again(lease)
    amendments.write_lease(container.paths.run_directory, state)
    announce(container.paths.attach_socket)
    etc_files.drop_own_addresses(container.paths.directory, endpoint)
    etc_files.renew_resolv_conf(container.paths.directory, resolv_conf, etc_files.resolv_conf(record, lease))


def _open_namespace(engine: Engine, container: Container, state: dict[str, Any]) -> int:
    """The network namespace of its init, of which this process is sure that it is that one's."""
    try:
        pidfd = container.pidfd(engine)
        try:
            netns_fd = os.open(f"/proc/{state['pid']}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            pidfd_send_signal(pidfd, 0)
        finally:
            os.close(pidfd)
    except OSError:
        raise StateError(f"cannot change the networks of container {container.name}: it has just ended") from None
    return netns_fd


def _note(container: Container, state: dict[str, Any], intent: dict[str, Any] | None) -> None:
    """For who holds the container's lock."""
    if intent or (state["status"] in _RUNS and amendments.changing(container.paths.run_directory, state)):
        amendments.write(container.paths.run_directory, state, changing=intent)


def _settle(engine: Engine, container: Container, record: dict[str, Any], state: dict[str, Any]) -> None:
    """`settle`, for who holds the container's lock."""
    intent = amendments.changing(container.paths.run_directory, state) if state["status"] in _RUNS else None
    if not intent:
        return
    name, lease = intent["network"], state["lease"]
    if name not in _names(record):
        sandbox.enter_home(engine.roots)
        endpoint = next((one for one in lease["endpoints"] if one["network"] == name), intent.get("endpoint"))
        if endpoint:
            if endpoint not in lease["endpoints"]:
                lease["endpoints"].append(endpoint)
            _leave(engine, container, record, state, endpoint)
        sandbox.remove_stray(lease, engine.roots, engine.settings, name)
    _note(container, state, None)
