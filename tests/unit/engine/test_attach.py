"""Detach keys: their syntax, and their recognition in what is typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.engine.attach import Detached, Relay, parse_detach_keys
from crate.engine.monitor import wire
from crate.errors import UsageError


@pytest.mark.parametrize(
    ("text", "keys"),
    [("ctrl-p,ctrl-q", b"\x10\x11"), ("a", b"a"), ("ctrl-a,b", b"\x01b"), ("ctrl-@", b"\x00"), ("", b"")],
)
def test_syntax(text: str, keys: bytes) -> None:
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-aa", "ctrl-1", "ab", ",", "ctrl-p,"])
def test_wrong_syntax(text: str) -> None:
    with pytest.raises(UsageError, match="detach keys"):
        parse_detach_keys(text)


def relay(keys: bytes) -> Relay:
    """A relay that reads nothing: only its keys are looked at."""
    ours, theirs = wire.pair()
    theirs.close()
    return Relay(ours, -1, stdin=True, terminal=True, detach_keys=keys, proxy_signals=False)


@given(st.lists(st.binary(max_size=6), max_size=8))
def test_everything_else_passes(chunks: list[bytes]) -> None:
    one = relay(b"\x10\x11")
    typed, passed = b"".join(chunks), b""
    try:
        for chunk in chunks:
            passed += one._without_detach_keys(chunk)
    except Detached:
        assert b"\x10\x11" in typed
    else:
        assert b"\x10\x11" not in typed
        assert passed + one._typed == typed


def test_a_key_that_only_begins_them_is_not_lost() -> None:
    one = relay(b"\x10\x11")
    assert one._without_detach_keys(b"\x10") == b""
    assert one._without_detach_keys(b"x") == b"\x10x"
