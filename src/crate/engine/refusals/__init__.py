"""`--diagnose`: which call of a container's program was refused, by which rule, and which option would allow it.

tracer.py    the process crate:tracer, which sees every call of the container end
tracee.py    what a stopped process says of itself: identity, memory, where a path of its leads
calls.py     what the calls are about: their path, their capability, the words for their arguments
rules.py     from a refused call to the rule that refused it, in order
netlink.py   refusals that come as a message, as to `ip link add`
files.py     the rules of files: modes, owners, mounts, masks, devices
report.py    the distinct refusals with their counts, and the file that they are kept in
"""

from __future__ import annotations

import os

from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.engine.refusals.rules import Judge
    from crate.engine.refusals.tracer import Tracing

_NOTHING = {"refusals": [], "more": 0, "ended": False}


def begin(engine: Engine, container: Container, spec: dict[str, Any], pid: int) -> int:
    """Starts the tracer of a container whose init was just born; gives the tracer's pid. HostError."""
    from crate.engine.refusals.report import NAME, Report
    from crate.engine.refusals.tracer import Tracing

    found = Report(f"{container.paths.files}/{NAME}")
    found.write(ended=False)  # in place of that of a former run
    tracing = Tracing(_judge(engine, container, spec, spec["process"]), found, is_init=True)
    return tracing.pid if tracing.seize(pid) else 0


def begin_exec(engine: Engine, container: Container, spec: dict[str, Any], process: dict[str, Any]) -> Tracing:
    """Starts the tracer of a process that is about to enter."""
    from crate.engine.refusals.report import Report
    from crate.engine.refusals.tracer import Tracing

    return Tracing(_judge(engine, container, spec, process), Report(), is_init=False)


def end_exec(tracing: Tracing) -> dict[str, Any]:
    """Waits for the end of the process that entered, which this one has yet to reap; gives the report."""
    text = tracing.await_report()
    report: dict[str, Any] = json.loads(text) if text else _NOTHING
    return report


def _judge(engine: Engine, container: Container, spec: dict[str, Any], process: dict[str, Any]) -> Judge:
    from crate.engine.refusals.rules import Judge
    from crate.runtime.seccomp import compiled

    seccomp = (spec.get("linux") or {}).get("seccomp")
    program = compiled(seccomp, f"{engine.roots.graphroot}/cache/seccomp") if seccomp else None
    return Judge(engine, container, spec, process, program)


def end(tracer: int, files: str) -> dict[str, Any]:
    """Waits for the tracer of a container that has ended, a child of this process; gives its report."""
    from crate.engine.refusals.report import read

    try:
        os.waitpid(tracer, 0)
    except ChildProcessError:
        pass
    return read(files) or _NOTHING
