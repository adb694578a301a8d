"""What the kernel gives to nobody but root: the tests that `--rootless` skips, each with the reason."""

from __future__ import annotations

_CHOWN = "files of other owners are made by root alone, outside of a user namespace (CAP_CHOWN, chown(2))"
_MOUNT = "the test mounts on the host (CAP_SYS_ADMIN, mount(2))"
_NETWORK = "interfaces of the host are root's (CAP_NET_ADMIN over the host's network namespace)"
_CGROUP = "no cgroup was delegated to this user (cgroup v1 has no delegation; v2 wants a subtree of the user's own)"
_UNSHARE = "what is mounted is seen in the user's mount namespace only: `crate unshare` is needed first"
_OTHER = "root's own side is what it looks at; the ordinary user's has a test of its own"

#: a test file, or one test of it -> the reason
REASONS: dict[str, str] = {
    "cli/test_boot.py::test_what_calls_it": _OTHER,
    "cli/test_cni.py": _NETWORK,
    "cli/test_cp.py": _CHOWN,
    "cli/test_doctor.py": _MOUNT,
    "cli/test_flatten.py": _CHOWN,
    "cli/test_gc.py::test_equal_files_of_layers_share_their_extents": _MOUNT,
    "cli/test_info.py": _OTHER,
    "cli/test_log_drivers.py::test_a_real_journald": _MOUNT,
    "cli/test_log_drivers.py::test_full_disk_under_the_log": _MOUNT,
    "cli/test_log_drivers.py::test_journald": _MOUNT,
    "cli/test_macvlan_networks.py": _NETWORK,
    "cli/test_mount.py": _UNSHARE,
    "cli/test_shell.py::test_root_s_shell_stays": _OTHER,
}
#: the same, where the user has no cgroup of its own
WITHOUT_CGROUP = (
    "cli/test_boot.py::test_a_cleaned_run_directory",
    "cli/test_clone.py::test_clone",
    "cli/test_commit.py::test_options",
    "cli/test_events.py::test_the_life_of_a_container",
    "cli/test_exec.py::test_is_within_the_containers_limits",
    "cli/test_health.py::test_a_paused_one_is_left_alone",
    "cli/test_health.py::test_by_hand",
    "cli/test_inspect.py::test_values",
    "cli/test_kube.py::test_play_and_down",
    "cli/test_limits.py",
)


def why_not(test: str, delegated: bool) -> str | None:
    """The reason why an ordinary user cannot pass a test (`cli/test_x.py::test_y[z]`), or None where it can.

    `delegated`: whether the user has a cgroup that may be limited.
    """
    file, _, name = test.partition("::")
    plain = f"{file}::{name.partition('[')[0]}"
    if not delegated and (plain in WITHOUT_CGROUP or file in WITHOUT_CGROUP):
        return _CGROUP
    return REASONS.get(plain) or REASONS.get(file)
