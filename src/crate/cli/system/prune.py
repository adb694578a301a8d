"""`crate system prune`: removes what nobody uses, of every kind."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0, whether something was removed or not."""
    import crate.engine
    from crate.cli import pruning
    from crate.errors import UsageError

    pruning.check(options)
    if options["volumes"] and any(text.startswith("until") for text in options["filter"] or ()):
        raise UsageError('the "until" filter is not supported with "--volumes"', "leave one of them away")
    if not pruning.confirm(options, _warning(options)):
        return 0
    engine = crate.engine.open(options["globals"])
    pruned = pruning.Pruned()
    pruning.pods(engine, options, pruned)
    pruning.containers(engine, options, pruned)
    pruning.networks(engine, options, pruned)
    if options["volumes"]:
        pruning.volumes(engine, options, pruned, named=False)
    pruning.images(engine, options, pruned)
    if not options["filter"]:
        pruning.cache(engine, options, pruned)
    pruned.show()
    return 0


def _warning(options: dict[str, Any]) -> str:
    kinds = ["all stopped containers and pods", "all networks not used by at least one container"]
    if options["volumes"]:
        kinds.append("all anonymous volumes not used by at least one container")
    if options["all"]:
        kinds.append("all images without at least one container associated with them")
    else:
        kinds.append("all dangling images")
    if not options["filter"]:
        kinds.append("all build cache" if options["all"] else "all dangling build cache")
    text = "This will remove:\n" + "".join(f"  - {kind}\n" for kind in kinds)
    if options["filter"]:
        text += "\n  Items to be pruned will be filtered with:\n"
        text += "".join(f"  - {given}\n" for given in options["filter"])
    return text


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, many

    command(
        app,
        "prune",
        main,
        flag("--all", "-a", help="Remove all images without a container, not just those without a name"),
        flag("--volumes", help="Remove anonymous volumes that no container uses, too"),
        flag("--force", "-f", help="Do not prompt for confirmation"),
        flag("--external", help="Accepted for podman's scripts: no other program's data is touched", hidden=True),
        many("--filter", help="Remove only what matches (until=, label=)", metavar="key=value"),
        help="Remove unused data",
        description="Containers that do not run, ended pods, networks and images that no container uses, build cache.",
        examples="""
            crate system prune
            crate system prune -af --volumes
        """,
    )
