"""The values of --network beyond none, host and the default bridge, and which options do not go with which mode."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.plan.shapes import Attachment, NetworkRequest, Options

_DISCARDED = "Port mappings have been discarded as one of the Host, Container, Pod, and None network modes are in use"
_SOLE = ("none", "host", "slirp4netns", "pasta")
_KEYS = {"ip": "ip", "ip6": "ip6", "mac": "mac", "mac-address": "mac", "interface_name": "interface"}
_INTERFACE_MAX = 15  # IFNAMSIZ without its NUL
_LABEL_MAX = 63  # RFC 1035
_INTERFACES_TAKEN = ("lo", "all", "default", ".", "..")
_ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def apply_modes(request: NetworkRequest, modes: list[str]) -> None:
    """Enters `--network` values: `container:ID`, `ns:PATH`, `pasta[:options]`, networks by name with their settings.

    A network is written `NAME`, `NAME:ip=ADDRESS,alias=…` (podman) or `name=NAME,alias=…` (docker). The request has one
    attachment, to the default network, with what --ip, --mac-address and --network-alias say.
    """
    (given,) = request["networks"]
    attachments = []
    for mode in modes:
        word, colon, rest = mode.partition(":")
        if word in ("container", "ns", *_SOLE) and (colon or word in _SOLE):
            if len(modes) > 1:
                raise UsageError(f"conflicting options: cannot attach both user-defined networks and --network {mode}")
            _apply_sole(request, word, rest)
            return
        attachment = _attachment(mode, given["network"])
        attachment["aliases"] = [*given["aliases"], *attachment["aliases"]]
        attachments.append(attachment)
    first = attachments[0]
    names = [attachment["network"] for attachment in attachments]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"cannot attach a container to network {name} twice", f"give --network {name} once")
    if len(attachments) > 1 and (given["ip"] or given["ip6"]):
        raise UsageError("--ip can only be set for a single network", "write it as --network NAME:ip=ADDRESS")
    for attachment in attachments if "rates" in given else ():
        attachment.setdefault("rates", given["rates"])  # that of the network itself goes before
    for key in ("ip", "ip6", "mac"):
        first[key] = first[key] or given[key]
    request["networks"] = attachments


def _apply_sole(request: NetworkRequest, word: str, rest: str) -> None:
    request["mode"] = word
    if word in ("pasta", "slirp4netns"):
        request["networks"][0]["network"] = ""
    else:
        request["networks"] = []
    if word == "container":
        if not rest:
            raise UsageError("invalid container format container:<name|id>")
        request["container"] = rest
    elif word == "ns":
        if not rest.startswith("/"):
            raise UsageError(f"invalid --network ns:{rest}: the path of a network namespace is absolute")
        request["path"] = rest
    elif rest:
        if word not in ("slirp4netns", "pasta"):
            raise UsageError(f"invalid --network {word}:{rest}: {word} takes no options")
        request["options"] = rest


def _attachment(text: str, default: str) -> Attachment:
    name, _, rest = text.partition(":")
    pairs = rest.split(",") if rest else []
    if "=" in name:
        name, pairs = "", text.split(",")
    attachment: Attachment = {"network": name, "ip": "", "ip6": "", "mac": "", "aliases": [], "interface": ""}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if key == "name" and not name:
            attachment["network"] = value
        elif key == "alias" and value:
            attachment["aliases"].append(value)
        elif key == "rate" and value:
            attachment.setdefault("rates", []).append(value)
        elif key in _KEYS and value:
            attachment["ip6" if key == "ip" and ":" in value else _KEYS[key]] = value  # type: ignore[literal-required]
        elif not equals or not value:
            raise UsageError(f'invalid --network "{text}": invalid field "{pair}" must be a key=value pair')
        else:
            raise UsageError(f'invalid --network "{text}": unexpected key {key}')
    name = attachment["network"]
    if name in ("default", "bridge", ""):
        if not name:
            raise UsageError(f'invalid --network "{text}": the name of the network is missing')
        attachment["network"] = default
    elif name[0] not in _ALNUM or name.strip(_ALNUM + "_.-"):
        raise UsageError(f'invalid --network "{text}"', "none, host, bridge, container:ID, ns:PATH or a network's name")
    return attachment


def check_attachment(attachment: Attachment) -> None:
    """The form of addresses, aliases and an interface's name; whether they are free the network tells. UsageError."""
    from _socket import AF_INET, AF_INET6, inet_pton

    for option, family in (("ip", AF_INET), ("ip6", AF_INET6)):
        address: str = attachment[option]  # type: ignore[literal-required]
        if not address:
            continue
        try:
            inet_pton(family, address)
        except OSError:
            version = "IPv4" if option == "ip" else "IPv6"
            raise UsageError(f"invalid {version} address: {address}") from None
    for alias in attachment["aliases"]:
        labels = alias.split(".")
        if alias.strip(_ALNUM + "_.-") or not all(0 < len(label) <= _LABEL_MAX for label in labels) or len(alias) > 253:
            raise UsageError(
                f'invalid network alias "{alias}"', "letters, digits, - and _, in parts of 63 characters between dots"
            )
    interface = attachment["interface"]
    if interface in _INTERFACES_TAKEN:
        raise UsageError(f"invalid interface name: {interface}", "the kernel has that name for something else")
    if len(interface) > _INTERFACE_MAX or "/" in interface or interface.split() not in ([], [interface]):
        raise UsageError(f"invalid interface name: {interface}", f"at most {_INTERFACE_MAX} characters, without blanks")
    mac = attachment["mac"]
    if mac:
        parts = mac.replace("-", ":").split(":")
        if len(parts) != 6 or not all(len(part) == 2 and _is_hexadecimal(part) for part in parts):
            raise UsageError(f"{mac} is not a valid mac address", "write it as 92:d0:c6:0a:29:33")
        if int(parts[0], 16) & 1:
            raise UsageError(f"{mac} is not a valid mac address: it is a multicast address")
        attachment["mac"] = ":".join(part.lower() for part in parts)


def _is_hexadecimal(text: str) -> bool:
    return not text.strip("0123456789abcdefABCDEF")


def settle_conflicts(options: Options, request: NetworkRequest, given: Attachment) -> list[str]:
    """Refuses what has no meaning without a network of one's own, in docker's words; gives the warnings."""
    mode = request["mode"]
    warnings = []
    if given["aliases"]:
        raise UsageError("network-scoped alias is supported only for containers in user defined networks")
    if given["ip"] or given["ip6"]:
        raise UsageError("user specified IP address is supported on user defined networks only")
    if given.get("rates"):
        raise UsageError("conflicting options: network-rate and the network mode", "only networks have rates")
    if given["mac"] and mode in ("host", "container", "ns"):
        raise UsageError("conflicting options: mac-address and the network mode")
    if mode == "container":
        if request["ports"]:
            raise UsageError("conflicting options: port publishing and the container type network mode")
        if options.get("expose"):
            raise UsageError("conflicting options: port exposing and the container type network mode")
        if options.get("hostname"):
            raise UsageError("conflicting options: hostname and the network mode")
        if options.get("dns") or options.get("dns_search") or options.get("dns_option"):
            raise UsageError("conflicting options: dns and the network mode")
        if options.get("add_host"):
            raise UsageError("conflicting options: custom host-to-IP mapping and the network mode")
    elif request["ports"]:
        if mode == "host":
            warnings.append(_DISCARDED)
        request["ports"] = []
    return warnings
