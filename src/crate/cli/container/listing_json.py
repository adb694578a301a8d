"""What `crate ps --format json` shows of a container: podman's fields; cold."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.engine.containers import Container

_NO_TIME = -62135596800  # Go's zero time in Unix seconds


def described(container: Container, state: dict[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """The object of podman-ps(1); `row` has the fields that the table shows too. Times are Unix seconds."""
    record = container.record
    return {
        "AutoRemove": row["AutoRemove"],
        "Command": [*record["entrypoint"], *record["command"]],
        "CreatedAt": row["RunningFor"],
        "Exited": row["Exited"],
        "ExitedAt": row["ExitedAt"] or _NO_TIME,
        "ExitCode": row["ExitCode"],
        "Id": container.id,
        "Image": row["Image"],
        "ImageID": row["ImageID"],
        "IsInfra": row["IsInfra"],
        "Labels": record.get("labels") or None,
        "Mounts": [mount["destination"] for mount in record.get("mounts") or []],
        "Names": [container.name],
        "Namespaces": {},
        "Networks": [name for name in str(row["Networks"]).split(",") if name not in ("", "none", "host")],
        "Pid": state["pid"],
        "Pod": row["Pod"],
        "PodName": row["PodName"],
        "Ports": [_port(port) for port in (state.get("lease") or {}).get("ports") or []] or None,
        "Restarts": row["Restarts"],
        "Size": None,
        "StartedAt": row["StartedAt"] or _NO_TIME,
        "State": row["State"],
        "Status": row["Status"],
        "Created": row["Created"],
    }


def _port(port: dict[str, Any]) -> dict[str, Any]:
    return {
        "host_ip": port["host_ip"],
        "container_port": port["container_port"],
        "host_port": port["host_port"],
        "range": 1,
        "protocol": port["protocol"],
    }
