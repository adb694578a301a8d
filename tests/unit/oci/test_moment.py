"""Points in time as text."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.errors import UsageError
from crate.oci import moment

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
        ("2013-01-02 15:23:37.25+02:00", 1_357_133_017_250_000_000),
        ("2013-01-02T08:23-05:00", 1_357_132_980 * 10**9),
        ("2013-01-02Z", 1_357_084_800 * 10**9),
        ("2012-02-29Z", 1_330_473_600 * 10**9),
        ("-5s", NOW + 5 * 10**9),
    ],
)
def test_forms(text: str, expected: int) -> None:
    assert moment.parse(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "10 m",
        "5x",
        "2013-13-01Z",
        "1..5s",
        "2013-01-02T13:23:37.xZ",
        "2013-02-29",
        "2013-1-2",
        "99999999-01-01",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid time"):
        moment.parse(text, NOW)


def test_without_a_zone_it_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert moment.parse("2013-07-02T13:00:00", NOW) == moment.parse("2013-07-02T13:00:00+02:00", NOW)
        assert moment.parse("2013-01-02", NOW) == moment.parse("2013-01-01T23:00:00Z", NOW)
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.datetimes(timezones=st.just(UTC)))
def test_the_calendar_is_datetimes(when: datetime) -> None:
    wanted = (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert moment.created(when.isoformat()) == moment.created(when.isoformat().replace("+00:00", "Z")) == wanted


@pytest.mark.parametrize("text", ["", "never", "yesterday", "2020-13", "5", "2020-01-01T", "2020-01-01T1:00"])
def test_what_is_no_moment(text: str) -> None:
    assert moment.created(text) == 0


def test_durations() -> None:
    assert moment.duration("1h0.5ms2us1ns") == 3600 * 10**9 + 502_001
    assert moment.duration("-1m") == -60 * 10**9 and moment.duration("5") is None and moment.duration("-") is None
