"""`crate network ls`: lists networks."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


_FIELDS = (("ID", "NETWORK ID"), ("Name", "NAME"), ("Driver", "DRIVER"))


def main(options: dict[str, Any]) -> int:
    """Prints one line a network."""
    import crate.engine
    from crate.cli import filters, formats, output
    from crate.engine.networks import verbs as networks

    engine = crate.engine.open(options["globals"])
    found = filters.networks(engine, options["filter"], networks.listing(engine))
    rows = [
        {
            "ID": str(record["id"]) if options["no_trunc"] else str(record["id"])[:12],
            "Name": record["name"],
            "Driver": record.get("driver", "bridge"),
            "Scope": "local",
            "IPv6": str(bool(record.get("ipv6"))).lower(),
            "Internal": str(bool(record.get("internal"))).lower(),
            "Labels": ",".join(f"{k}={v}" for k, v in sorted((record.get("labels") or {}).items())),
            "CreatedAt": record.get("created", ""),
            "Created": record.get("created", ""),
            "NetworkInterface": record.get("network_interface", ""),
            "DNSEnabled": str(bool(record.get("dns_enabled"))).lower(),
            "IPv6Enabled": str(bool(record.get("ipv6"))).lower(),
        }
        for record in found
    ]
    objects = [_object(record) for record in found]
    output.write(formats.listing(rows, _FIELDS, options, quiet="Name", objects=lambda: objects))
    return 0


def _object(record: dict[str, Any]) -> dict[str, Any]:
    """A network in podman's JSON; those without a record (host, none) have what there is of it."""
    keys = (
        "name", "id", "driver", "network_interface", "created", "subnets", "ipv6_enabled", "internal", "dns_enabled",
        "labels", "options", "ipam_options",
    )  # fmt: skip
    return {key: record[key] for key in keys if key in record}


def declare(app: Typer) -> None:
    from crate.cli.options import command, flag, many, text

    command(
        app,
        "ls",
        main,
        many("--filter", "-f", help='Provide filter values (e.g. "driver=bridge")', metavar="key=value"),
        text("--format", help='Format output using a Go template, "table TEMPLATE" or "json"', metavar="template"),
        flag("--no-trunc", help="Do not truncate the output"),
        flag("--quiet", "-q", help="Only display names"),
        flag("--noheading", help="Do not print the column headings"),
        help="List networks",
        examples="""
            crate network ls
        """,
    )
