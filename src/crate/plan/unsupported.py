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
    "gpus": (),
    "io_maxbandwidth": ("0",),
    "io_maxiops": ("0",),
    "isolation": ("default",),
    "link_local_ip": (),
    "pidfile": (),
    "preserve_fds": ("0",),
    "requires": (),
    "sdnotify": ("ignore", "container"),
    "seccomp_policy": ("default",),
    "storage_opt": (),
    "systemd": ("true", "false"),
    "use_api_socket": (),
    "volume_driver": ("local",),
}
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
    "seccomp_policy": "--security-opt seccomp=FILE takes a profile",
}


def check_options(options: Options) -> None:
    """UsageError for the first option that would be without effect."""
    for name, harmless in UNSUPPORTED.items():
        value = options.get(name)
        if value and str(value) not in harmless:
            raise UsageError(f"--{name.replace('_', '-')} is not supported", _HINTS.get(name))
