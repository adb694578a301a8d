"""Changing the rates of a container's traffic, in its record and, while it runs, in the kernel."""

from __future__ import annotations

from crate.engine import amendments
from crate.errors import UsageError
from crate.net import shaping
from crate.net.rates import parse_rates, write_rates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container


def update(container: Container, record: dict[str, Any], state: dict[str, Any], given: list[str]) -> None:
    """Gives all its networks these rates; a direction that is not among them stays. UsageError, HostError.

    The record is changed, and not written: the caller does, and holds the container's lock.
    """
    attachments = record["network"]["networks"]
    if not attachments:
        raise UsageError(f"cannot limit the rate of container {container.name}: it has no network of its own")
    parse_rates(given)
    lease = (state.get("lease") or {}) if state["status"] in ("running", "paused") else {}
    endpoints = lease.get("endpoints") or []
    if lease and lease["mode"] != "bridge":
        raise UsageError(f"cannot limit the rate of --network {lease['mode']}: it has no interface on the host")
    for endpoint in endpoints:
        shaping.set_rates(endpoint, given)
    for endpoint in endpoints:
        shaping.apply(endpoint)
    if endpoints:
        amendments.write_lease(container.paths.run_directory, state)
    for attachment in attachments:
        attachment["rates"] = merged(attachment.get("rates") or [], given)
    record["options"]["network_rate"] = merged(record["options"].get("network_rate") or [], given)


def merged(before: list[str], given: list[str]) -> list[str]:
    """One rate a direction, the last one given."""
    return write_rates(parse_rates([*before, *given]))
