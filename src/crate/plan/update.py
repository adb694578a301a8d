"""New limits for a container that is there already: what `update` makes of its options and its resources."""

from __future__ import annotations

from crate.errors import UsageError
from crate.plan.resources import BLOCK_IO, CPU, MEMORY, make_resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.plan.host import Host
    from crate.plan.shapes import Options
    from crate.settings import Settings

#: section of the OCI resources -> the options that make it
_SECTIONS = {"memory": MEMORY, "cpu": CPU, "pids": ("pids_limit",), "blockIO": BLOCK_IO}


def make_update(
    options: Options,
    resources: dict[str, Any],
    given: Options,
    host: Host,
    settings: Settings,
    warnings: list[str],
) -> tuple[Options, dict[str, Any]]:
    """(the options as if `given` had been among them at first, the OCI resources of them).

    Sections that `given` does not touch stay what they are, whatever the settings are today. UsageError as for `run`.
    """
    merged = _merge(options, given)
    made = make_resources(merged, host, settings, warnings)
    after = dict(resources)
    for section, names in _SECTIONS.items():
        if any(given.get(name) is not None for name in names):
            after.pop(section, None)
            if section in made:
                after[section] = made[section]  # type: ignore[literal-required]
    return merged, after


def _merge(options: Options, given: Options) -> Options:
    merged = dict(options)
    asked = {name: value for name, value in given.items() if value is not None}
    if "cpus" in asked:
        for name in ("cpu_period", "cpu_quota"):
            merged.pop(name, None)
    elif options.get("cpus") and ("cpu_period" in asked or "cpu_quota" in asked):
        # What --cpus stands for, as podman keeps it: so that one of the two can be changed alone.
        from crate.plan.quantities import nano_cpus

        merged["cpu_period"], merged["cpu_quota"] = 100_000, nano_cpus("cpus", merged.pop("cpus")) // 10_000
    _check_swap(options, asked)
    for name, value in asked.items():
        merged[name] = _with_devices(options.get(name) or [], value) if isinstance(value, list) else value
    return merged


def _check_swap(options: Options, asked: Options) -> None:
    """Docker's words for a new limit above the old one of memory and swap together."""
    from crate.plan.quantities import size_bytes

    swap = options.get("memory_swap")
    if not asked.get("memory") or "memory_swap" in asked or swap is None or str(swap) == "-1":
        return
    if size_bytes("memory", asked["memory"]) > size_bytes("memory-swap", swap) > 0:
        raise UsageError(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )


def _with_devices(before: list[str], entries: list[str]) -> list[str]:
    """`/dev/sda:1mb`: a device that is named again has its last value, the others keep theirs."""
    again = {entry.partition(":")[0] for entry in entries}
    return [entry for entry in before if entry.partition(":")[0] not in again] + entries
