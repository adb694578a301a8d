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
    "gidmap": (),
    "gpus": (),
    "health_on_failure": ("none",),
    "hostuser": (),
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
    "volume_driver": ("local",),
}
# The runtime makes such a user namespace for the bundles of others; the layers of an image cannot be shifted yet.
_OWN_USERS = "the containers of an ordinary user are in a user namespace of that user: run crate without root"
_HINTS = {
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
