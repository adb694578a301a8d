"""Points in time of --since and --until."""

from __future__ import annotations

import pytest

from crate.engine import moments
from crate.errors import UsageError

NOW = 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", NOW - 600 * 10**9),
        ("1h30m", NOW - 5400 * 10**9),
        ("1.5s", NOW - 1_500_000_000),
        ("1357133017", 1_357_133_017 * 10**9),
        ("1357133017.5", 1_357_133_017_500_000_000),
        ("2013-01-02T13:23:37Z", 1_357_133_017 * 10**9),
        ("2013-01-02T13:23:37.000000001Z", 1_357_133_017 * 10**9 + 1),
        ("2013-01-02T15:23:37+02:00", 1_357_133_017 * 10**9),
        ("2013-01-02Z", 1_357_084_800 * 10**9),
    ],
)
def test_forms(text: str, expected: int) -> None:
    assert moments.parse(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "10 m", "5x", "2013-13-01Z", "1..5s", "2013-01-02T13:23:37.xZ"])
def test_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid time"):
        moments.parse(text, NOW)
