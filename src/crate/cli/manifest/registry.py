"""The options that commands of `crate manifest` share: of registries, and what a list tells of an image; cold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crate.cli.options import commas, flag, many, text

if TYPE_CHECKING:
    from crate.cli.options import Row


def access(options: dict[str, Any]) -> dict[str, Any]:
    """The options with docker's `--insecure` in podman's word."""
    return {**options, "tls_verify": False} if options["insecure"] else options


def rows() -> list[Row]:
    """How a registry is asked."""
    return [
        text("--authfile", help="Path of the authentication file", metavar="path"),
        text("--cert-dir", help="Directory with certificates and keys for the registry", metavar="path"),
        text("--creds", help="Name and password for the registry", metavar="name:password"),
        flag("--tls-verify", help="Require HTTPS and verify certificates (default true)"),
        flag("--insecure", help="docker's word for --tls-verify=false"),
    ]


def told_rows() -> list[Row]:
    """What is told of an entry."""
    return [
        text("--arch", help="Architecture of the image", metavar="architecture"),
        text("--os", help="Operating system of the image"),
        text("--os-version", help="Version of the operating system", metavar="version"),
        commas("--os-features", help="Features of the operating system", metavar="feature"),
        commas("--features", help="Features of the processor", metavar="feature"),
        text("--variant", help="Variant of the architecture"),
        many("--annotation", help="Annotation of the image in the list", metavar="key=value"),
    ]
