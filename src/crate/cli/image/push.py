"""`crate push`: uploads images to registries, or writes them to directories and archives."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.engine.context import Engine


def main(options: dict[str, Any]) -> int:
    """Prints nothing but how it goes."""
    import crate.engine
    from crate.cli import progress
    from crate.errors import UsageError
    from crate.image import push

    if options["retry_delay"]:
        options["retry_delay"] = seconds(options["retry_delay"])
    engine = crate.engine.open(options["globals"])
    names = [options["image"]]
    if options["all_tags"]:
        if options["destination"]:
            raise UsageError("--all-tags and a destination exclude each other", "push one name after the other")
        names = push.repository_names(engine.roots, options["image"])
    for name in names:
        with progress.display(bool(options["quiet"])) as show:
            pushed = push.push(engine.roots, engine.settings, name, options["destination"], options, show)
        if options["sign_by"] or options["sign_by_sigstore_private_key"]:
            sign(engine, name, options, pushed.digest)
        if options["digestfile"]:
            with open(options["digestfile"], "w", encoding="ascii") as file:
                file.write(pushed.digest)
    return 0


def sign(engine: Engine, name: str, options: dict[str, Any], digest: str) -> None:
    """Signs what was pushed. UsageError where that is no registry's."""
    from crate.errors import UsageError
    from crate.image import departures, local
    from crate.image.trust import signing

    named = local.find_named(engine.roots, name)
    where = departures.parse(options["destination"] or (named and named[1]) or name)
    if where.is_local:
        raise UsageError("only what is pushed to a registry is signed", "push without --sign-by")
    signing.sign_pushed(engine.settings, where.reference, [digest], options)


def seconds(text: str) -> float:
    """`--retry-delay 2s`: a duration of Go, or seconds. UsageError."""
    from crate.errors import UsageError

    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}
    number = text.rstrip("msh")
    try:
        return float(number) * units[text[len(number) :]]
    except (ValueError, KeyError):
        raise UsageError(f'invalid duration "{text}" of --retry-delay', "for instance 2s") from None


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, number, text

    command(
        app,
        "push",
        main,
        argument("image", "IMAGE"),
        argument("destination", "[DESTINATION]", required=False),
        flag("--all-tags", "-a", help="Push all tags of the repository"),
        flag("--quiet", "-q", help="Suppress verbose output"),
        text("--platform", help="Push only if the image is for this platform", metavar="os/arch[/variant]"),
        text("--compression-format", help="gzip or zstd (default: as it is; what is plain by gzip)"),
        number("--compression-level", help="1 to 9 for gzip (default 2), 1 to 20 for zstd (default 3)"),
        flag("--force-compression", help="Compress again what has the format already"),
        flag("--compress", help="Compress layers that go into a directory or an archive"),
        text("--format", "-f", help="Manifest type: oci or v2s2 (default: the image's own)"),
        text("--digestfile", help="Write the digest of the pushed image to a file", metavar="path"),
        number("--retry", help="How often a failed request is sent again (default 4)"),
        text("--retry-delay", help="Wait before the first of them; the next waits are longer", metavar="duration"),
        flag("--tls-verify", help="Require HTTPS and verify certificates (default true)"),
        text("--authfile", help="Path of the authentication file", metavar="path"),
        text("--cert-dir", help="Directory with certificates and keys for the registry", metavar="path"),
        text("--creds", help="Name and password for the registry", metavar="name:password"),
        flag("--remove-signatures", help="Accepted: an image in the store has none"),
        flag("--disable-content-trust", help="Accepted for docker's scripts (default true)"),
        text("--sign-by", help="Sign it with a GPG key, into the lookaside of registries.d", metavar="key"),
        text("--sign-by-sigstore-private-key", help="Sign it with a key in PEM form, as cosign does", metavar="path"),
        text("--sign-passphrase-file", help="Read the key's passphrase from a file", metavar="path"),
        help="Upload an image to a registry",
        description="""
            DESTINATION is a name, also as docker://NAME, or one of dir:PATH, oci:PATH[:TAG], oci-archive:PATH[:TAG] and
            docker-archive:PATH[:NAME]. Without it the image goes to where its name says.

            Blobs that the registry has are not sent; those of another repository there are mounted. gzip levels up to
            3 are those of ISA-L, fast and about as dense as zlib's first; 4 to 9 are zlib's.
        """,
        examples="""
            crate push registry.example/web:1.2
            crate push web registry.example/team/web:1.2
            crate push --compression-format zstd web oci-archive:web.tar:1.2
        """,
    )
