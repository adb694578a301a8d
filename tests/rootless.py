"""What the kernel gives to nobody but root: the tests that `--rootless` skips, each with the reason."""

from __future__ import annotations

_CHOWN = "files of other owners are made by root alone, outside of a user namespace (CAP_CHOWN, chown(2))"
_MOUNT = "the test mounts on the host (CAP_SYS_ADMIN, mount(2))"
_NETWORK = "interfaces of the host are root's (CAP_NET_ADMIN over the host's network namespace)"
_CGROUP = "no cgroup was delegated to this user (cgroup v1 has no delegation; v2 wants a subtree of the user's own)"
_UNSHARE = "what is mounted is seen in the user's mount namespace only: `crate unshare` is needed first"
_NETNS = (
    "the bridges are in the user's own network namespace, where the test does not look (`unshare --rootless-netns`)"
)
_BECOMES = "only root becomes another user (setuid(2)) or changes what a user sees of the host (mount(2))"
_IDS = "the ids are root's choice of all; an ordinary user's are the subordinate ones (test_rootless_userns.py)"
_ORPHANS = "without a pid namespace and a cgroup the kernel does not tell whose child an orphan was"
_INSIDE = "it calls the modules in its own process, which is in no user namespace"
_CONTROL = "its control, a privileged container without the wall, has no rights over the host (capabilities(7))"
_DEVICES = "device files are root's (CAP_MKNOD in the first user namespace, mknod(2))"
_MARKS = "it writes the marks of root's overlay (trusted.*: CAP_SYS_ADMIN over the host, xattr(7))"
_PODMAN = "podman beside it wants /run of root's, when it is root in a namespace"
_RUNC = "runc beside it keeps its state in /run, which is root's"
_NAMESPACE = (
    "it is the user namespace that refuses the call, before other rules (user_namespaces(7); test_ordinary_user)"
)
_FIRST = "the first setns(2) of an ordinary user's crate is into the user's namespace, before the work begins"
_OTHER = "root's own side is what it looks at; the ordinary user's has a test of its own"

#: a folder, a test file, a test of it, or one case of that -> the reason
REASONS: dict[str, str] = {
    "build/test_contexts.py::test_archives_do_not_reach_outside": _INSIDE,
    "build/test_contexts.py::test_devices_and_pipes_are_never_opened": _INSIDE,
    "build/test_interrupted.py::test_full_disk": _MOUNT,
    "build/test_language.py": "buildah beside it wants a namespace that an ordinary user's process has not",
    "build/test_outputs.py::test_files_without_an_image": "files for the caller are the caller's, who is not root",
    "cli/test_boot.py::test_what_calls_it": _OTHER,
    "cli/test_cni.py": _NETWORK,
    "cli/test_cp.py": _CHOWN,
    "cli/test_doctor.py": _MOUNT,
    "cli/test_flatten.py": _CHOWN,
    "cli/test_gc.py::test_equal_files_of_layers_share_their_extents": _MOUNT,
    "cli/test_gc.py::test_nothing_goes_that_a_running_build_may_stand_on": _UNSHARE,
    "cli/test_gc.py::test_shared_layers_count_once_and_stay_while_somebody_has_them": _UNSHARE,
    "cli/test_gc.py::test_what_was_used_longest_ago_goes_first": _UNSHARE,
    "cli/test_info.py": _OTHER,
    "cli/test_log_drivers.py::test_a_real_journald": _MOUNT,
    "cli/test_log_drivers.py::test_full_disk_under_the_log": _MOUNT,
    "cli/test_log_drivers.py::test_journald": _MOUNT,
    "cli/test_macvlan_networks.py": _NETWORK,
    "cli/test_mount.py": _UNSHARE,
    "cli/test_export.py::test_save": "skopeo unpacks an archive with the owners in it (chown(2))",
    "cli/test_manifest.py::test_push": "skopeo has no place of its own for an ordinary user",
    "cli/test_network_names.py::test_a_flood_does_not_stall_the_streams": _NETNS,
    "cli/test_network_names.py::test_other_names_are_the_hosts_business": _NETNS,
    "cli/test_networks.py::test_life_of_a_network": _NETNS,
    "cli/test_networks.py::test_a_subnet_that_was_taken_since_is_told": "each run root of a user has networks apart",
    "cli/test_networks.py::test_names_and_defaults": _NETNS,
    "cli/test_networks.py::test_reload_of_several_containers": _NETNS,
    "cli/test_one_file.py": "the build writes into the checkout, which is another user's",
    "cli/test_overlay_network.py": _NETWORK,
    "cli/test_pods.py::test_ports_and_network_are_the_pods": "a port that a forwarder held is in TIME_WAIT (bind(2))",
    "cli/test_ports_and_networks.py::test_network_ls_and_inspect": _NETNS,
    "cli/test_rootless_hosts.py": _BECOMES,
    "cli/test_rootless_networks.py": _BECOMES,
    "cli/test_run_mounts.py::test_devices": "no rules of devices: they are a cgroup's (bpf(2) wants CAP_SYS_ADMIN)",
    "cli/test_run_mounts.py::test_image_as_a_mount": _UNSHARE,
    "cli/test_run_mounts.py::test_read_only_binds_are_so_all_the_way_down": _MOUNT,
    "cli/test_run_security.py::test_privileged": _OTHER,
    "cli/test_save.py": _UNSHARE,
    "cli/test_scp.py::test_to_another_user_of_this_host": _BECOMES,
    "cli/test_scp.py::test_what_is_no_host": _BECOMES,
    "cli/test_secrets.py::test_files": _IDS,
    "cli/test_shaping.py": _NETNS,
    "cli/test_shell.py": _BECOMES,
    "cli/test_recorded_owners.py": _BECOMES,
    "cli/test_single_id.py": _BECOMES,
    "cli/test_top.py::test_descriptors": _OTHER,
    "cli/test_top.py::test_in_the_pid_namespace_of_the_host": _ORPHANS,
    "cli/test_top.py::test_options_of_ps": _OTHER,
    "cli/test_trust.py": "gpg-agent wants a directory of a login's",
    "cli/test_userns.py": _IDS,
    "net": _NETWORK,
    "registry/test_both_ways.py": _PODMAN,
    "registry/test_load.py::test_what_podman_saves": _PODMAN,
    "registry/test_login.py::test_podman_and_skopeo_share_them": _PODMAN,
    "registry/test_push.py::test_what_podman_pushed_is_pulled": _PODMAN,
    "reliability/test_faults.py::test_full_disk": _MOUNT,
    "reliability/test_kill.py::test_port_of_a_start_that_was_killed_leads_nowhere": _NETNS,
    "reliability/test_kill_connect.py::test_a_network_that_is_left_by_halves_can_be_removed": _FIRST,
    "runtime/test_linux.py::test_id_mapped_bind": "mounts of the host are mapped by root (mount_setattr(2))",
    "runtime/test_linux.py::test_user_namespace": _IDS,
    "runtime/test_process.py::test_killed_by_signal": "/proc is mounted by who owns the pid namespace",
    "runtime/test_process.py::test_limit_that_linux_does_not_have_is_told": _CGROUP,
    "runtime/test_rootfs.py::test_devices_of_the_spec": _DEVICES,
    "security/test_diagnose.py::test_a_file_of_somebody_else": _CHOWN,
    "security/test_diagnose.py::test_devices": _NAMESPACE,
    "security/test_diagnose.py::test_landlock": _NAMESPACE,
    "security/test_diagnose.py::test_no_new_privileges": _CHOWN,
    "security/test_diagnose.py::test_the_option_of_the_report_allows_the_call[1]": _NAMESPACE,
    "security/test_diagnose.py::test_the_option_of_the_report_allows_the_call[2]": _NAMESPACE,
    "security/test_diagnose.py::test_users_of_the_hosts_root": _IDS,
    "security/test_escape.py::test_device_that_becomes_a_link_while_it_is_made": _DEVICES,
    "security/test_escape.py::test_hostile_passwd[_device]": _DEVICES,
    "security/test_interpreter.py::test_that_cannot_be_protected_enters_no_container": _MOUNT,
    "security/test_introspection.py::test_of_root": _OTHER,
    "security/test_landlock.py::test_files_of_the_host_by_its_processes": _CONTROL,
    "security/test_landlock.py::test_kernel_without_landlock": "filters without no_new_privs are root's (seccomp(2))",
    "security/test_landlock.py::test_who_has_every_capability_may_not": _CONTROL,
    "security/test_owners_of_strangers.py": _BECOMES,
    "security/test_published.py::test_bridges_accept_no_router_advertisements": _NETNS,
    "security/test_published.py::test_console_that_is_a_link_by_runc": _DEVICES,
    "security/test_published.py::test_writes_to_a_forged_proc": _MOUNT,
    "security/test_published.py::test_writes_to_a_forged_proc_by_runc": _MOUNT,
    "storage/test_layers.py::test_devices_and_attributes_survive": _DEVICES,
    "storage/test_rootless.py": _BECOMES,
    "storage/test_tree_writer.py::test_a_whiteout_hides_lower_layers_only": _MARKS,
    "storage/test_tree_writer.py::test_everything_a_member_says": _DEVICES,
    "storage/test_tree_writer.py::test_what_points_outside_stays_inside[parts9]": _MARKS,
    "storage/test_tree_writer.py::test_whiteouts": _MARKS,
}
#: the same, where the user has no cgroup of its own
WITHOUT_CGROUP = (
    "reliability/test_kill_pods.py::test_monitor_of_a_paused_sandbox_killed",
    "build/test_run.py::test_limits_hold_in_the_kernel",
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
    "cli/test_pause.py",
    "cli/test_pods.py::test_clone",
    "cli/test_pods.py::test_limits_hold_for_all_together",
    "cli/test_pods.py::test_pause",
    "cli/test_prune.py",
    "cli/test_restart.py::test_it_ends_and_begins_again",
    "cli/test_run_security.py::test_out_of_memory",
    "cli/test_stats.py",
    "cli/test_top.py::test_what_is_refused",
    "cli/test_update.py",
    "cli/test_wait.py::test_states",
)


def why_not(test: str, delegated: bool) -> str | None:
    """The reason why an ordinary user cannot pass a test (`cli/test_x.py::test_y[z]`), or None where it can.

    `delegated`: whether the user has a cgroup that may be limited.
    """
    file, _, name = test.partition("::")
    plain = f"{file}::{name.partition('[')[0]}"
    if not delegated and (plain in WITHOUT_CGROUP or file in WITHOUT_CGROUP):
        return _CGROUP
    if "[runc" in name:
        return _RUNC
    return next((REASONS[key] for key in (test, plain, file, file.partition("/")[0]) if key in REASONS), None)
