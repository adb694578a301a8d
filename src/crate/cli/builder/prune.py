"""`crate builder prune`: removes what the cache of builds keeps."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, whether something was removed or not."""
    import time

    import crate.engine
    from crate.build import pruning
    from crate.cli import human, output
    from crate.cli import pruning as prunes
    from crate.cli.image.users import users
    from crate.oci import moment
    from crate.plan.quantities import size_bytes

    prunes.check(options, ("until",))
    until = None
    for given in options["filter"] or ():
        until = moment.parse(given.partition("=")[2], time.time_ns()) / 1e9
    keep = options["keep_storage"] or options["reserved_space"] or options["max_used_space"]
    keep_bytes = size_bytes("keep-storage", keep) if keep else 0
    which = "all build cache" if options["all"] else "all dangling build cache"
    if not prunes.confirm(options, f"This will remove {which}."):
        return 0
    engine = crate.engine.open(options["globals"])
    everything = bool(options["all"])
    removed, freed = pruning.prune(
        engine.roots, users(engine).layers, everything=everything, keep_bytes=keep_bytes, until=until
    )
    if removed:
        output.write("ID\tSIZE\tLAST USED\n")
    for item in removed:
        output.line(
            f"{item.id[:25]}\t{human.size(item.size, 4)}\t{human.ago(int(item.last_used * 1e9), time.time_ns())}"
        )
    output.line(f"Total:\t{human.size(freed, 4)}")
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, many, text

    command(
        app,
        "prune",
        main,
        flag("--all", "-a", help="Remove also what images share, and the directories of RUN --mount=type=cache"),
        flag("--force", "-f", help="Do not prompt for confirmation"),
        many("--filter", help="Remove only what was not used since: until=24h", metavar="until=time"),
        text("--keep-storage", help="Keep so much of what was used last", metavar="bytes"),
        text("--reserved-space", help="As --keep-storage", metavar="bytes"),
        text("--max-used-space", help="As --keep-storage", metavar="bytes"),
        help="Remove the build cache",
        examples="""
            crate builder prune --keep-storage 5g
            crate builder prune -af --filter until=168h
        """,
    )
