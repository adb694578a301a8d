"""`crate pull`: fetches images from registries."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.engine.context import Engine
    from crate.storage.image_record import ImageRecord


def main(options: dict[str, Any]) -> int:
    """Prints the ID of each image."""
    import crate.engine
    from crate.cli import output
    from crate.cli.image import push

    if options["retry_delay"]:
        options["retry_delay"] = push.seconds(options["retry_delay"])
    engine = crate.engine.open(options["globals"])
    for name in options["images"]:
        if not options["all_tags"]:
            output.line(fetch(engine, name, options, options["policy"] or "always")["id"])
            continue
        from crate.cli import progress
        from crate.image import pull

        with progress.display(bool(options["quiet"])) as show:
            records = pull.pull_tags(engine.roots, engine.settings, name, options, show)
        for record in records:
            output.line(record["id"])
    return 0


def fetch(engine: Engine, name: str, options: dict[str, Any], policy: str) -> ImageRecord:
    """Pulls one image where the policy says so, and shows how it goes; `quiet` shows nothing."""
    from crate.cli import progress
    from crate.errors import RegistryError
    from crate.image import pull

    with progress.display(bool(options["quiet"])) as show:
        try:
            return pull.ensure(engine.roots, engine.settings, name, policy, options, show)
        except RegistryError as error:
            # podman's words, which scripts look for
            error.message = f"initializing source docker://{name}: {error.message}"
            raise


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, number, text

    command(
        app,
        "pull",
        main,
        argument("images", "NAME[:TAG|@DIGEST] [NAME...]", several=True),
        flag("--all-tags", "-a", help="Download all tagged images in the repository"),
        flag("--quiet", "-q", help="Suppress verbose output"),
        text("--platform", help="Set platform if the image has several", metavar="os/arch[/variant]"),
        text("--arch", help="Architecture of the image instead of the machine's"),
        text("--os", help="Operating system of the image"),
        text("--variant", help="Variant of the architecture of the image"),
        text("--policy", help="always (default), missing, newer or never"),
        number("--retry", help="How often a failed request is sent again (default 4)"),
        text("--retry-delay", help="Wait before the first of them; the next waits are longer", metavar="duration"),
        flag("--tls-verify", help="Require HTTPS and verify certificates (default true)"),
        text("--authfile", help="Path of the authentication file", metavar="path"),
        text("--cert-dir", help="Directory with certificates and keys for the registry", metavar="path"),
        text("--creds", help="Name and password for the registry", metavar="name:password"),
        text("--signature-policy", help="Signature policy instead of the one in force", metavar="path"),
        flag("--disable-content-trust", help="Accepted for docker's scripts (default true)"),
        help="Download an image from a registry",
        examples="""
            crate pull alpine
            crate pull --platform linux/arm64 docker.io/library/nginx:1.27
        """,
    )
