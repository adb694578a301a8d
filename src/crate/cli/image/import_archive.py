"""`crate import`: makes an image of a tar archive of a file system."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the ID of the image."""
    import crate.engine
    from crate.cli import output
    from crate.engine.files.commit import local_name
    from crate.image import importing

    engine = crate.engine.open(options["globals"])
    names = [local_name(options["reference"])] if options["reference"] else []
    image = importing.bring(engine.roots, options["source"], names, options)
    output.line(f"sha256:{image['id']}")
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many, text

    command(
        app,
        "import",
        main,
        argument("source", "FILE|URL|-"),
        argument("reference", "[REPOSITORY[:TAG]]", required=False),
        many("--change", "-c", help="Apply Dockerfile instruction to the created image", metavar="instruction"),
        text("--message", "-m", help="Set commit message for imported image"),
        text("--platform", help="Platform of the image", metavar="os/arch[/variant]"),
        text("--arch", help="Architecture of the image"),
        text("--os", help="Operating system of the image"),
        text("--variant", help="Variant of the architecture"),
        flag("--quiet", "-q", help="Accepted: crate shows no progress here"),
        help="Import the contents from a tarball to create a filesystem image",
        examples="""
            crate import rootfs.tar.xz base:1
            crate export web | crate import -c 'CMD ["sh"]' - flat
        """,
    )
