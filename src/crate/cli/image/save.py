"""`crate save`: writes images to an archive."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """0."""
    import crate.engine
    from crate.cli import destination
    from crate.errors import UsageError
    from crate.image import save
    from crate.image.wanted import wanted_platform

    form = options["format"] or "docker-archive"
    if form not in (*save.ARCHIVES, *save.DIRECTORIES):
        raise UsageError(f'unknown format "{form}"', f"one of: {', '.join((*save.ARCHIVES, *save.DIRECTORIES))}")
    engine = crate.engine.open(options["globals"])
    chosen = save.find(engine.roots, options["images"], wanted_platform(options))
    if form in save.DIRECTORIES:
        if not options["output"]:
            raise UsageError(f"--format {form} wants a directory", "name it by --output")
        save.save(engine.roots, chosen, form, str(options["output"]), options)
    else:
        destination.write(options["output"], "save", lambda fd: save.save(engine.roots, chosen, form, fd, options))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "save",
        main,
        argument("images", "IMAGE [IMAGE...]", several=True),
        text("--format", help="docker-archive (default), oci-archive, oci-dir or docker-dir"),
        text("--output", "-o", help="Write to a file, instead of STDOUT", metavar="path"),
        text("--platform", help="Save only if the image is for this platform", metavar="os/arch[/variant]"),
        flag("--multi-image-archive", "-m", help="Accepted: several images are always saved together"),
        flag("--quiet", "-q", help="Accepted: crate shows no progress here"),
        flag("--compress", help="Compress plain layers with gzip (docker-dir only)"),
        flag("--uncompressed", help="Save layers without compression"),
        text("--signature-policy", help="Accepted for podman's scripts", metavar="path", hidden=True),
        help="Save one or more images to a tar archive (streamed to STDOUT by default)",
        examples="""
            crate save -o web.tar nginx
            crate save nginx redis | ssh other crate load
        """,
    )
