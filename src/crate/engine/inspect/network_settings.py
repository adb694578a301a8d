"""The NetworkSettings of `inspect`: addresses and ports while a container runs."""

from __future__ import annotations

from crate.engine.networks.published import of_lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_BLANK = {"DriverOpts": None, "IPAMConfig": None, "Links": None, "Aliases": None}


def network_settings(record: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """Addresses are empty and numbers 0 while it does not run, as in docker."""
    lease = (state.get("lease") or {}) if state["status"] in ("running", "paused") else {}
    pid = state["pid"]
    endpoints = {endpoint["network"]: endpoint for endpoint in lease.get("endpoints") or ()}
    request = record["network"]
    asked = {attachment["network"]: attachment for attachment in request["networks"] if attachment["network"]}
    networks = {
        name: {
            "NetworkID": name,
            "DriverOpts": None,
            "IPAMConfig": _wanted(attachment),
            "Links": None,
            "Aliases": [*attachment["aliases"], record["id"][:12]],
            **_endpoint(endpoints.get(name, {})),
        }
        for name, attachment in asked.items()
    }
    if request["mode"] in ("none", "host"):
        networks[request["mode"]] = {"NetworkID": request["mode"], **_BLANK, **_endpoint({})}
    # As podman: of the whole container where it is on one network, else of each.
    return {
        **_endpoint(next(iter(endpoints.values()), {})),
        "Bridge": "",
        "SandboxID": record["id"] if lease else "",
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": _ports(record, lease),
        "SandboxKey": f"/proc/{pid}/ns/net" if lease and pid else "",
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "Networks": networks,
    }


def _wanted(attachment: dict[str, Any]) -> dict[str, str] | None:
    wanted = {"IPv4Address": attachment["ip"], "IPv6Address": attachment["ip6"]}
    return {key: value for key, value in wanted.items() if value} or None


def _endpoint(endpoint: dict[str, Any]) -> dict[str, Any]:
    return {
        "EndpointID": endpoint.get("host_interface", ""),
        "Gateway": endpoint.get("gateway", ""),
        "IPAddress": endpoint.get("address", ""),
        "IPPrefixLen": endpoint.get("prefix", 0),
        "IPv6Gateway": endpoint.get("gateway6", ""),
        "GlobalIPv6Address": endpoint.get("address6", ""),
        "GlobalIPv6PrefixLen": endpoint.get("prefix6", 0),
        "MacAddress": endpoint.get("mac", ""),
        **({"Rates": endpoint["rates"]} if endpoint.get("rates") else {}),
    }


def _ports(record: dict[str, Any], lease: dict[str, Any]) -> dict[str, list[dict[str, str]] | None]:
    """Exposed ports, null unless they are published."""
    found: dict[str, list[dict[str, str]] | None] = dict.fromkeys(record["exposed_ports"])
    for port in of_lease(lease):
        binding = {"HostIp": port["host_ip"] or "0.0.0.0", "HostPort": str(port["host_port"])}
        key = f"{port['container_port']}/{port['protocol']}"
        found[key] = [*(found.get(key) or []), binding]
    return found
