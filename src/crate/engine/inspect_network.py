"""The NetworkSettings of `inspect`: addresses and ports while a container runs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def network_settings(record: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """Addresses are empty and numbers 0 while it does not run, as in docker."""
    lease = (state.get("lease") or {}) if state["status"] in ("running", "paused") else {}
    pid = state["pid"]
    endpoint = _endpoint(lease)
    networks = {}
    names = _names(record["network"])
    for number, name in enumerate(names):
        networks[name] = {
            "NetworkID": name,
            "DriverOpts": None,
            "IPAMConfig": None,
            "Links": None,
            "Aliases": [*record["network"]["aliases"], record["id"][:12]],
            **(endpoint if number == 0 else _endpoint({})),
        }
    return {
        **endpoint,
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


def _names(request: dict[str, Any]) -> list[str]:
    if request["mode"] == "bridge":
        return [request["network"], *(further["network"] for further in request.get("networks") or [])]
    return [request["mode"]] if request["mode"] in ("none", "host") else []


def _endpoint(lease: dict[str, Any]) -> dict[str, Any]:
    return {
        "EndpointID": lease.get("host_interface", ""),
        "Gateway": lease.get("gateway", ""),
        "IPAddress": lease.get("address", ""),
        "IPPrefixLen": lease.get("prefix", 0),
        "IPv6Gateway": lease.get("gateway6", ""),
        "GlobalIPv6Address": lease.get("address6", ""),
        "GlobalIPv6PrefixLen": lease.get("prefix6", 0),
        "MacAddress": lease.get("mac", ""),
    }


def _ports(record: dict[str, Any], lease: dict[str, Any]) -> dict[str, list[dict[str, str]] | None]:
    """Exposed ports, null unless they are published."""
    found: dict[str, list[dict[str, str]] | None] = dict.fromkeys(record["exposed_ports"])
    for port in lease.get("ports") or []:
        binding = {"HostIp": port["host_ip"] or "0.0.0.0", "HostPort": str(port["host_port"])}
        key = f"{port['container_port']}/{port['protocol']}"
        found[key] = [*(found.get(key) or []), binding]
    return found
