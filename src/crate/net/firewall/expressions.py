"""The expressions that nf_tables rules are made of, those that more than one table of ours uses."""

from __future__ import annotations

from crate.linux.netlink import attribute
from crate.net.firewall.messages import nested, number, text

#: register 1 holds 16 bytes
REG_1 = 1
META_L4PROTO = 16
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
_CSUM_INET = 1


def expression(name: str, *parts: bytes) -> bytes:
    """One expression, by the kernel's name for it."""
    return nested(1, text(1, name), nested(2, *parts))


def meta(key: int, register: int = REG_1) -> bytes:
    """Puts what the kernel knows about a packet into a register."""
    return expression("meta", number(2, key), number(1, register))


def payload(base: int, offset: int, size: int, register: int = REG_1) -> bytes:
    """Puts bytes of a header into a register."""
    return expression("payload", number(1, register), number(2, base), number(3, offset), number(4, size))


def set_payload(value: bytes, base: int, offset: int, checksum_offset: int) -> bytes:
    """Overwrites bytes of a header, and keeps its checksum right."""
    place = number(2, base), number(3, offset), number(4, len(value))
    checksum = number(6, _CSUM_INET), number(7, checksum_offset)
    loaded = expression("immediate", number(1, REG_1), nested(2, attribute(1, value)))
    return loaded + expression("payload", *place, number(5, REG_1), *checksum)


def compare(value: bytes, *, equal: bool = True) -> bytes:
    """The rule goes on when register 1 holds these bytes, or others."""
    return expression("cmp", number(1, REG_1), number(2, 0 if equal else 1), nested(3, attribute(1, value)))
