"""podman's containers.conf(5), which `$CONTAINERS_CONF` names: the keys that mean something for crate; cold.

Others are for podman's parts (conmon, netavark, a remote service) and are passed over, as podman passes over what it
does not know.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

#: podman's key -> ours
_KEYS = {
    "containers.cgroupns": "containers.cgroupns",
    "containers.default_capabilities": "containers.capabilities",
    "containers.default_ulimits": "containers.ulimits",
    "containers.dns_options": "network.dns_options",
    "containers.dns_searches": "network.dns_search",
    "containers.dns_servers": "network.dns",
    "containers.env": "containers.env",
    "containers.env_host": "containers.env_host",
    "containers.http_proxy": "containers.http_proxy",
    "containers.init": "containers.init",
    "containers.init_path": "containers.init_path",
    "containers.log_driver": "logs.driver",
    "containers.pids_limit": "containers.pids_limit",
    "containers.read_only": "containers.read_only",
    "containers.seccomp_profile": "containers.seccomp_profile",
    "containers.shm_size": "containers.shm_size",
    "containers.userns": "containers.userns",
    "engine.detach_keys": "containers.detach_keys",
    "engine.infra_image": "pods.infra_image",
    "engine.pull_policy": "containers.pull",
    "engine.stop_timeout": "containers.stop_timeout",
}


def translated(content: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(our key, value) of each key that is known."""
    for table, entries in content.items():
        for name, value in entries.items() if isinstance(entries, dict) else ():
            key = _KEYS.get(f"{table}.{name}")
            if key:
                yield key, value
