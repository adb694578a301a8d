"""`crate commit`: makes an image of a container."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the ID of the image."""
    import crate.engine
    from crate.cli import output
    from crate.engine import containers
    from crate.engine.files import commit
    from crate.storage.durable import write_file

    engine = crate.engine.open(options["globals"])
    container = containers.find(engine, options["container"])
    image = commit.commit(engine, container, options["image"] or "", options)
    if options["iidfile"]:
        write_file(None, options["iidfile"], image, durable=False, mode=0o644)
    output.line(image)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many, text

    command(
        app,
        "commit",
        main,
        argument("container", "CONTAINER"),
        argument("image", "[REPOSITORY[:TAG]]", required=False),
        text("--author", "-a", help='Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")'),
        many("--change", "-c", help="Apply Dockerfile instruction to the created image", metavar="instruction"),
        text("--format", "-f", help="Manifest format of the image: oci (default) or docker"),
        text("--iidfile", help="Write the image ID to the file", metavar="path"),
        flag("--include-volumes", help="Make the container's volumes and binds volumes of the image"),
        text("--message", "-m", help="Commit message"),
        flag("--pause", "-p", help="Pause container while its files are copied (default false)"),
        flag("--quiet", "-q", help="Accepted: crate shows no progress here"),
        flag("--squash", "-s", help="Make one layer of the container's whole file system"),
        help="Create a new image from a container's changes",
        examples="""
            crate commit web web:patched
            crate commit -p -m 'with data' -c 'CMD ["serve"]' -c 'ENV MODE=test' job localhost/job:2
        """,
    )
