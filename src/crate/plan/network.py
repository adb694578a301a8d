"""What the container asks of the network, and what its /etc/hosts and /etc/resolv.conf are made of."""

from __future__ import annotations

from crate.errors import UsageError
from crate.plan.refusal import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.plan.host import Host
    from crate.plan.shapes import Attachment, Files, NetworkRequest, Options
    from crate.settings import Settings

_BRIDGE = ("", "default", "bridge", "private")
_HOSTNAME_MAX = 64  # HOST_NAME_MAX


def make_network(
    options: Options, config: Mapping[str, Any], host: Host, settings: Settings, container_id: str
) -> tuple[NetworkRequest, list[str]]:
    """(the request of `net.sandbox`, warnings)."""
    given = options.get("network")
    modes = [given] if isinstance(given, str) else list(given or ())
    attachment: Attachment = {
        "network": settings.get("network.default"),
        "ip": options.get("ip") or "",
        "ip6": options.get("ip6") or "",
        "mac": options.get("mac_address") or "",
        "aliases": list(options.get("network_alias") or ()),
        "interface": "",
    }
    if options.get("network_rate"):
        attachment["rates"] = list(options["network_rate"])
    request: NetworkRequest = {"mode": "bridge", "networks": [attachment], "ports": [], "hostname": ""}
    if modes and (len(modes) > 1 or modes[0] not in _BRIDGE):
        from crate.plan.network_modes import apply_modes

        apply_modes(request, modes)
    if modes or any(attachment[key] for key in ("ip", "ip6", "mac", "aliases")):
        from crate.plan.network_modes import check_attachment

        for one in request["networks"] or (attachment,):
            check_attachment(one)
    if options.get("network_rate") or any("rates" in one for one in request["networks"]):
        from crate.net.rates import parse_rates

        for one in request["networks"]:
            parse_rates(one.get("rates") or ())  # a wrong one is refused before anything is made
    if options.get("publish") or options.get("publish_all") or options.get("expose"):
        from crate.plan.ports import make_ports

        request["ports"] = make_ports(options, config)
    warnings: list[str] = []
    if request["mode"] in ("host", "container", "none", "ns"):
        from crate.plan.network_modes import settle_conflicts

        warnings = settle_conflicts(options, request, attachment)
    request["hostname"] = _hostname(options, request, host, container_id)
    return request, warnings


def _hostname(options: Options, request: NetworkRequest, host: Host, container_id: str) -> str:
    """--hostname, else the host's where its UTS or network namespace is shared, else twelve digits of the id."""
    given = options.get("hostname")
    if options.get("pod_hostname"):
        return str(options["pod_hostname"])
    if given:
        if options.get("uts") == "host":
            raise UsageError("conflicting options: hostname and the UTS mode")
        if len(given) > _HOSTNAME_MAX or not (given.isascii() and given.isprintable()) or " " in given or "/" in given:
            raise UsageError(f'invalid hostname "{given}"', f"at most {_HOSTNAME_MAX} characters, without blanks")
        return str(given)
    if options.get("uts") == "host" or request["mode"] == "host":
        return host.hostname
    return container_id[:12]


def make_files(options: Options, request: NetworkRequest, settings: Settings) -> Files:
    """What the files of /etc are to say. The addresses are put in by who knows them."""
    add_host: list[str] | None = list(options.get("add_host") or ())
    if options.get("no_hosts"):
        if add_host:
            raise UsageError("--no-hosts and --add-host cannot be set together")
        add_host = None
    if add_host:
        from crate.net.files import parse_add_host

        for entry in add_host:
            parse_add_host(entry)  # the text of /etc/hosts is made from it later: too late for a refusal
    servers = options.get("dns")
    for server in servers or ():
        if server != "none":
            _check_server(server)
    if servers and "none" in servers and len(servers) > 1:
        raise UsageError("invalid --dns: none cannot be combined with a server")
    search, resolver = options.get("dns_search"), options.get("dns_option")
    return {
        "hostname": request["hostname"],
        "domainname": options.get("domainname") or "",
        "hosts": add_host,
        "dns": list(settings.get("network.dns") if servers is None else servers),
        "dns_search": list(settings.get("network.dns_search") if search is None else search),
        "dns_options": list(settings.get("network.dns_options") if resolver is None else resolver),
    }


def _check_server(server: str) -> None:
    from _socket import AF_INET, AF_INET6, inet_pton

    try:
        inet_pton(AF_INET6 if ":" in server else AF_INET, server.partition("%")[0])
    except OSError:
        raise invalid("dns", server, f"{server} is not an ip address") from None
