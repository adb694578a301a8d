"""The addresses of a wire between this host and one that a test makes, of the range for measurements (RFC 2544)."""

from __future__ import annotations

import ipaddress

_RANGE = ipaddress.ip_network("198.18.0.0/15")


def ends(mark: str) -> tuple[str, str]:
    """This host's end and the other one, in a /30 of its own; `mark`: at least four random hexadecimal digits."""
    first = _RANGE[4 * (int(mark[:4], 16) % (_RANGE.num_addresses // 4))]
    return str(first + 1), str(first + 2)
