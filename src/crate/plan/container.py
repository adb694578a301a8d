"""The plan of a container: options, image and facts become a spec, a record and the effects around them."""

from __future__ import annotations

from crate.errors import UsageError
from crate.plan.capabilities import make_capabilities
from crate.plan.environment import make_environment
from crate.plan.mount_points import describe
from crate.plan.mounts import INIT_DESTINATION, Mounts, is_read_only, wants_init
from crate.plan.namespaces import Namespaces
from crate.plan.network import make_files, make_network
from crate.plan.process import make_command, make_directory, make_limits, make_user, oom_score
from crate.plan.record import make_record
from crate.plan.refusal import refuse_nul
from crate.plan.resources import make_resources
from crate.plan.security import Security
from crate.plan.unsupported import check_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.oci.runtime_spec import Linux, Process, Spec
    from crate.plan.host import Host
    from crate.plan.shapes import NetworkRequest, Options, Place, Plan, Slot
    from crate.settings import Settings

# What podman has behind the directory of --rootfs: changes go to an upper layer, the directory stays as it is.
OVERLAY_SUFFIX = ":O"
_KEEP_GROUPS = "keep-groups"
# crun's word for it, so that the bundle means the same to both
_KEEP_GROUPS_ANNOTATION = "run.oci.keep_original_groups"
_LANDLOCK_ANNOTATION = "crate.landlock"
# What a plain bundle complies with; crun before 1.9 refuses every other version.
_OCI_VERSION = "1.0.2"
# As docker sets them in a network of the container's own: any user in it may listen on port 80, and ping.
_UNPRIVILEGED = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}


def make(options: Options, image: Mapping[str, Any] | None, host: Host, settings: Settings, place: Place) -> Plan:
    """The plan of `create` and `run` with these options.

    Without an image, `options["image"]` is a directory (--rootfs). Nothing is changed; what only the act can tell
    stands in `slots`. UsageError in docker's words for every value that is wrong; HostError where the host cannot do
    what was asked for.
    """
    check_options(options)
    config: Mapping[str, Any] = (image or {}).get("config", {}).get("config") or {}
    container_id = place["id"]
    request, warnings = make_network(options, config, host, settings, container_id)
    namespaces = Namespaces(options, request, settings, host)
    security = Security(options, host, settings)
    mounts = Mounts(options, config, host, settings, place, namespaces, security)
    capabilities = make_capabilities(options, host, settings)
    entrypoint, command = make_command(options, config)
    environment = make_environment(options, config, host, settings, request["hostname"])
    process = _process(options, config, host, settings, capabilities, security, warnings)
    process["args"] = [*entrypoint, *command]
    if wants_init(options, settings):
        process["args"] = [INIT_DESTINATION, "--", *process["args"]]
    process["env"] = environment
    linux = _linux(options, host, settings, place, namespaces, security, capabilities)
    resources = make_resources(options, host, settings, warnings)
    if any(options.get(name) for name in ("device", "device_cgroup_rule", "privileged")):
        from crate.plan.devices import add_devices

        add_devices(options, host, linux, resources, mounts.entries)
    else:
        resources["devices"] = [{"allow": False, "access": "rwm"}]
    linux["resources"] = resources
    spec: Spec = {
        "ociVersion": _OCI_VERSION,
        "process": process,
        "root": {"path": _root(options, image, host)},
        "mounts": mounts.entries,
        "linux": linux,
    }
    if is_read_only(options, settings):
        spec["root"]["readonly"] = True
    if namespaces.modes["uts"] == "private":
        spec["hostname"] = request["hostname"]
        if options.get("domainname"):
            spec["domainname"] = options["domainname"]
    refuse_nul(spec)
    if options.get("annotation"):
        spec["annotations"] = _annotations(options["annotation"])
    if security.landlock:
        spec.setdefault("annotations", {})[_LANDLOCK_ANNOTATION] = "1"
    record = make_record(options, image, host, settings, container_id)
    user = make_user(options, config)
    if namespaces.user and not options.get("user"):
        user = namespaces.user
    record.update(
        entrypoint=entrypoint,
        command=command,
        user=user,
        hostname=request["hostname"],
        modes=namespaces.modes,
        exposed_ports=_exposed(options, config, request),
        mounts=describe(mounts.own, mounts.volumes) if mounts.own else [],
        rootfs="" if image is not None else spec["root"]["path"],
        rootfs_overlay=image is None and str(options["image"]).endswith(OVERLAY_SUFFIX),
    )
    if options.get("link"):
        from crate.plan.links import make_links

        record["links"] = make_links(options["link"], request)
    if options.get("secret"):
        from crate.plan.secrets import make_secrets

        record["secrets"] = make_secrets(options["secret"])
    has_home = any(entry.startswith("HOME=") for entry in environment)
    groups = list(options.get("group_add") or ())
    if _KEEP_GROUPS in groups:
        if len(groups) > 1:
            raise UsageError(
                f"the '--group-add {_KEEP_GROUPS}' option is not allowed with any other --group-add options"
            )
        groups = []
        spec.setdefault("annotations", {})[_KEEP_GROUPS_ANNOTATION] = "1"
    accounts: list[Slot] = []
    if namespaces.user or options.get("hostuser") or options.get("passwd_entry") is not None:
        from crate.plan.accounts import make_accounts

        mounted = {mount["destination"] for mount in mounts.own}
        accounts = make_accounts(options, host, namespaces.user, process["cwd"], mounted)
    sandbox: list[Slot] = [{"slot": "sandbox"}] if options.get("waits") else []
    return {
        "spec": spec,
        "record": record,
        "ids": namespaces.ids,
        "network": request,
        "files": make_files(options, request, settings),
        "volumes": mounts.volumes,
        "chowns": mounts.chowns,
        "slots": [
            *accounts,
            {"slot": "user", "user": user, "groups": groups, "home": not has_home},
            *namespaces.slots,
            *mounts.slots,
            *sandbox,
        ],
        "warnings": warnings,
    }


def _process(
    options: Options,
    config: Mapping[str, Any],
    host: Host,
    settings: Settings,
    capabilities: list[str],
    security: Security,
    warnings: list[str],
) -> Process:
    process: Process = {
        "user": {"uid": 0, "gid": 0},
        "cwd": make_directory(options, config),
        "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
        "noNewPrivileges": security.no_new_privileges,
    }
    if options.get("tty"):
        process["terminal"] = True
    if options.get("ulimit") or settings.get("containers.ulimits"):
        process["rlimits"] = make_limits(options, host, settings, warnings)
    score = oom_score(options, host, warnings)
    if score is not None:
        process["oomScoreAdj"] = score
    if options.get("umask"):
        process["user"]["umask"] = _umask(options["umask"])
    return process


def _linux(
    options: Options,
    host: Host,
    settings: Settings,
    place: Place,
    namespaces: Namespaces,
    security: Security,
    capabilities: list[str],
) -> Linux:
    container_id = place["id"]
    parent = options.get("cgroup_parent") or settings.get("containers.cgroup_parent") or "/crate"
    linux: Linux = {
        "namespaces": namespaces.entries,
        "cgroupsPath": f"{parent.rstrip('/') or ''}/{container_id}"
        if parent.startswith("/")
        else f"/{parent}/{container_id}",
        "maskedPaths": security.masked,
        "readonlyPaths": security.read_only,
    }
    sysctls = {}
    if namespaces.modes["network"] == "private":
        sysctls = dict(_UNPRIVILEGED)
        if namespaces.ids:
            del sysctls["net.ipv4.ping_group_range"]
        elif host.rootless:
            sysctls["net.ipv4.ping_group_range"] = _ping_groups(host.mapped_gids())
    if options.get("sysctl"):
        from crate.plan.sysctls import make_sysctls

        sysctls.update(make_sysctls(options["sysctl"], namespaces))
    if sysctls:
        linux["sysctl"] = sysctls
    seccomp = security.make_seccomp(capabilities, host, place["directory"])
    if seccomp is not None:
        linux["seccomp"] = seccomp
    propagation = options.get("rootfs_propagation")
    if propagation:
        linux["rootfsPropagation"] = propagation
    if options.get("personality"):
        linux["personality"] = {"domain": _personality(options["personality"])}
    return linux


def _ping_groups(mapped: list[tuple[int, int]]) -> str:
    """The groups that may ping: those that are mapped. The kernel compares the ids as they are outside, and takes a
    range that ends below its beginning there for none; root (group 0) can do without."""
    last = sum(size for _, size in mapped) - 1
    first = 0 if mapped[0][0] <= mapped[-1][0] else min(1, last)
    return f"{first} {last}"


def _root(options: Options, image: Mapping[str, Any] | None, host: Host) -> str:
    """`rootfs` in the bundle, or the directory that --rootfs names."""
    if image is not None:
        return "rootfs"
    path = str(options["image"]).removesuffix(OVERLAY_SUFFIX)
    path = path if path.startswith("/") else f"{host.cwd.rstrip('/')}/{path}"
    status = host.stat(path)
    if status is None or status.st_mode & 0o170000 != 0o040000:
        raise UsageError(f"cannot use rootfs {options['image']}: no such directory", "--rootfs takes a directory")
    return path


def _annotations(entries: list[str]) -> dict[str, str]:
    annotations = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise UsageError(
                f'invalid argument "{entry}" for "--annotation" flag: {entry} must be formatted as key=value'
            )
        if name == _LANDLOCK_ANNOTATION:
            raise UsageError(f"the annotation {name} is crate's own mark", "--security-opt landlock")
        annotations[name] = value
    return annotations


def _personality(text: str) -> str:
    if text.upper() not in ("LINUX", "LINUX32"):
        raise UsageError(f"invalid personality {text}", "LINUX or LINUX32")
    return text.upper()


def _umask(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4 or text.strip("01234567"):
        raise UsageError(f"invalid umask string {text}: invalid argument", "--umask takes octal digits such as 0022")
    return int(text, 8)


def _exposed(options: Options, config: Mapping[str, Any], request: NetworkRequest) -> list[str]:
    """What the image and --expose name, and what is published."""
    exposed = list(config.get("ExposedPorts") or ())
    if options.get("expose"):
        from crate.plan.ports import parse_expose

        exposed += parse_expose(options["expose"])
    exposed += [f"{port['container_port']}/{port['protocol']}" for port in request["ports"]]
    return list(dict.fromkeys(exposed))
