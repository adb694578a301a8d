"""`kube play` and `kube down`: the pods and volumes that Kubernetes objects describe."""

from __future__ import annotations

import os

from crate.engine import create as creating
from crate.engine import volumes
from crate.engine.pods import pod as pods
from crate.engine.pods import verbs as pod_verbs
from crate.errors import NotFoundError
from crate.plan import kube as planning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from crate.engine.context import Engine
    from crate.plan.kube import PlannedPod

    Document = Mapping[str, Any]


def play(engine: Engine, documents: Sequence[Document], options: dict[str, Any], show: Callable[[str], object]) -> None:
    """Makes and starts what the objects describe; `show` gets podman's lines. A pod that fails leaves nothing behind.

    All of it is planned before anything is made. UsageError, NameInUseError, and whatever `create` raises.
    """
    claims = [planning.make_claim(one) for one in documents if planning.kind_of(one) == "PersistentVolumeClaim"]
    plans = [planning.make_pod(one, options) for one in documents if one["kind"] != "PersistentVolumeClaim"]
    for claim in claims:
        show(f"Volume:\n{volumes.create(engine, claim)}\n")
    for plan in plans:
        if engine.warn:
            for text in plan.warnings:
                engine.warn(text)
        pod, members = _make(engine, plan, bool(options.get("replace")))
        if options.get("start") is not False:
            pod_verbs.start(engine, pods.find(engine, pod.id))
        title = "Containers" if len(members) > 1 else "Container"
        show(f"Pod:\n{pod.id}\n{title}:\n" + "".join(f"{member}\n" for member in members))


def _make(engine: Engine, plan: PlannedPod, replace: bool) -> tuple[pods.Pod, list[str]]:
    for path in plan.directories:
        os.makedirs(path, mode=0o755, exist_ok=True)
    pod = pods.create(engine, {**plan.pod, "replace": replace})
    try:
        members = [creating.create(engine, {**options, "pod": pod.id}) for options in plan.containers]
    except BaseException:
        pod_verbs.remove(engine, pods.find(engine, pod.id), force=True)
        raise
    return pod, members


def down(engine: Engine, documents: Sequence[Document], force: bool, show: Callable[[str], object]) -> None:
    """Stops and removes the pods of these names, and their temporary volumes; with `force` the claimed ones too."""
    gone, names = [], []
    for document in documents:
        if planning.kind_of(document) == "PersistentVolumeClaim":
            names += [planning.name_of(document)] if force else []
            continue
        plan = planning.make_pod(document, {})
        names += plan.volumes
        try:
            pod = pods.find(engine, planning.name_of(document))
        except NotFoundError:
            continue
        pod_verbs.stop(engine, pod)
        pod_verbs.remove(engine, pods.find(engine, pod.id), force=True)
        gone.append(pod.id)
    lines = "".join(f"{identifier}\n" for identifier in gone)
    show(f"Pods stopped:\n{lines}Pods removed:\n{lines}")
    for name in names:
        try:
            volumes.remove(engine, name)
        except NotFoundError:
            continue
