"""--userns, --uidmap and --gidmap: the container's own user namespace."""

from __future__ import annotations

from crate.errors import UsageError
from crate.plan.refusal import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.oci.runtime_spec import LinuxIDMapping
    from crate.plan.shapes import Options
    from crate.settings import Settings


def make_mappings(options: Options, settings: Settings) -> tuple[list[LinuxIDMapping], list[LinuxIDMapping]]:
    """(uid mappings, gid mappings) as seen from the caller's user namespace; both empty where that is shared."""
    mode = options.get("userns") or settings.get("containers.userns")
    uids, gids = options.get("uidmap") or (), options.get("gidmap") or ()
    if uids or gids:
        if mode and mode != "private":
            raise UsageError("--userns and --uidmap/--gidmap are mutually exclusive")
        maps = [[_parse(option, text) for text in texts] for option, texts in (("uidmap", uids), ("gidmap", gids))]
        return maps[0] or maps[1], maps[1] or maps[0]
    if mode in ("", "host"):
        return [], []
    word = mode.partition(":")[0]
    if word in ("keep-id", "auto", "nomap", "container", "ns", "private"):
        raise UsageError(f"--userns {word} is not supported", "host is the only mode")
    raise UsageError("--userns: invalid USER mode", f"{mode!r} is not host")


def _parse(option: str, text: str) -> LinuxIDMapping:
    words = text.split(":")
    if len(words) not in (2, 3) or not all(word.isascii() and word.isdigit() for word in words):
        raise invalid(option, text, f"invalid mapping: {text}", "write it as CONTAINER_ID:HOST_ID:COUNT")
    numbers = [int(word) for word in (*words, "1")[:3]]
    if numbers[2] < 1 or max(numbers[0], numbers[1]) + numbers[2] > 1 << 32:
        raise invalid(option, text, f"invalid mapping: {text}: the ids are not within 0 to 4294967295")
    return {"containerID": numbers[0], "hostID": numbers[1], "size": numbers[2]}
