"""What the container must not do: --security-opt, --privileged, masked and read-only paths."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.oci.runtime_spec import LinuxSeccomp
    from crate.plan.host import Host
    from crate.plan.shapes import Options
    from crate.settings import Settings

# Those of docker 28. podman has /sys/fs/selinux and /sys/dev/block besides, which programs in images of docker look at.
MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_CPUS = "/sys/devices/system/cpu"
_UNCONFINED = "unconfined"
_DEFAULT_PROFILES = ("", "builtin", "default")


class Security:
    """The security options in force. `seccomp` is `unconfined`, a file, or empty for the default profile."""

    __slots__ = ("landlock", "masked", "no_new_privileges", "proc_options", "read_only", "seccomp")

    def __init__(self, options: Options, host: Host, settings: Settings) -> None:
        privileged = bool(options.get("privileged"))
        self.landlock = False
        self.no_new_privileges = False
        self.proc_options: list[str] = []
        self.masked: list[str] = [] if privileged else [*MASKED, *_thermal(host)]
        self.read_only: list[str] = [] if privileged else list(READ_ONLY)
        self.seccomp: str = _UNCONFINED if privileged else settings.get("containers.seccomp_profile")
        for option in options.get("security_opt") or ():
            self._apply(option)

    def _apply(self, option: str) -> None:
        name, value = _split(option)
        if name == "no-new-privileges":
            if value.lower() not in ("", "true", "false", "1", "0", "t", "f"):
                raise _invalid(option)
            self.no_new_privileges = value.lower() not in ("false", "0", "f")
        elif name == "seccomp":
            self.seccomp = value
        elif name == "mask":
            self.masked += [path for path in value.split(":") if path not in self.masked]
        elif name == "unmask":
            self._unmask(value)
        elif name == "systempaths":
            if value != _UNCONFINED:
                raise _invalid(option)
            self.masked, self.read_only = [], []
        elif name == "landlock":
            self.landlock = _landlock(option, value)
        elif name == "proc-opts":
            self.proc_options += value.split(",")
        elif name == "apparmor":
            if value != _UNCONFINED:
                raise UsageError(
                    f"cannot use --security-opt {option}: crate does not load AppArmor profiles",
                    "--security-opt apparmor=unconfined is taken",
                )
        elif name != "label":  # as on a host without SELinux, where docker takes labels and does nothing
            raise _invalid(option)

    def _unmask(self, value: str) -> None:
        """`ALL`, or paths joined by colons, in which `*` stands for anything but a slash."""
        for pattern in value.split(":"):
            if pattern.upper() == "ALL":
                self.masked, self.read_only = [], []
                return
            self.masked = [path for path in self.masked if not _matches(path, pattern)]
            self.read_only = [path for path in self.read_only if not _matches(path, pattern)]

    def make_seccomp(self, capabilities: list[str], host: Host, directory: str) -> LinuxSeccomp | None:
        """`linux.seccomp` of the spec; None for unconfined. `directory`: of the container's files."""
        if self.seccomp == _UNCONFINED:
            return None
        from crate.plan.seccomp_profile import default_profile, read_profile, record_owners

        if self.seccomp in _DEFAULT_PROFILES:
            profile = default_profile(capabilities, host.machine, host.kernel)
            return record_owners(profile, host.kernel, directory) if host.has_single_id() else profile
        try:
            text = host.read_text(self.seccomp)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not utf-8"
            raise UsageError(f"opening seccomp profile ({self.seccomp}) failed: {reason}") from None
        return read_profile(text, self.seccomp, capabilities, host.machine, host.kernel)


def _landlock(option: str, value: str) -> bool:
    """Whether the second wall is asked for. HostError where the kernel has none."""
    if value.lower() in ("false", "0"):
        return False
    if value.lower() not in ("", "true", "1"):
        raise _invalid(option)
    from crate.runtime.landlock import require

    require(f"--security-opt {option}")
    return True


def _thermal(host: Host) -> list[str]:
    """What tells how busy the host's processors are (moby's GHSA-6fw5-f8r9-fgfm; Intel has it)."""
    if host.stat(f"{_CPUS}/cpu0/thermal_throttle") is None:
        return []
    cpus = [name for name in host.list_directory(_CPUS) if name[:3] == "cpu" and name[3:].isdigit()]
    return [f"{_CPUS}/{name}/thermal_throttle" for name in cpus]


def _invalid(option: str) -> UsageError:
    return UsageError(f'invalid --security-opt: "{option}"')


def _split(option: str) -> tuple[str, str]:
    """`name=value`, `name:value` as docker once wrote it, or a name alone."""
    name, equals, value = option.partition("=")
    if not equals:
        name, equals, value = option.partition(":")
    if not equals and option not in ("no-new-privileges", "label", "landlock"):
        raise _invalid(option)
    return name, value


def _matches(path: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    same_depth = path.count("/") == pattern.rstrip("/").count("/")
    return path == pattern.rstrip("/") or ("*" in pattern and same_depth and fnmatchcase(path, pattern))
