"""`crate manifest push`: uploads a manifest list and its images."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the digest that the list has in the registry."""
    import crate.engine
    from crate.cli import output, progress
    from crate.cli.manifest import registry
    from crate.image.manifest import list as manifest_list
    from crate.image.manifest import push as manifest_push
    from crate.image.trust import signing
    from crate.oci import reference as references
    from crate.storage import manifest_lists

    engine = crate.engine.open(options["globals"])
    given = registry.access(options)
    found = manifest_list.get(engine.roots, options["list"])
    where = options["destination"] or next(iter(manifest_lists.names(engine.roots, found["id"])), options["list"])
    with progress.display(bool(options["quiet"])) as show:
        pushed = manifest_push.push(engine.roots, engine.settings, options["list"], options["destination"], given, show)
    listed = [str(entry["digest"]) for entry in pushed.value["manifests"]]
    signing.sign_pushed(
        engine.settings, references.parse(where.removeprefix("docker://")), [pushed.digest, *listed], given
    )
    if options["digestfile"]:
        with open(options["digestfile"], "w", encoding="ascii") as file:
            file.write(pushed.digest)
    if options["rm"]:
        manifest_lists.remove(engine.roots, found["id"])
    output.line(pushed.digest)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.manifest import registry
    from crate.cli.options import argument, command, flag, number, text

    command(
        app,
        "push",
        main,
        argument("list", "MANIFEST_LIST"),
        argument("destination", "[DESTINATION]", required=False),
        flag("--all", help="Push the images of the list too (default true)"),
        flag("--rm", "--purge", "-p", help="Remove the list when it was pushed"),
        flag("--quiet", "-q", help="Suppress verbose output"),
        text("--format", "-f", help="Manifest type: oci or v2s2 (default: the list's own)"),
        text("--digestfile", help="Write the digest of the pushed list to a file", metavar="path"),
        text("--compression-format", help="gzip or zstd (default: as it is; what is plain by gzip)"),
        number("--compression-level", help="1 to 9 for gzip (default 2), 1 to 20 for zstd (default 3)"),
        flag("--remove-signatures", help="Accepted: an image in the store has none"),
        text("--sign-by", help="Sign the list and its images with a GPG key", metavar="key"),
        text("--sign-by-sigstore-private-key", help="Sign them with a key in PEM form", metavar="path"),
        text("--sign-passphrase-file", help="Read the key's passphrase from a file", metavar="path"),
        *registry.rows(),
        help="Push a manifest list and its images to a registry",
        examples="""
            crate manifest push web:1 docker://registry.example/web:1
        """,
    )
