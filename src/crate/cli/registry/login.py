"""`crate login`: keeps credentials for a registry that takes them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.oci.reference import Reference
    from crate.registry.credentials import Credentials
    from crate.settings import Settings


def main(options: dict[str, Any]) -> int:
    """Prints whether the registry takes them, or with --get-login the user's name."""
    import crate.engine
    from crate.cli import output
    from crate.cli.registry import asking
    from crate.errors import UsageError
    from crate.registry import credentials, logins
    from crate.registry.credentials import Credentials

    asking.check(options)
    settings = crate.engine.open(options["globals"]).settings
    registry = logins.registry_of(options["registry"] or logins.default_registry())
    name, authfile = logins.key_of(registry), options["authfile"]
    if authfile and options["get_login"] and not os.path.exists(authfile):
        raise UsageError(f"cannot read {authfile}: no such file")
    known = Credentials()
    if not authfile or os.path.exists(authfile):
        known = credentials.find(registry, authfile)
    if options["get_login"]:
        if not known.user:
            raise UsageError(f"not logged into {name}")
        output.line(known.user)
        return 0
    password = asking.given_password(options)
    is_bare = options["username"] is None and password is None
    if is_bare and known.user and _still_good(registry, settings, known, options):
        return 0
    user = options["username"] or asking.user(known.user)
    tried = Credentials(user, asking.password() if password is None else password)
    logins.check(registry, settings, tried, options)
    used = logins.store(registry, tried, authfile)
    if options["verbose"]:
        output.line(f"Used:  {used}")
    output.line("Login Succeeded!")
    return 0


def _still_good(registry: Reference, settings: Settings, known: Credentials, options: dict[str, Any]) -> bool:
    from crate.cli import output
    from crate.registry import logins
    from crate.registry.failure import Refused

    name = logins.key_of(registry)
    output.line(f"Authenticating with existing credentials for {name}")
    try:
        logins.check(registry, settings, known, options)
    except Refused:
        output.line("Existing credentials are invalid, please enter valid username and password")
        return False
    output.line(f"Existing credentials are valid. Already logged in to {name}")
    return True


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "login",
        main,
        argument("registry", "[REGISTRY]", required=False),
        text("--username", "-u", help="Username"),
        text("--password", "-p", help="Password or access token; others on this host can see it"),
        flag("--password-stdin", help="Take the password from stdin"),
        text("--authfile", help="Path of the authentication file", metavar="path"),
        flag("--get-login", help="Print the user who is logged in"),
        flag("--tls-verify", help="Require HTTPS and verify certificates (default true)"),
        text("--cert-dir", help="Directory with certificates and keys for the registry", metavar="path"),
        flag("--verbose", "-v", help="Tell where the credentials are kept"),
        help="Log in to a registry",
        description="""
            Credentials are kept where podman and skopeo look for them: $REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json,
            else auth.json in $XDG_RUNTIME_DIR/containers (/run/containers/UID), which a reboot clears. A credential
            helper that the file names (credsStore, credHelpers) gets them instead. Without REGISTRY it is Docker Hub.
        """,
        examples="""
            crate login registry.example:5000
            crate login -u me --password-stdin quay.io < token
            crate login --authfile ~/.docker/config.json -u me ghcr.io
        """,
    )
