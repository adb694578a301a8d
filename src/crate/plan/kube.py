"""Kubernetes objects as options of `pod create`, `create` and `volume create`: pure functions.

What is not known here and changes what a container may do or see is refused by its name; what only a cluster needs
(probes, affinities, service accounts) is left out with a warning, as podman does.
"""

from __future__ import annotations

from crate.errors import UsageError
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.plan.shapes import Options

KINDS = ("Pod", "Deployment", "PersistentVolumeClaim")
_RESTARTS = {"Always": "always", "OnFailure": "on-failure", "Never": "no"}
_PULLS = {"Always": "always", "IfNotPresent": "missing", "Never": "never"}
_BINARY = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_REFUSED = {"initContainers", "ephemeralContainers", "hostUsers"}
_REFUSED_OF_CONTAINER = {"envFrom", "volumeDevices", "lifecycle"}
_LEFT_OUT = ("livenessProbe", "readinessProbe", "startupProbe")
_VOLUMES = ("hostPath", "emptyDir", "persistentVolumeClaim")


class PlannedPod:
    """`pod`: options of `pod create`; `containers`: those of `create`, without the pod; `directories` to make first."""

    __slots__ = ("containers", "directories", "pod", "volumes", "warnings")

    def __init__(self, pod: Options) -> None:
        self.pod = pod
        self.containers: list[Options] = []
        self.directories: list[str] = []
        self.volumes: list[str] = []
        self.warnings: list[str] = []


def kind_of(document: Mapping[str, Any]) -> str:
    """One of KINDS. UsageError."""
    kind = document.get("kind") if isinstance(document, dict) else None
    if kind not in KINDS:
        raise UsageError(f"cannot play kind {kind!r}", f"one of {', '.join(KINDS)}")
    return str(kind)


def name_of(document: Mapping[str, Any]) -> str:
    """The name of the object; of a Deployment that of its pod. UsageError."""
    name = str((document.get("metadata") or {}).get("name") or "")
    if not name:
        raise UsageError(f"a {document['kind']} has no metadata.name")
    return f"{name}-pod" if document["kind"] == "Deployment" else name


def make_claim(document: Mapping[str, Any]) -> Options:
    """The options of `volume create` for a PersistentVolumeClaim."""
    labels = (document.get("metadata") or {}).get("labels") or {}
    return {"volume": name_of(document), "label": [f"{key}={value}" for key, value in labels.items()], "ignore": True}


def make_pod(document: Mapping[str, Any], options: Options) -> PlannedPod:
    """The plan of a Pod, or of the pod of a Deployment. `options`: those of `kube play`. UsageError."""
    name, metadata, spec = name_of(document), document.get("metadata") or {}, document.get("spec") or {}
    if document["kind"] == "Deployment":
        template = spec.get("template") or {}
        metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    _refuse(spec, _REFUSED, f"pod {name}")
    containers = spec.get("containers") or []
    if not containers:
        raise UsageError(f"pod {name} has no containers")
    network = options.get("network") or (["host"] if spec.get("hostNetwork") else [])
    made = PlannedPod(
        {
            "name": name,
            "label": [f"{key}={value}" for key, value in (metadata.get("labels") or {}).items()],
            "hostname": spec.get("hostname"),
            "share": "+pid" if spec.get("shareProcessNamespace") else None,
            "exit_policy": "stop",
            "network": network,
            "no_hosts": options.get("no_hosts"),
            "ip": options.get("ip"),
            "mac_address": options.get("mac_address"),
            "add_host": [
                f"{host}:{alias['ip']}"
                for alias in spec.get("hostAliases") or []
                for host in alias.get("hostnames") or []
            ],
            "publish": [
                text for one in containers for text in _ports(one.get("ports") or []) if network != ["host"]
            ],
        }
    )  # fmt: skip
    if document["kind"] == "Deployment" and int((document.get("spec") or {}).get("replicas") or 1) > 1:
        made.warnings.append(f"{name}: one replica is made, not {document['spec']['replicas']}")
    volumes = {str(volume.get("name")): _volume(made, name, volume) for volume in spec.get("volumes") or []}
    annotations = {**(metadata.get("annotations") or {})}
    annotations.update(text.partition("=")[::2] for text in options.get("annotation") or ())
    for one in containers:
        container = _container(made, name, one, spec, volumes)
        container["annotation"] = [f"{key}={value}" for key, value in annotations.items()]
        container.update({key: options.get(key) for key in ("log_driver", "log_opt", "quiet")})
        made.containers.append(container)
    return made


def _refuse(given: Mapping[str, Any], keys: set[str], where: str) -> None:
    for key in keys & set(given):
        if given[key]:
            raise UsageError(f"{where}: {key} is not supported")


def _ports(ports: list[Mapping[str, Any]]) -> list[str]:
    found = []
    for port in ports:
        if port.get("hostPort"):
            address = f"{port['hostIP']}:" if port.get("hostIP") else ""
            protocol = str(port.get("protocol") or "TCP").lower()
            found.append(f"{address}{port['hostPort']}:{port.get('containerPort') or port['hostPort']}/{protocol}")
    return found


def _volume(made: PlannedPod, pod: str, volume: Mapping[str, Any]) -> str:
    """What stands for a volume in `--volume`: a directory of the host, or the name of a volume."""
    name = str(volume.get("name"))
    if volume.get("hostPath"):
        path = str(volume["hostPath"].get("path") or "")
        if volume["hostPath"].get("type") == "DirectoryOrCreate":
            made.directories.append(path)
        return path
    if "emptyDir" in volume:
        made.volumes.append(f"{pod}-{name}")
        return f"{pod}-{name}"
    if volume.get("persistentVolumeClaim"):
        return str(volume["persistentVolumeClaim"].get("claimName") or "")
    kinds = ", ".join(key for key in volume if key != "name")
    raise UsageError(
        f"volume {name} of pod {pod}: {kinds or 'nothing'} is not supported", f"one of {', '.join(_VOLUMES)}"
    )


def _container(
    made: PlannedPod, pod: str, one: Mapping[str, Any], spec: Mapping[str, Any], volumes: Mapping[str, str]
) -> Options:
    name = f"{pod}-{one.get('name') or 'container'}"
    _refuse(one, _REFUSED_OF_CONTAINER, f"container {name}")
    made.warnings += [f"{name}: {key} is left out" for key in _LEFT_OUT if one.get(key)]
    if not one.get("image"):
        raise UsageError(f"container {name} has no image")
    policy = one.get("imagePullPolicy")
    if policy is not None and policy not in _PULLS:
        raise UsageError(f"container {name}: invalid imagePullPolicy {policy!r}", f"one of {', '.join(_PULLS)}")
    restart = spec.get("restartPolicy") or "Always"
    if restart not in _RESTARTS:
        raise UsageError(f"pod {pod}: invalid restartPolicy {restart!r}", f"one of {', '.join(_RESTARTS)}")
    return {
        "name": name,
        "image": one["image"],
        "pull": _PULLS.get(str(policy)),
        "entrypoint": json.dumps([str(word) for word in one["command"]]) if one.get("command") else None,
        "command": [str(word) for word in one.get("args") or []],
        "env": [_variable(name, entry) for entry in one.get("env") or []],
        "workdir": one.get("workingDir"),
        "tty": bool(one.get("tty")),
        "interactive": bool(one.get("stdin")),
        "restart": _RESTARTS[restart],
        "volume": [_mount(name, mount, volumes) for mount in one.get("volumeMounts") or []],
        "pid": "host" if spec.get("hostPID") else None,
        "ipc": "host" if spec.get("hostIPC") else None,
        **_resources(name, one.get("resources") or {}),
        **_security({**(spec.get("securityContext") or {}), **(one.get("securityContext") or {})}),
    }


def _variable(container: str, entry: Mapping[str, Any]) -> str:
    if entry.get("valueFrom"):
        raise UsageError(f"container {container}: valueFrom of variable {entry.get('name')} is not supported")
    return f"{entry.get('name')}={entry.get('value') or ''}"


def _mount(container: str, mount: Mapping[str, Any], volumes: Mapping[str, str]) -> str:
    source = volumes.get(str(mount.get("name")))
    if not source:
        raise UsageError(f"container {container}: there is no volume {mount.get('name')!r} in the pod")
    if mount.get("subPath"):
        raise UsageError(f"container {container}: subPath of volume {mount['name']} is not supported")
    return f"{source}:{mount.get('mountPath')}{':ro' if mount.get('readOnly') else ''}"


def _resources(container: str, resources: Mapping[str, Any]) -> Options:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    made: Options = {}
    if limits.get("cpu"):
        made["cpus"] = f"{quantity(container, limits['cpu']):.3f}"
    if limits.get("memory"):
        made["memory"] = str(int(quantity(container, limits["memory"])))
    if requests.get("memory"):
        made["memory_reservation"] = str(int(quantity(container, requests["memory"])))
    return made


def quantity(container: str, text: Any) -> float:
    """`500m`, `128Mi`, `1.5`: a quantity of Kubernetes (resource.Quantity). UsageError."""
    number, factor = str(text), 1.0
    for units in (_BINARY, _DECIMAL, {"m": 1e-3}):
        for unit, value in units.items():
            if number.endswith(unit) and factor == 1.0:
                number, factor = number[: -len(unit)], value
    try:
        return float(number) * factor
    except ValueError:
        raise UsageError(f"container {container}: {text!r} is no quantity", "as 500m, 2, 128Mi or 1G") from None


def _security(context: Mapping[str, Any]) -> Options:
    made: Options = {}
    if context.get("privileged"):
        made["privileged"] = True
    if context.get("runAsUser") is not None:
        group = f":{context['runAsGroup']}" if context.get("runAsGroup") is not None else ""
        made["user"] = f"{context['runAsUser']}{group}"
    if context.get("readOnlyRootFilesystem"):
        made["read_only"] = True
    if context.get("allowPrivilegeEscalation") is False:
        made["security_opt"] = ["no-new-privileges"]
    capabilities = context.get("capabilities") or {}
    for key, option in (("add", "cap_add"), ("drop", "cap_drop")):
        if capabilities.get(key):
            made[option] = [str(name) for name in capabilities[key]]
    return made
