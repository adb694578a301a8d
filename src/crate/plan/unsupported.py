"""The options of docker and podman that crate reads but does not have; a wish is refused, not forgotten."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.plan.shapes import Options

# option → the values that ask for nothing
UNSUPPORTED: dict[str, tuple[str, ...]] = {
    "cgroups": ("enabled",),
    "chrootdirs": (),
    "cpu_count": ("0",),
    "cpu_percent": ("0",),
    "gidmap": (),
    "gpus": (),
    "hostuser": (),
    "io_maxbandwidth": ("0",),
    "io_maxiops": ("0",),
    "isolation": ("default",),
    "link": (),
    "link_local_ip": (),
    "passwd_entry": (),
    "pidfile": (),
    "preserve_fds": ("0",),
    "requires": (),
    "sdnotify": ("ignore", "container"),
    "seccomp_policy": ("default",),
    "secret": (),
    "storage_opt": (),
    "subgidname": (),
    "subuidname": (),
    "systemd": ("true", "false"),
    "uidmap": (),
    "use_api_socket": (),
    "volume_driver": ("local",),
}
# The runtime makes such a user namespace for the bundles of others; the layers of an image cannot be shifted yet.
_OWN_USERS = "the containers of an ordinary user are in a user namespace of that user: run crate without root"
_WINDOWS = "it limits containers of Windows; Linux has --cpus and --device-read-bps"
_HINTS = {
    "cpu_count": _WINDOWS,
    "cpu_percent": _WINDOWS,
    "gpus": "crate runs no vendor's hooks: --device passes a device of the host",
    "io_maxbandwidth": _WINDOWS,
    "io_maxiops": _WINDOWS,
    "isolation": "default is the only one on Linux",
    "link_local_ip": "--ip and --ip6 choose the addresses of the bridge",
    "storage_opt": "no storage driver here has quotas for containers",
    "use_api_socket": "there is no daemon, so there is no socket",
    "volume_driver": "local is the only one",
    "gidmap": _OWN_USERS,
    "uidmap": _OWN_USERS,
    "link": "containers of one network find each other by name",
    "seccomp_policy": "--security-opt seccomp=FILE takes a profile",
}


def check_options(options: Options) -> None:
    """UsageError for the first option that would be without effect."""
    for name, harmless in UNSUPPORTED.items():
        value = options.get(name)
        if value and str(value) not in harmless:
            raise UsageError(f"--{name.replace('_', '-')} is not supported", _HINTS.get(name))
