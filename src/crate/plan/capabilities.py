"""Which capabilities the container has: the default ones, --cap-add and --cap-drop, --privileged."""

from __future__ import annotations

from crate.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.plan.host import Host
    from crate.plan.shapes import Options
    from crate.settings import Settings


def make_capabilities(options: Options, host: Host, settings: Settings) -> list[str]:
    """`CAP_…` names. ALL is all that the host allows; an addition beats a drop of ALL, as in docker."""
    if options.get("privileged"):
        return _all(host)
    base: list[str] = settings.get("containers.capabilities")
    added, dropped = options.get("cap_add"), options.get("cap_drop")
    if not added and not dropped:
        return list(base)
    add = [_name(text, "CapAdd") for text in added or ()]
    drop = [_name(text, "CapDrop") for text in dropped or ()]
    if "ALL" in add and "ALL" in drop:
        raise UsageError("adding all caps and removing all caps not allowed")
    if "ALL" in add:
        return [name for name in _all(host) if name not in drop]
    kept = [] if "ALL" in drop else [name for name in base if name not in drop]
    kept += [name for name in add if name not in kept]
    allowed = _all(host)
    for name in add:
        if name not in allowed:
            raise HostError(
                f"cannot add capability {name}: it is not in the bounding set of this process",
                "start crate where the capability has not been dropped",
            )
    return kept


def _name(text: str, option: str) -> str:
    from crate.linux.capability import NUMBERS

    name = text.upper()
    if name == "ALL":
        return name
    name = name if name.startswith("CAP_") else f"CAP_{name}"
    if name not in NUMBERS:
        raise UsageError(f'invalid {option}: unknown capability: "{name}"')
    return name


def _all(host: Host) -> list[str]:
    from crate.linux.capability import NUMBERS

    bits = host.bounding()
    return [name for name, number in NUMBERS.items() if bits >> number & 1]
