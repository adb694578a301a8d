"""`crate version`: the versions of crate and of what it stands on."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints a few lines, or through a template; one line for `crate --version`."""
    import crate
    from crate.cli import output

    if options.get("short"):
        output.line(f"crate version {crate.__version__}")
        return 0
    import os
    import sys
    import time

    from crate.cli import formats
    from crate.oci.platform import host

    architecture = host().architecture
    client = {
        "Version": crate.__version__,
        "Python": ".".join(str(part) for part in sys.version_info[:3]),
        "Kernel": os.uname().release,
        "Os": "linux",
        "Arch": architecture,
        "OsArch": f"linux/{architecture}",
        "APIVersion": crate.API_VERSION,
        "ApiVersion": crate.API_VERSION,
        "Built": crate.built(),
        "BuiltTime": time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(crate.built())),
        "GitCommit": "",
        "GoVersion": "",
        "KernelVersion": os.uname().release,
    }
    if options["format"] is not None:
        output.write(formats.one({"Client": client, "Server": client, **client}, options["format"], "version"))
        return 0
    shown = ("Version", "Version"), ("API Version", "APIVersion"), ("Python", "Python"), ("Kernel", "Kernel")
    lines = [(f"{title}:", str(client[key])) for title, key in (*shown, ("Built", "BuiltTime"), ("OS/Arch", "OsArch"))]
    output.write(formats.table(lines))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, text

    command(
        app,
        "version",
        main,
        text(
            "--format", "-f", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"
        ),
        flag("--short", help="Print one line", hidden=True),
        help="Show the version information",
        examples="""
            crate version
            crate version -f '{{.Client.Version}}'
        """,
    )
