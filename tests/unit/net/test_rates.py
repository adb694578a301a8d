"""Rates as tc(8) writes them."""

from __future__ import annotations

import pytest

from crate.errors import UsageError
from crate.net.rates import parse_rates, write_rates


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("10mbit", 10**7),
        ("1gbit", 10**9),
        ("500kbps", 4 * 10**6),
        ("64000", 64000),
        ("1.5Mbit", 1_500_000),
        ("1mibit", 1 << 20),
        ("8kbit", 8000),
        ("1000bps", 8000),
        ("0", 0),
        ("none", 0),
    ],
)
def test_units(text: str, bits: int) -> None:
    assert parse_rates([text]) == {"in": bits, "out": bits}
    assert parse_rates([text + ":in"]) == {"in": bits}


def test_the_last_one_of_a_direction_counts() -> None:
    assert parse_rates(["10mbit", "1mbit:out"]) == {"in": 10**7, "out": 10**6}
    assert parse_rates(["1mbit:out", "10mbit"]) == {"in": 10**7, "out": 10**7}
    assert parse_rates(write_rates({"in": 5 * 10**6, "out": 0})) == {"in": 5 * 10**6, "out": 0}


@pytest.mark.parametrize(
    "text", ["", "mbit", "10 mbits", "-1mbit", "1e3kbit", "10mbit:", "٣mbit", "1.2.3mbit", "1bit", "99tbps"]
)
def test_refusals(text: str) -> None:
    with pytest.raises(UsageError, match="invalid rate"):
        parse_rates([text])
