"""The verbs on whole pods: each is the verb on a container, done to all of the pod's, the sandbox first or last."""

from __future__ import annotations

from crate.engine.pods import pod as pods
from crate.errors import CrateError, NotFoundError, StateError
from crate.storage import journal
from crate.storage import pods as store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

RUNNING = "removed without force: container state improper"


def _each(found: Iterable[Container], act: Callable[[Container], object]) -> None:
    """Does it to every one; failures do not stop the others, and are told together."""
    failures: list[CrateError] = []
    for container in found:
        try:
            act(container)
        except NotFoundError:
            continue  # a --rm container that has removed itself
        except CrateError as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise StateError("; ".join(str(failure) for failure in failures))


def _tell(engine: Engine, action: str, pod: pods.Pod) -> None:
    journal.record(engine.roots, "pod", action, pod.id, pod.name, attributes=pod.record["labels"])


def start(engine: Engine, pod: pods.Pod) -> None:
    """Starts the sandbox and every container that does not run."""
    from crate.engine.start import start as start_container

    sandbox = pods.ensure_sandbox(engine, pod)
    if sandbox and sandbox.state(engine)["status"] not in pods.RUNS:
        start_container(engine, sandbox)
    idle = [member for member in pod.others if member.state(engine)["status"] not in pods.RUNS]
    _each(idle, lambda member: start_container(engine, member))
    _tell(engine, "start", pod)


def stop(engine: Engine, pod: pods.Pod, timeout: int | None = None) -> None:
    """Asks the containers to end, side by side; then ends the sandbox."""
    from crate.engine import stop as stopping

    asked = {member.id: stopping.ask(engine, member, timeout) for member in pod.others}
    _each(pod.others, lambda member: stopping.stop(engine, member, timeout, None, asked[member.id]))
    if pod.sandbox:
        stopping.stop(engine, pod.sandbox)
    pods.remove_cgroup(pod)
    _tell(engine, "stop", pod)


def restart(engine: Engine, pod: pods.Pod, timeout: int | None = None) -> None:
    """Stops what runs, and starts everything."""
    stop(engine, pod, timeout)
    start(engine, pods.find(engine, pod.id))


def kill(engine: Engine, pod: pods.Pod, signal: str) -> None:
    """Sends the signal to every container that runs, to the sandbox last."""
    from crate.engine.kill import kill as kill_container
    from crate.engine.kill import signal_number
    from crate.engine.wait import await_end

    ends = signal_number(signal) == 9
    running = pod.running(engine)
    _each(sorted(running, key=pods.is_sandbox), lambda member: kill_container(engine, member, signal))
    for member in running if ends else ():
        await_end(member)
    _tell(engine, "kill", pod)


def pause(engine: Engine, pod: pods.Pod) -> None:
    """Freezes every container that runs."""
    from crate.engine.pause import pause as pause_container

    running = [member for member in pod.members if member.state(engine)["status"] == "running"]
    _each(running, lambda member: pause_container(engine, member))
    _tell(engine, "pause", pod)


def unpause(engine: Engine, pod: pods.Pod) -> None:
    """Lets every paused container go on."""
    from crate.engine.pause import unpause as unpause_container

    paused = [member for member in pod.members if member.state(engine)["status"] == "paused"]
    _each(paused, lambda member: unpause_container(engine, member))
    _tell(engine, "unpause", pod)


def remove(engine: Engine, pod: pods.Pod, *, force: bool = False, timeout: int | None = None) -> None:
    """Removes the pod with all its containers and their anonymous volumes.

    What runs beside the sandbox is an error; with `force` it is killed, after `timeout` seconds of asking.
    """
    from crate.engine.recovery.sweeping import sweep
    from crate.engine.remove import remove as remove_container

    for member in pod.others:
        status = member.state(engine)["status"]
        if status in pods.RUNS and not force:
            raise StateError(
                f"cannot remove pod {pod.name}: container {member.id} is {status} - running or paused containers "
                f"cannot be {RUNNING}"
            )
    if force:
        stop(engine, pod, timeout or 0)
    # The one that was made last may share something of an older one.
    _each(reversed(pod.others), lambda member: remove_container(engine, member, force=force, volumes=True))
    late = pods.load(engine, pod.record)
    if late.others:
        raise StateError(f"cannot remove pod {pod.name}: containers were added to it meanwhile", "try again")
    if late.sandbox:
        remove_container(engine, late.sandbox, force=True, volumes=True, with_pod=True)
    pods.remove_cgroup(pod)
    store.release(engine.roots, pod.id)
    _tell(engine, "remove", pod)
    sweep(engine.roots, str(engine.settings.get("containers.cgroup_parent") or "/crate"))


def prune(engine: Engine) -> list[str]:
    """Removes the pods whose containers have ended; gives their ids."""
    removed = []
    for pod in pods.listing(engine):
        if pod.status(engine) in ("Exited", "Stopped"):
            remove(engine, pod)
            removed.append(pod.id)
    return removed


def create(engine: Engine, options: dict[str, Any]) -> pods.Pod:
    """As pods.create, with --pod-id-file."""
    path = options.get("pod_id_file")
    if not path:
        return pods.create(engine, options)
    from crate.engine.id_file import write_with

    return write_with(path, "pod", lambda: pods.create(engine, options), lambda made: made.id)
