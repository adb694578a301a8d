"""`crate image mount`: mounts the root file systems of images on the host, read-only."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints where each image is mounted; without images, those that are."""
    import crate.engine
    from crate.cli import mounting as shown
    from crate.cli import output
    from crate.engine.files import mounting
    from crate.errors import UsageError
    from crate.image import local
    from crate.storage import image_record

    shown.check_format(options["format"])
    if options["all"] and options["images"]:
        raise UsageError("when using the --all switch, you may not pass any image names or IDs")
    engine = crate.engine.open(options["globals"])
    mounting.check_place(engine, "image mount")
    chosen = [local.get(engine.roots, name) for name in options["images"] or ()]
    if options["all"]:
        chosen = sorted(image_record.list_all(engine.roots), key=lambda image: image["names"])
    if not chosen:
        output.write(shown.images(mounting.mounted_images(engine), options, False))
        return 0
    found = [(image, mounting.mount_image(engine, image)) for image in chosen]
    output.write(shown.images(found, options, not options["all"]))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "mount",
        main,
        argument("images", "[IMAGE...]", required=False, several=True),
        flag("--all", "-a", help="Mount all images"),
        text("--format", help="Print the mounted images in specified format (json)"),
        help="Mount an image's root filesystem",
        description="Without images, those that are mounted are listed. An ordinary user mounts inside of 'crate"
        " unshare'.",
        examples="""
            crate image mount alpine
            crate image mount
        """,
    )
