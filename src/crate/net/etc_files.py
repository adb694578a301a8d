"""The container's /etc/hostname, /etc/hosts and /etc/resolv.conf, written at each start, when its address is known."""

from __future__ import annotations

import os

from crate.net import files, sandbox
from crate.net.endpoint import ip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from crate.net.endpoint import Endpoint

_SHARES_HOST = ("host",)
_SIZE_MAX = 1 << 20


def write(record: dict[str, Any], lease: Any, directory: str) -> None:
    """Writes the three into the container's directory; the spec binds them into the root file system.

    `record` has `files` and `network` of the plan. They are the container's to write, so they lie on the disk of its
    other files and not in the memory of the run root: its root's, in a user namespace with the maps `ids`.
    """
    wanted = record["files"]
    hostname = wanted["hostname"]
    endpoints = lease["endpoints"]
    shares_host = record["network"]["mode"] in _SHARES_HOST
    texts: dict[str, str | None] = {
        "hostname": files.hostname_text(hostname),
        "hosts": None,
        "resolv.conf": resolv_conf(record, lease),
    }
    if wanted["hosts"] is not None:
        texts["hosts"] = files.hosts_text(
            hostname,
            domainname=wanted["domainname"],
            name=record.get("name") or "",
            addresses=[endpoint[key] for endpoint in endpoints for key in ("address", "address6") if endpoint[key]],
            add_host=wanted["hosts"],
            host_gateway=_host_address(lease, shares_host),
            host_file=files.read_host_file("/etc/hosts") if shares_host else None,
        )
    owner = None
    if record.get("ids"):
        from crate.ns.idmap import outside_id

        owner = outside_id(record["ids"]["uids"], 0), outside_id(record["ids"]["gids"], 0)
    for name, text in texts.items():
        if text is not None:
            _write(f"{directory}/{name}", text, owner)


def resolv_conf(record: dict[str, Any], lease: Any) -> str | None:
    """The text of its /etc/resolv.conf; None where the image's file is left alone."""
    wanted = record["files"]
    return files.resolv_conf_text(
        files.host_resolv_conf(),
        dns=wanted["dns"],
        search=wanted["dns_search"],
        options=wanted["dns_options"],
        shares_host_network=record["network"]["mode"] in _SHARES_HOST,
        ipv6=any(endpoint["address6"] for endpoint in lease["endpoints"]),
        forwarder=lease["resolver"],
        names=files.NAMES_ADDRESS if sandbox.has_names(lease) else "",
    )


def renew_resolv_conf(directory: str, former: str | None, new: str | None) -> None:
    """Changes the file of a running container, as docker does; one that was changed in the container stays."""
    if former != new and new is not None:
        _change(f"{directory}/resolv.conf", lambda before: new if before == former else before)


def add_own_addresses(directory: str, endpoint: Endpoint, names: str) -> None:
    """Adds lines for an endpoint to the /etc/hosts of a running container, with its names, as docker does."""
    text = "".join(f"{address}\t{names}\n" for address in ip(endpoint))
    _change(f"{directory}/hosts", lambda before: before + ("" if before.endswith("\n") else "\n") + text)


def drop_own_addresses(directory: str, endpoint: Endpoint) -> None:
    """Takes the lines of an endpoint that is gone out again."""
    gone = ip(endpoint)

    def without(before: str) -> str:
        lines = before.splitlines(keepends=True)
        return "".join(line for line in lines if not line.split() or line.split()[0] not in gone)

    _change(f"{directory}/hosts", without)


def _change(path: str, change: Callable[[str], str]) -> None:
    """In place: the file is bound into the container, which may have written to it, or made it large."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return  # --no-hosts, --dns none, or what a container made of it
    try:
        text = os.pread(fd, _SIZE_MAX, 0)
        if len(text) < _SIZE_MAX:
            new = change(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
            os.ftruncate(fd, os.pwrite(fd, new, 0))
    finally:
        os.close(fd)


def _host_address(lease: Any, shares_host: bool) -> str:
    """By which the container reaches the host; nothing where it cannot."""
    if shares_host:
        return "127.0.0.1"
    endpoints = lease["endpoints"]
    return str(lease["host_address"] or (endpoints[0]["gateway"] if endpoints else ""))


def _write(path: str, text: str, owner: tuple[int, int] | None) -> None:
    """A new file in place of the last start's, whose size, owner and mode the container may have changed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o644)
    except FileExistsError:
        os.unlink(path)
        fd = os.open(path, flags, 0o644)
    with open(fd, "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
        if owner:
            os.fchown(fd, *owner)
