"""`crate image sign`: signs images of registries with a GPG key."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints nothing."""
    import crate.engine
    from crate.errors import UsageError
    from crate.image.trust import signing

    if not options["sign_by"]:
        raise UsageError("no key to sign with was given", "--sign-by NAME of a key of `gpg --list-secret-keys`")
    engine = crate.engine.open(options["globals"])
    for name in options["images"]:
        signing.sign_images(engine.roots, engine.settings, name, options["sign_by"], options)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "sign",
        main,
        argument("images", "IMAGE [IMAGE...]", several=True),
        text("--sign-by", help="Name of the signing key", metavar="key"),
        text("--directory", "-d", help="Where signatures are kept, instead of registries.d's place", metavar="path"),
        flag("--all", "-a", help="Sign all manifests of an image for several platforms"),
        text("--sign-passphrase-file", help="Read the key's passphrase from a file", metavar="path"),
        text("--authfile", help="Path of the authentication file", metavar="path"),
        text("--cert-dir", help="Directory with certificates and keys for the registry", metavar="path"),
        text("--creds", help="Name and password for the registry", metavar="name:password"),
        flag("--tls-verify", help="Require HTTPS and verify certificates (default true)"),
        help="Sign an image of a registry",
        description="""
            The signature says that the manifest which the registry has under this name may be called so. It is kept in
            the lookaside that containers-registries.d(5) names for the registry.
        """,
        examples="""
            crate image sign --sign-by me@example.com docker://registry.example.com/app:1
        """,
    )
