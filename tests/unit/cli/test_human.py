"""Sizes, spans and times in docker's words (the cases of github.com/docker/go-units)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.cli import human
from crate.oci import moment as parsed

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "Less than a second"),
        (0.45, "Less than a second"),
        (1, "1 second"),
        (45, "45 seconds"),
        (46.5, "46 seconds"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (90, "About a minute"),
        (3 * MINUTE, "3 minutes"),
        (35 * MINUTE + 40, "35 minutes"),
        (40 * MINUTE + 59, "40 minutes"),
        (HOUR, "About an hour"),
        (HOUR + 29 * MINUTE, "About an hour"),
        (HOUR + 31 * MINUTE, "2 hours"),
        (3 * HOUR, "3 hours"),
        (24 * HOUR, "24 hours"),
        (36 * HOUR, "36 hours"),
        (2 * DAY, "2 days"),
        (7 * DAY, "7 days"),
        (13 * DAY + 5 * HOUR, "13 days"),
        (2 * 7 * DAY, "2 weeks"),
        (2 * 7 * DAY + 4 * DAY, "2 weeks"),
        (3 * 7 * DAY, "3 weeks"),
        (2 * 30 * DAY, "2 months"),
        (23 * 30 * DAY, "23 months"),
        (2 * 365 * DAY, "2 years"),
        (24 * 30 * DAY + 364 * DAY, "2 years"),
        (10 * 365 * DAY, "10 years"),
    ],
)
def test_span(seconds: float, words: str) -> None:
    assert human.span(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (1024, "1.02kB"),
        (7_340_000, "7.34MB"),
        (117_482_901, "117MB"),
        (10**9, "1GB"),
        (1.5e12, "1.5TB"),
        (1e30, "1e+06YB"),
    ],
)
def test_size(size: float, words: str) -> None:
    assert human.size(size) == words


def test_binary_size() -> None:
    assert [human.binary_size(n) for n in (0, 1023, 1024, 128 << 20, 3 << 29)] == [
        "0B",
        "1023B",
        "1KiB",
        "128MiB",
        "1.5GiB",
    ]


@given(st.integers(0, 2**33), st.integers(0, 10**9 - 1))
def test_moments_go_and_come(seconds: int, fraction: int) -> None:
    moment = seconds * 10**9 + fraction
    text = human.rfc3339(moment)
    if moment:
        assert parsed.created(text) == moment
        assert text.startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)))


def test_zero_time_is_gos() -> None:
    assert human.rfc3339(0) == "0001-01-01T00:00:00Z"
