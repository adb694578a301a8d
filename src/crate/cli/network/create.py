"""`crate network create`: makes a network."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


_NO_SWARM = "crate has no swarm"
_REFUSED = {
    "config_only": _NO_SWARM,
    "config_from": _NO_SWARM,
    "ingress": _NO_SWARM,
    "aux_address": "keep addresses free with --ip-range",
    "ipam_opt": "addresses are chosen by --subnet, --gateway and --ip-range alone",
}


def main(options: dict[str, Any]) -> int:
    """Prints its name."""
    import crate.engine
    from crate.cli import output
    from crate.engine.networks import verbs as networks
    from crate.errors import UsageError

    for name, hint in _REFUSED.items():
        if options[name]:
            raise UsageError(f"--{name.replace('_', '-')} is not supported", hint)
    if options["scope"] not in (None, "local"):
        raise UsageError(f"--scope={options['scope']} is not supported", "networks of this host are local")
    engine = crate.engine.open(options["globals"])
    output.line(networks.create(engine, options))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, commas, flag, many, text

    command(
        app,
        "create",
        main,
        argument("name", "[NETWORK]", required=False),
        text("--driver", "-d", help="Driver of the network: bridge, macvlan, ipvlan, vxlan (default bridge)"),
        many("--subnet", help="Subnet in CIDR format, one of IPv4 and one of IPv6", metavar="subnet"),
        commas("--gateway", help="Address of the host in a subnet (default: its first one)", metavar="address"),
        many("--ip-range", help="Choose addresses from this part of a subnet", metavar="subnet|first-last"),
        flag("--ipv6", help="Give the network a subnet of IPv6, too"),
        flag("--ipv4", help="Give the network a subnet of IPv4 (default true)"),
        flag("--internal", help="No way out of the network, and none in"),
        flag("--disable-dns", help="Do not let containers find each other by name"),
        commas("--dns", help="Ask these servers for names that no container of the network has", metavar="address"),
        many("--route", help="Give containers a route", metavar="destination,gateway[,metric]"),
        many("--label", help="Set metadata on a network", metavar="key=value"),
        many(
            "--opt",
            "-o",
            help="Set driver specific options (mtu=, isolate=, rate=, parent=, vlan=, vni=, peers=)",
            metavar="key=value",
        ),
        flag("--ignore", help="Do not fail if the network exists already"),
        text("--interface-name", help="Name of the bridge, or of the parent interface", metavar="name"),
        text("--ipam-driver", help='How addresses are chosen: "host-local", or "none" for macvlan and ipvlan'),
        many("--ipam-opt", help="Refused", hidden=True),
        flag("--attachable", help="Accepted for docker's scripts", hidden=True),
        flag("--ingress", help="Refused: crate has no swarm", hidden=True),
        flag("--config-only", help="Refused: crate has no swarm", hidden=True),
        text("--config-from", help="Refused: crate has no swarm", hidden=True),
        many("--aux-address", help="Refused", hidden=True),
        text("--scope", help="Accepted for docker's scripts: local", hidden=True),
        help="Create a network",
        examples="""
            crate network create back
            crate network create --subnet 10.89.7.0/24 --ip-range 10.89.7.128/25 --ipv6 lab
            crate network create -d macvlan -o parent=eth0 --subnet 192.0.2.0/24 --ip-range 192.0.2.64/26 lan
            crate run -d --name db --network back redis
            crate run --rm --network back redis redis-cli -h db ping
        """,
    )
