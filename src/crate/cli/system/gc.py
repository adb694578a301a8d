"""`crate gc`, `crate system gc`: makes the store small enough, by what was used last the longest ago."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.engine.gc import Candidate


def main(options: dict[str, Any]) -> int:
    """0; also where what may go is not enough, which is said on standard error."""
    import time

    import crate.engine
    from crate.cli import human, output
    from crate.cli.image.users import users
    from crate.engine import gc
    from crate.errors import UsageError
    from crate.plan.quantities import size_bytes

    if options["keep"] is None:
        raise UsageError("how large may the store be?", "crate gc --keep 20G")
    keep = size_bytes("--keep", options["keep"])
    engine = crate.engine.open(options["globals"])
    plan = gc.Plan(engine, users(engine), keep)
    gone = plan.chosen if options["dry_run"] else plan.run()
    if not options["quiet"]:
        verb = "would remove" if options["dry_run"] else "removed"
        for one in gone:
            output.line(f"{verb}  {_line(one, time.time())}")
    freed = sum(one.freed for one in gone)
    left = plan.before - freed
    word = "Total reclaimable space" if options["dry_run"] else "Total reclaimed space"
    output.line(f"{word}: {human.size(freed, 4)}; the store has {human.size(left, 4)} of {human.size(keep, 4)}")
    if left > keep and plan.is_held:
        output.warn("Warning: images and layers stay while a build, pull or load is under way: try again later")
    elif left > keep:
        output.warn("Warning: the rest is used by containers, or lies in volumes with names")
    return 0


def _line(one: Candidate, now: float) -> str:
    from crate.cli import human, output

    why = f"last used {human.span(max(0.0, now - one.last_use)).lower()} ago" if one.last_use else "nothing needs it"
    shown = one.name if len(one.name) <= 60 else f"{one.name[:59]}…"
    return output.one_line(f"{one.kind:<11}  {one.id[:12]:<12}  {human.size(one.freed):>7}  {shown}  ({why})")


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, text

    command(
        app,
        "gc",
        main,
        text("--keep", help="How large the store may be: 20G, 500M", metavar="bytes"),
        flag("--dry-run", "-n", help="Print what would be removed, and why; remove nothing"),
        flag("--quiet", "-q", help="Print the sum only"),
        help="Remove what was used last the longest ago until the store is small enough",
        description="""
            Images, layers, the cache of builds and anonymous volumes without a container are taken together, the one
            that was used least recently first. What a container uses stays, and so do volumes with names, and all
            images while a build or pull is under way. An image is used by run, create and build, and when it is
            pulled, loaded or made.
        """,
        examples="""
            crate gc --keep 20G
            crate gc --keep 5G --dry-run
        """,
    )
