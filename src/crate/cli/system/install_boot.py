"""`crate system install-boot`: has the host start containers at its boot."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints what was written or removed; with --print, what would be."""
    import crate.engine
    from crate.cli import output
    from crate.engine.recovery import boot_unit
    from crate.errors import UsageError

    if options["print"] and options["uninstall"]:
        raise UsageError("--print and --uninstall cannot be used together")
    engine = crate.engine.open(options["globals"])
    unit = boot_unit.unit(engine, options["globals"], options["by"] or "", options["directory"] or "")
    if options["print"]:
        output.write(unit.text)
    elif options["uninstall"]:
        for line in unit.remove():
            output.line(line)
    else:
        for line in unit.install():
            output.line(line)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, text

    command(
        app,
        "install-boot",
        main,
        flag("--uninstall", help="Take it away again"),
        flag("--print", help="Only print what would be written"),
        text("--by", help='What starts it ("systemd", "cron"; default: systemd where it runs)', metavar="program"),
        text("--directory", help="Directory of the systemd unit instead of the usual one", metavar="path"),
        help="Start containers after a boot, as their restart policies want it",
        description="""
            Writes a unit of systemd, or where there is none a line for cron, that calls `crate start --boot`: for root
            one of the system, for an ordinary user one of that user's own (which needs `loginctl enable-linger`).
        """,
        examples="""
            crate system install-boot
            crate system install-boot --print
            crate system install-boot --uninstall
        """,
    )
