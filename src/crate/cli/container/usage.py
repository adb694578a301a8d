"""What `crate stats` shows: the columns and fields, podman's and docker's names for them, again and again."""

from __future__ import annotations

from crate.cli import formats, human
from crate.engine.usage import stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.engine.usage.stats import Sample

_COLUMNS = (
    ("ID", "ID"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET IO"),
    ("BlockIO", "BLOCK IO"),
    ("PIDS", "PIDS"),
    ("UpTime", "CPU TIME"),
    ("AVGCPU", "AVG CPU %"),
)
#: of `pod stats`
_POD_COLUMNS = (
    ("Pod", "POD"),
    ("CID", "CID"),
    ("Name", "NAME"),
    ("CPU", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("Mem", "MEM %"),
    ("NetIO", "NET IO"),
    ("BlockIO", "BLOCK IO"),
    ("PIDS", "PIDS"),
)
_FURTHER = (
    ("AvgCPU", "AVG CPU"),
    ("BlockInput", "BLOCK INPUT"),
    ("BlockOutput", "BLOCK OUTPUT"),
    ("CPU", "CPU"),
    ("CPUNano", "CPU NANO"),
    ("CPUSystemNano", "CPU SYSTEM NANO"),
    ("Container", "CONTAINER"),
    ("ContainerID", "CONTAINER ID"),
    ("Duration", "DURATION"),
    ("MemLimit", "MEM LIMIT"),
    ("MemUsageBytes", "MEM USAGE / LIMIT"),
    ("NetInput", "NET INPUT"),
    ("NetOutput", "NET OUTPUT"),
    ("PIDs", "PIDS"),
    ("PerCPU", "PER CPU"),
    ("SystemNano", "SYSTEM NANO"),
    ("Up", "CPU TIME"),
)
#: docker's, of `{{json .}}`
_JSON = ("BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs")
#: podman's, of `json`
_OBJECT = {
    "id": "ID", "name": "Name", "cpu_time": "UpTime", "cpu_percent": "CPUPerc", "avg_cpu": "AVGCPU",
    "mem_usage": "MemUsage", "mem_percent": "MemPerc", "net_io": "NetIO", "block_io": "BlockIO", "pids": "PIDS",
}  # fmt: skip


_INTERVAL = 5  # podman's


def stream(
    engine: Engine,
    find: Callable[[], list[Container]],
    show: Callable[[list[Sample], dict[str, Sample]], str],
    options: dict[str, Any],
    endless: bool,
) -> None:
    """Writes what `show` makes of the samples of what `find` finds and those before, again and again.

    Once with `no_stream`; unless `endless`, until nothing is found any more. UsageError.
    """
    import os
    import time

    from crate.cli import output
    from crate.errors import NotFoundError, UsageError

    interval = _INTERVAL if options["interval"] is None else options["interval"]
    if interval < 1:
        raise UsageError("invalid interval, must be a positive number of seconds")
    former: dict[str, Sample] = {}
    clears = os.isatty(1) and not options["no_reset"] and not options["no_stream"]
    while True:
        samples = []
        for container in find():
            try:
                samples.append(stats.sample(engine, container))
            except NotFoundError:
                continue  # removed meanwhile
        output.write(("\x1b[H\x1b[2J" if clears else "") + show(samples, former))
        if options["no_stream"] or not (samples or endless):
            return
        former = {sample.container.id: sample for sample in samples}
        time.sleep(interval)


class _Entry:
    """A container on its way to a line: its sample and the one before."""

    __slots__ = ("before", "now", "shown_id", "shown_pod")

    def __init__(self, now: Sample, before: Sample | None, no_trunc: bool) -> None:
        self.now = now
        self.before = before
        length = None if no_trunc else 12
        self.shown_id = now.container.id[:length]
        self.shown_pod = str(now.container.record["options"].get("pod_id") or "")[:length]


def text(samples: list[Sample], former: dict[str, Sample], options: dict[str, Any]) -> str:
    """One picture of all; `former` are the samples of the picture before, by id."""
    entries = [_Entry(now, former.get(now.container.id), bool(options["no_trunc"])) for now in samples]
    rows = [formats.Row(entry, _FIELDS, _JSON) for entry in entries]

    def objects() -> list[dict[str, Any]]:
        return [{key: row[field] for key, field in _OBJECT.items()} for row in rows]

    return formats.listing(rows, _COLUMNS, options, further=_FURTHER, objects=objects)


def pod_text(samples: list[Sample], former: dict[str, Sample], options: dict[str, Any]) -> str:
    """The same for `pod stats`, whose templates have percentages by the names CPU and Mem."""
    fields = _FIELDS | {"CPU": _FIELDS["CPUPerc"], "Mem": _FIELDS["MemPerc"]}
    entries = [_Entry(now, former.get(now.container.id), bool(options["no_trunc"])) for now in samples]
    rows = [formats.Row(entry, fields, [name for name, _ in _POD_COLUMNS]) for entry in entries]
    return formats.listing(
        rows, _POD_COLUMNS, options, further=_FURTHER, objects=lambda: [row.complete() for row in rows]
    )


def _size(size_bytes: int) -> str:
    return human.size(size_bytes, 4)


def _percent(number: float) -> str:
    return f"{number:.2f}%"


def _pids(entry: _Entry) -> str:
    return "--" if entry.now.pids is None else str(entry.now.pids)


def _cpu_time(entry: _Entry) -> str:
    from crate.engine.usage.top import go_duration

    nanoseconds = entry.now.cpu_ns
    return f"{nanoseconds / 1e6:.6g}ms" if 0 < nanoseconds < 10**9 else go_duration(nanoseconds / 1e9)


_FIELDS: dict[str, Any] = {
    "AVGCPU": lambda entry: _percent(stats.cpu_percent(entry.now)),
    "AvgCPU": lambda entry: stats.cpu_percent(entry.now),
    "BlockIO": lambda entry: f"{_size(entry.now.block_in)} / {_size(entry.now.block_out)}",
    "BlockInput": lambda entry: entry.now.block_in,
    "BlockOutput": lambda entry: entry.now.block_out,
    "CPU": lambda entry: stats.cpu_percent(entry.now, entry.before),
    "CPUNano": lambda entry: entry.now.cpu_ns,
    "CPUPerc": lambda entry: _percent(stats.cpu_percent(entry.now, entry.before)),
    "CID": lambda entry: entry.shown_id,
    "CPUSystemNano": lambda entry: entry.now.system_ns,
    "Container": lambda entry: entry.shown_id,
    "ContainerID": lambda entry: entry.now.container.id,
    "ContainerStats": lambda entry: stats.described(entry.now),
    "Duration": lambda entry: entry.now.cpu_ns,
    "ID": lambda entry: entry.shown_id,
    "MemLimit": lambda entry: entry.now.limit,
    "MemPerc": lambda entry: _percent(stats.memory_percent(entry.now)),
    "MemUsage": lambda entry: f"{_size(entry.now.memory)} / {_size(entry.now.limit)}",
    "MemUsageBytes": lambda entry: f"{human.binary_size(entry.now.memory)} / {human.binary_size(entry.now.limit)}",
    "Name": lambda entry: entry.now.container.name,
    "NetIO": lambda entry: f"{_size(entry.now.net_in)} / {_size(entry.now.net_out)}",
    "NetInput": lambda entry: entry.now.net_in,
    "NetOutput": lambda entry: entry.now.net_out,
    "PIDS": _pids,
    "PIDs": _pids,
    "PerCPU": lambda entry: entry.now.per_cpu,
    "Pod": lambda entry: entry.shown_pod,
    "SystemNano": lambda entry: entry.now.time_ns,
    "Up": _cpu_time,
    "UpTime": _cpu_time,
}
