"""`crate image unmount`: takes the mounts of `crate image mount` away."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the IDs of the images that were mounted."""
    import crate.engine
    from crate.cli import output
    from crate.engine.files import mounting
    from crate.errors import NotFoundError, UsageError
    from crate.image import local

    if bool(options["all"]) == bool(options["images"]):
        raise UsageError("image name or ID must be specified, or --all")
    engine = crate.engine.open(options["globals"])
    mounting.check_place(engine, "image unmount")
    chosen = []
    for name in options["images"] or ():
        image = local.find(engine.roots, name)
        if image is None:
            raise NotFoundError(f"{name}: image not known")
        chosen.append(image["id"])
    if options["all"]:
        chosen = [image["id"] for image, _ in mounting.mounted_images(engine)]
    for image_id in chosen:
        if mounting.unmount_image(engine, image_id):
            output.line(image_id)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "unmount",
        main,
        argument("images", "IMAGE [IMAGE...]", required=False, several=True),
        flag("--all", "-a", help="Unmount all images"),
        flag("--force", "-f", help="Accepted: a mount is always taken away"),
        help="Unmount an image's root filesystem",
        examples="""
            crate image unmount alpine
            crate image umount --all
        """,
    )
