"""The texts of a container's /etc/hostname, /etc/hosts and /etc/resolv.conf, by docker's rules; it writes nothing."""

from __future__ import annotations

from crate.errors import UsageError
from crate.net.addresses import parse_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

ETC_RESOLV_CONF = "/etc/resolv.conf"
#: where systemd-resolved lists the servers behind its stub on 127.0.0.53
RESOLVED_RESOLV_CONF = "/run/systemd/resolve/resolv.conf"
#: what docker takes when every server of the host is a loopback address, which is another machine in a container
FALLBACK_SERVERS = ("8.8.8.8", "8.8.4.4")
FALLBACK_SERVERS6 = ("2001:4860:4860::8888", "2001:4860:4860::8844")
#: where the owner of a sandbox answers with the names of its networks, as docker does
NAMES_ADDRESS = "127.0.0.11"
HOST_GATEWAY = "host-gateway"
#: names of the host as podman and docker desktop give them
_HOST_NAMES = "host.containers.internal host.docker.internal"
_LOCALHOST = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


def hostname_text(hostname: str) -> str:
    """The text of /etc/hostname."""
    return f"{hostname}\n"


def read_host_file(path: str) -> str:
    """A file of the host, or nothing where the host has no such file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def parse_add_host(text: str) -> tuple[str, str]:
    """`--add-host name:address` (or `name=address`) as name and address; the address may be `host-gateway`.

    Several names may be joined by `;`, as podman allows. UsageError for anything else.
    """
    separator = "=" if "=" in text.partition(":")[0] else ":"
    names, found, address = text.partition(separator)
    if not found or not names or not address or any(not name or name.split() != [name] for name in names.split(";")):
        raise UsageError(f"invalid --add-host {text}", "write it as name:address")
    if address == HOST_GATEWAY:
        return names.replace(";", " "), address
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    try:
        parse_address(address)
    except UsageError:
        raise UsageError(f"invalid IP address in --add-host {text}") from None
    return names.replace(";", " "), address


def hosts_text(
    hostname: str,
    *,
    domainname: str = "",
    name: str = "",
    addresses: Sequence[str] = (),
    add_host: Sequence[str] = (),
    host_gateway: str = "",
    host_file: str | None = None,
) -> str:
    """The text of /etc/hosts.

    `addresses` are the container's own (none: its name is 127.0.0.1), `name` its name, which follows its host name, as
    in podman; `host_gateway` is where the container reaches the host; `host_file` is the host's text, which the modes
    that share the host's network start from.
    """
    text = _LOCALHOST if host_file is None else host_file
    if text and not text.endswith("\n"):
        text += "\n"
    for given in add_host:
        names, address = parse_add_host(given)
        if address == HOST_GATEWAY:
            if not host_gateway:
                raise UsageError(
                    f"cannot resolve --add-host {given}: this network has no address of the host",
                    "give an address instead of host-gateway",
                )
            address = host_gateway
        text += f"{address}\t{names}\n"
    if host_file is not None:
        return text
    if host_gateway:
        text += f"{host_gateway}\t{_HOST_NAMES}\n"
    own_names = f"{hostname}.{domainname} {hostname}" if domainname else hostname
    if "." in hostname and not domainname:
        own_names = f"{hostname} {hostname.partition('.')[0]}"
    if name:
        own_names += f" {name}"
    for address in addresses or ("127.0.0.1",):
        text += f"{address}\t{own_names}\n"
    return text


def host_resolv_conf(etc: str = ETC_RESOLV_CONF, resolved: str = RESOLVED_RESOLV_CONF) -> str:
    """The host's resolv.conf; that of systemd-resolved when the host asks only resolved's stub."""
    text = read_host_file(etc)
    if _values(text, "nameserver") == ["127.0.0.53"]:
        return read_host_file(resolved) or text
    return text


def resolv_conf_text(
    host_text: str,
    *,
    dns: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    shares_host_network: bool = False,
    ipv6: bool = False,
    forwarder: str = "",
    names: str = "",
) -> str | None:
    """The text of /etc/resolv.conf; None for `--dns none`, which leaves the image's file alone.

    What is given replaces the host's servers, search list or options; `--dns-search .` empties the list.
    `forwarder` is an address that pasta or slirp4netns answer DNS on, asked before the host's servers. `names` is
    the one that answers with the names of networks, and asks whatever else is to be asked itself.
    Without the host's network, its loopback servers are left out, and IPv6 servers where the container has none.
    """
    if list(dns) == ["none"]:
        return None
    for server in dns:
        parse_address(server.partition("%")[0])
    servers = [names] if names else list(dns)
    if not servers:
        servers = _values(host_text, "nameserver")
        if not shares_host_network:
            servers = [server for server in servers if _is_reachable(server, ipv6)]
            if forwarder:
                servers.insert(0, forwarder)
            servers = servers or [*FALLBACK_SERVERS, *(FALLBACK_SERVERS6 if ipv6 else ())]
    searched = list(search) or _values(host_text, "search", last=True) or _values(host_text, "domain", last=True)
    if searched == ["."]:
        searched = []
    chosen = list(options) or _values(host_text, "options")
    if names and not any(option.startswith("ndots:") for option in options):
        # As docker: a name of one word is asked for as it is, and before any with a domain of the search list.
        chosen = [option for option in chosen if not option.startswith("ndots:")] + ["ndots:0"]
    lines = [f"nameserver {server}" for server in servers]
    if searched:
        lines.append("search " + " ".join(searched))
    if chosen:
        lines.append("options " + " ".join(chosen))
    return "\n".join(lines) + "\n" if lines else ""


def _values(text: str, keyword: str, last: bool = False) -> list[str]:
    """The words of all lines of a keyword; with `last` those of the last line alone (resolv.conf(5))."""
    values: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if words and words[0] == keyword:
            given = words[1:2] if keyword == "nameserver" else words[1:]
            values = given if last else values + given
    return values


def _is_reachable(server: str, ipv6: bool) -> bool:
    address, _, zone = server.partition("%")
    try:
        packed = parse_address(address)
    except UsageError:
        return False
    if len(packed) == 4:
        return packed[0] != 127
    return ipv6 and not zone and packed != bytes(15) + b"\1"
