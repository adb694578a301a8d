"""Sizes, durations and lists of numbers, by docker's own examples and by properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.errors import UsageError
from crate.plan.number_list import parse_number_list
from crate.plan.quantities import duration_ns, integer, nano_cpus, size_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("32", 32),
        ("32b", 32),
        ("32B", 32),
        ("32k", 32 << 10),
        ("32KB", 32 << 10),
        ("32Kib", 32 << 10),
        ("32 kib", 32 << 10),
        ("32Mb", 32 << 20),
        ("32GiB", 32 << 30),
        ("32T", 32 << 40),
        ("1p", 1 << 50),
        ("32.5kB", 33280),
        ("0.3 K", 307),
        (".3kB", 307),
        ("0.", 0),
        ("1.0", 1),
    ],
)
def test_size(text: str, expected: int) -> None:
    assert size_bytes("memory", text) == expected


NO_SIZES = ["", "hello", "-32", ".3.kB", "32bm", "32kbi", "32 m b", "1e3", "0x10", " 32 ", "\u0661"]


@pytest.mark.parametrize("text", NO_SIZES)
def test_no_size(text: str) -> None:
    with pytest.raises(UsageError):
        size_bytes("memory", text)


@given(st.text(max_size=8))
def test_any_text_is_a_size_or_refused(text: str) -> None:
    try:
        assert 0 <= size_bytes("memory", text) < 1 << 63
    except UsageError as error:
        assert '"-m, --memory"' in error.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("5s", 5_000_000_000),
        ("1.5h", 5_400_000_000_000),
        ("1h15m30.5s", 4_530_500_000_000),
        ("-1.5h", -5_400_000_000_000),
        ("300ms", 300_000_000),
        ("7us", 7_000),
        ("7µs", 7_000),
        ("10ns", 10),
    ],
)
def test_duration(text: str, expected: int) -> None:
    assert duration_ns("health-interval", text) == expected


@pytest.mark.parametrize("text", ["", "3", "-", "s", ".", "-.", ".s", "3x", "3.3.3s", "1h 2m"])
def test_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="time: "):
        duration_ns("health-interval", text)


@given(st.integers(min_value=-(1 << 70), max_value=1 << 70))
def test_integer_of_64_bits(number: int) -> None:
    if -(1 << 63) <= number < 1 << 63:
        assert integer("pids-limit", str(number)) == number
    else:
        with pytest.raises(UsageError, match="value out of range"):
            integer("pids-limit", str(number))


@given(st.integers(min_value=0, max_value=1 << 20))
def test_integer_of_16_bits(number: int) -> None:
    if number < 1 << 16:
        assert integer("blkio-weight", number, 16, signed=False) == number
    else:
        with pytest.raises(UsageError, match=r"strconv\.ParseUint: .*value out of range"):
            integer("blkio-weight", number, 16, signed=False)


def test_nano_cpus() -> None:
    assert nano_cpus("cpus", "1.5") == 1_500_000_000
    assert nano_cpus("cpus", ".01") == 10_000_000
    assert nano_cpus("cpus", "0.000000001") == 1
    assert nano_cpus("cpus", "2") == 2_000_000_000
    assert nano_cpus("cpus", "-1") == -1_000_000_000


@given(st.sets(st.integers(min_value=0, max_value=300), min_size=1))
def test_number_list(numbers: set[int]) -> None:
    assert parse_number_list(",".join(str(number) for number in numbers)) == numbers


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-1", "1,,2", "99999", "1-2-3", "0-99999999999"])
def test_no_number_list(text: str) -> None:
    assert parse_number_list(text) is None


def test_number_list_with_ranges() -> None:
    assert parse_number_list("0-2,7, 9-9") == {0, 1, 2, 7, 9}
