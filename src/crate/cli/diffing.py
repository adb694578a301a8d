"""How the `diff` commands show changes: a line each, or podman's JSON."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_JSON = (("changed", "C"), ("added", "A"), ("deleted", "D"))


def main(options: dict[str, Any], kinds: tuple[str, ...] = ("container", "image")) -> int:
    """0."""
    import crate.engine
    from crate.cli import output, targets
    from crate.engine.files import diff
    from crate.errors import UsageError
    from crate.oci import json

    if options["format"] not in (None, "json"):
        raise UsageError("only supported value for '--format' is 'json'")
    engine = crate.engine.open(options["globals"])
    names = list(options["names"] or ())
    if options.get("latest"):
        names.insert(0, targets.latest(engine).id)
    if not names or len(names) > 2:
        raise UsageError("one or two containers or images are to be compared", "crate diff CONTAINER")
    found = diff.diff(engine, *names, kinds=kinds)
    if options["format"] == "json":
        lists = {key: [path for kind, path in found if kind == letter] for key, letter in _JSON}
        output.line(json.pretty({key: paths for key, paths in lists.items() if paths}, 5))
    else:
        output.write("".join(f"{kind} {output.one_line(path)}\n" for kind, path in found))
    return 0
