"""`crate rmi`, `crate image rm`: removes images, or names of images."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints what was untagged and deleted. 0, or the gravest of 1 (no such image), 2 (in use) and 125."""
    import crate.engine
    from crate.cli import app, output
    from crate.cli.image.users import users
    from crate.errors import CrateError, UsageError
    from crate.image import remove

    names, force = options["images"] or [], bool(options["force"])
    if options["all"] and names:
        raise UsageError("when using the --all switch, you may not pass any images names or IDs")
    if not options["all"] and not names:
        raise UsageError("image name or ID must be specified")
    engine = crate.engine.open(options["globals"])
    if options["platform"]:
        from crate.image import wanted

        for name in names:
            wanted.check(engine.roots, name, options)
    if options["all"]:
        removals, failures = remove.remove_all(engine.roots, users(engine), force=force)
    else:
        ignore, prune = force or bool(options["ignore"]), not options["no_prune"]
        removals, failures = remove.remove(engine.roots, names, users(engine), force=force, prune=prune, ignore=ignore)
    lines = [f"Untagged: {name}" for removal in removals for name in removal.untagged]
    for line in [*lines, *(f"Deleted: {removal.id}" for removal in removals if removal.deleted)]:
        output.line(line)
    if len(failures) > 1:  # together, as podman tells them
        together = CrateError(f"{len(failures)} errors occurred:")
        together.detail = "\n".join(f"  * {failure}" for failure in failures)
        app.report(together)
    for failure in failures if len(failures) == 1 else ():
        app.report(failure)
    return remove.exit_status(failures)


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "rmi",
        main,
        argument("images", "IMAGE [IMAGE...]", required=False, several=True),
        flag("--force", "-f", help="Force removal of the image, and of the containers that use it"),
        flag("--no-prune", help="Do not delete untagged parents"),
        flag("--all", "-a", help="Remove all images"),
        text("--platform", help="Remove the image only if it is of this platform", metavar="os/arch[/variant]"),
        flag("--ignore", "-i", help="Ignore images that do not exist"),
        help="Remove one or more images",
        examples="""
            crate rmi alpine:3.20
            crate rmi -f alpine
        """,
    )
