"""Rates of traffic as people write them: `10mbit`, `1gbit:in`, `500kbps:out`; the units are those of tc(8)."""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DIRECTIONS = ("in", "out")
_MULTIPLES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"": 1, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
#: tc's units in bits a second: a bare number is bits, `bps` are bytes
_UNITS = {
    **{prefix + "bit": factor for prefix, factor in {**_MULTIPLES, **_BINARY}.items()},
    **{prefix + "bps": 8 * factor for prefix, factor in {**_MULTIPLES, **_BINARY}.items()},
    "": 1,
}
_LOWEST, _HIGHEST = 8_000, 10**13


def parse_rates(texts: Iterable[str]) -> dict[str, int]:
    """Bits a second by direction, seen from the container: `in`, `out`, or both for a rate without one.

    0 and `none` lift a rate; of several for a direction the last one counts. UsageError.
    """
    found = {}
    for text in texts:
        amount, colon, direction = text.partition(":")
        if colon and direction not in DIRECTIONS:
            raise UsageError(f"invalid rate {text}: unknown direction {direction}", "10mbit:in or 10mbit:out")
        bits = _bits(text, amount.strip().lower())
        for one in (direction,) if colon else DIRECTIONS:
            found[one] = bits
    return found


def _bits(text: str, amount: str) -> int:
    if amount == "none":
        return 0
    number = amount.rstrip("abcdefghijklmnopqrstuvwxyz")
    factor = _UNITS.get(amount[len(number) :])
    try:
        if factor is None or not number.isascii() or number.strip("0123456789."):
            raise ValueError
        bits = int(float(number) * factor)
    except ValueError:
        raise UsageError(f"invalid rate {text}", "a number and a unit: kbit, mbit, gbit, kbps, mbps") from None
    if bits and not _LOWEST <= bits <= _HIGHEST:
        raise UsageError(f"invalid rate {text}", "from 8kbit to 10tbit; 0 lifts it")
    return bits


def write_rates(rates: dict[str, int]) -> list[str]:
    """As `parse_rates` takes them, lifted ones included."""
    return [f"{rates[direction]}bit:{direction}" for direction in DIRECTIONS if direction in rates]
