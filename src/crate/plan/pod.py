"""What a pod asks of its sandbox, and what it makes of the options of a container that joins it: pure functions."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.plan.shapes import Options

#: what podman calls them; each is a namespace of the sandbox that the containers join
NAMESPACES = ("cgroup", "ipc", "net", "pid", "uts")
DEFAULT_SHARE = ("ipc", "net", "uts")
#: the repository of the image of sandboxes, whose tag the engine knows (crate.engine.pods.sandbox_image)
SANDBOX = "localhost/podman-pause"
PROGRAM = "/crate:sandbox"
_OPTIONS = {"cgroup": "cgroupns", "ipc": "ipc", "net": "network", "pid": "pid", "uts": "uts"}
_SHARED = "network cannot be configured when it is shared with a pod"
#: options of `pod create` that the sandbox itself is made with
_NETWORK = (
    *("publish", "add_host", "dns", "dns_option", "dns_search", "ip", "ip6", "mac_address", "network"),
    *("network_alias", "no_hosts"),
)
_OF_SANDBOX = (*_NETWORK, "shm_size", "sysctl", "volume", "volumes_from", "uts", "pid")
#: options of `run --pod new:NAME` that are the new pod's
OF_NEW = (*_NETWORK, "hostname")
_INHERITED = ("device", "security_opt", "restart")
_ONCE = (
    *("name", "pod_id_file", "replace", "globals", "create_command", "infra_name", "infra_conmon_pidfile"),
    *("start", "destroy"),
)
_OF_MEMBER = ("pod_id", "pod_hostname", "pod_without", "cidfile")
_USERS = ("userns", "uidmap", "gidmap", "subuidname", "subgidname")
_POLICIES = ("continue", "stop")


def parse_share(text: str | None) -> list[str]:
    """`ipc,net`, `+pid` (further than the usual ones), `none` or nothing, as names of namespaces. UsageError."""
    if text is None:
        return list(DEFAULT_SHARE)
    wanted = list(DEFAULT_SHARE) if text.startswith("+") else []
    for word in text.removeprefix("+").split(","):
        name = word.strip()
        if name in ("", "none"):
            continue
        if name not in NAMESPACES:
            raise UsageError(
                f"invalid kernel namespace to share: {name}", f"one of {', '.join(NAMESPACES)}, or none for no sharing"
            )
        wanted.append(name)
    return sorted(set(wanted))


def check_pod(options: Options) -> None:
    """UsageError for what a pod cannot have, or cannot have without a sandbox."""
    if options.get("infra_conmon_pidfile"):
        raise UsageError("--infra-conmon-pidfile is not supported: crate has no conmon")
    if options.get("exit_policy") not in (None, *_POLICIES):
        raise UsageError(f'invalid pod exit policy: "{options["exit_policy"]}"', f"one of {', '.join(_POLICIES)}")
    if options.get("infra") is False:
        if parse_share(options.get("share") or "none"):
            raise UsageError(f"cannot set share({options['share']}) namespaces without an infra container")
        for name in ("infra_command", "infra_image", "infra_name", *_OF_SANDBOX, *_USERS):
            if options.get(name):
                raise UsageError(f"cannot set --{name.replace('_', '-')} without an infra container")


def sandbox_options(options: Options, pod: Mapping[str, Any]) -> Options:
    """The options of `create` for the sandbox of a pod that was asked for by these.

    It runs one program, which needs no right at all: it waits, reaps what it is pid 1 of, and ends at SIGTERM.
    """
    made = {name: options[name] for name in (*_OF_SANDBOX, *_USERS) if options.get(name)}
    if not any(name in made for name in _USERS):
        made["userns"] = "host"  # whatever containers outside of pods have
    network = made.get("network") or []
    modes = [network] if isinstance(network, str) else network
    if made.get("uts") != "host" and modes != ["host"]:
        made["hostname"] = options.get("hostname") or pod["name"]
    elif options.get("hostname"):
        made["hostname"] = options["hostname"]
    image = options.get("infra_image")
    made.update(
        image=image or SANDBOX,
        name=options.get("infra_name") or f"{pod['id'][:12]}-infra",
        pod_id=pod["id"],
        infra="image" if image else "sandbox",
        quiet=True,
        entrypoint=options.get("infra_command"),
        cgroup_parent=pod["cgroup"],
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        read_only=True,
        read_only_tmpfs=False,
        init=False,
        log_driver="none",
        no_healthcheck=True,
        pids_limit=0,
        restart="no",
    )
    return made


def lasting_options(options: Options) -> Options:
    """What was asked for, without what names this one pod or what is done once: for its containers, and for a clone."""
    return {name: value for name, value in options.items() if name not in _ONCE and value is not None and value != []}


def member_options(options: Options, pod: Mapping[str, Any], sandbox: str) -> Options:
    """The options of a container that joins the pod; `sandbox` is the id of the pod's sandbox, "" without one.

    UsageError, in podman's words, for what is the pod's to say.
    """
    made = {name: value for name, value in options.items() if name not in ("pod", "pod_id_file")}
    made["pod_id"] = pod["id"]
    shared = [kind for kind in pod["share"] if sandbox]
    own = pod["sandbox"]
    if any(options.get(name) for name in _USERS):
        raise UsageError("--userns and --pod cannot be set together", "pod create takes --userns")
    if shared:
        has_users = any(own.get(name) for name in _USERS[1:]) or own.get("userns") not in (None, "host")
        made["userns"] = f"container:{sandbox}" if has_users else "host"
    for kind in shared:
        option = _OPTIONS[kind]
        if kind == "net":
            _check_network(options)
        if options.get(option):
            continue
        if kind == "uts" and options.get("hostname"):
            raise UsageError("cannot set hostname when joining the pod UTS namespace: invalid configuration")
        mode = own.get(option)
        is_host = mode in ("host", ["host"])
        made[option] = ("host" if is_host else f"container:{sandbox}") if kind != "net" else [
            "host" if is_host else f"container:{sandbox}"
        ]  # fmt: skip
        if kind == "uts" and own.get("hostname"):
            made["pod_hostname"] = own["hostname"]
    without = [
        *(["hosts"] if own.get("no_hosts") else []),
        *(["resolv.conf"] if own.get("dns") == ["none"] else []),
    ]
    if without and "net" in shared and not options.get("network"):
        made["pod_without"] = without
    if pod["share_parent"] and not options.get("cgroup_parent"):
        made["cgroup_parent"] = pod["cgroup"]
    if sandbox and (own.get("volume") or own.get("volumes_from")):
        made["volumes_from"] = [sandbox, *(options.get("volumes_from") or ())]
    inherited = {name: pod["options"][name] for name in _INHERITED if pod["options"].get(name)}
    for name in ("device", "security_opt"):
        if name in inherited:
            made[name] = [*inherited[name], *(options.get(name) or ())]
    if "restart" in inherited and not options.get("restart") and not options.get("rm"):
        made["restart"] = inherited["restart"]
    return made


def unjoined_options(options: Options, pod: Mapping[str, Any], sandbox: str) -> Options:
    """What `member_options` made of these: the options as they were given, to join another pod with."""
    made = {name: value for name, value in options.items() if name not in _OF_MEMBER}
    for kind, option in _OPTIONS.items():
        shared = (f"container:{sandbox}", [f"container:{sandbox}"])
        if kind in pod["share"] and (made.get(option) in shared or made.get(option) == pod["sandbox"].get(option)):
            made.pop(option, None)
    if made.get("userns") in ("host", f"container:{sandbox}"):
        del made["userns"]
    if made.get("cgroup_parent") == pod["cgroup"]:
        del made["cgroup_parent"]
    if made.get("volumes_from"):
        made["volumes_from"] = [text for text in made["volumes_from"] if text != sandbox]
    for name in ("device", "security_opt"):
        inherited = pod["options"].get(name) or []
        if inherited and made.get(name):
            made[name] = made[name][len(inherited) :]
    if made.get("restart") and made["restart"] == pod["options"].get("restart"):
        del made["restart"]
    return made


def _check_network(options: Options) -> None:
    if options.get("publish") or options.get("publish_all"):
        raise UsageError(f"published or exposed ports must be defined when the pod is created: {_SHARED}")
    given = options.get("network") or []
    modes = [given] if isinstance(given, str) else given
    own = all(mode in ("host", "none") or mode.partition(":")[0] in ("container", "ns") for mode in modes)
    if not own or any(options.get(name) for name in ("ip", "ip6", "mac_address", "network_alias")):
        raise UsageError(f"networks must be defined when the pod is created: {_SHARED}")
    if options.get("add_host"):
        raise UsageError(f"extra host entries must be specified on the pod: {_SHARED}")
