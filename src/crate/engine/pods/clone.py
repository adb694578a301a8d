"""`pod clone`: a pod like another one, with a container like each of its containers."""

from __future__ import annotations

from crate.engine.pods import pod as pods
from crate.engine.pods import verbs as pod_verbs
from crate.plan import pod as planning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

_SUFFIX = "-clone"
#: what the spec has as it was in force: whatever it was made of is not looked at again
_ENVIRONMENT = ("env_file", "env_host", "env_merge", "unsetenv", "unsetenv_all", "http_proxy")


def clone(engine: Engine, pod: pods.Pod, options: dict[str, Any]) -> pods.Pod:
    """The new pod. `options` are those of `pod create` that are to be others, `start` it, `destroy` the old one.

    Nothing is left behind by a failure; the old pod is touched last.
    """
    changed = planning.lasting_options(options)
    made = pods.create(
        engine,
        {
            **pod.record["options"],
            **changed,
            "name": options.get("name") or f"{pod.name}{_SUFFIX}",
            "infra_name": options.get("infra_name"),
            "create_command": options.get("create_command"),
        },
    )
    try:
        for member in pod.others:
            _clone_container(engine, member, made)
        if options.get("start"):
            pod_verbs.start(engine, pods.find(engine, made.id))
    except BaseException:
        pod_verbs.remove(engine, pods.find(engine, made.id), force=True, timeout=0)
        raise
    if options.get("destroy"):
        pod_verbs.remove(engine, pod, force=True)
    return made


def _clone_container(engine: Engine, member: Container, made: pods.Pod) -> None:
    from crate.engine.cloning import free_name, image_name
    from crate.engine.create import create
    from crate.engine.pods.members import apart

    own = {name: value for name, value in apart(engine, member).items() if name not in _ENVIRONMENT}
    if member.record["image"]:
        own["image"] = image_name(engine, member)
    own["name"] = free_name(engine, member.name)
    environment = (member.spec().get("process") or {}).get("env") or []
    own["env"] = [entry for entry in environment if not entry.startswith(("HOSTNAME=", "container="))]
    create(engine, {**own, "pod": made.id})
