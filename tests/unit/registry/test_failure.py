"""Failures in crate's words: foreign text made harmless, causes found without reading messages."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError, ProtocolError

from crate.registry import failure


@given(st.text())
def test_foreign_words_are_one_printable_line(text: str) -> None:
    shown = failure.printable(text)
    assert shown.isprintable()
    assert len(shown) <= 303


def test_escape_sequences_of_a_terminal_do_not_pass() -> None:
    assert failure.printable("a\x1b[2Jb\r\nc") == "a [2Jb c"


def _wrapped(reason: Exception) -> requests.ConnectionError:
    return requests.ConnectionError(MaxRetryError(None, "/v2/", reason))  # type: ignore[arg-type]


def _refused(number: int) -> Exception:
    made = NewConnectionError(None, "no matter")  # type: ignore[arg-type]
    made.__cause__ = OSError(number, "no matter")
    return made


def _reset() -> Exception:
    return ConnectionResetError(errno.ECONNRESET, "no matter")


@pytest.mark.parametrize(
    ("error", "words", "passing"),
    [
        (_wrapped(NameResolutionError("r.io", None, socket.gaierror(-2, "x"))), "its name does not resolve", False),  # type: ignore[arg-type]
        (_wrapped(_refused(errno.ECONNREFUSED)), "connection refused", False),
        (_wrapped(_refused(errno.EHOSTUNREACH)), "no route to host", False),
        (requests.ConnectTimeout(), "connecting timed out", False),
        (requests.ReadTimeout(), "it stopped answering", True),
        (requests.ConnectionError(ProtocolError("x", _reset())), "connection reset by peer", True),
        (ProtocolError("cut", None), "the connection broke off", True),
        (_wrapped(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] x")), "TLS failed", False),
        (requests.exceptions.InvalidURL("x"), "its address is not a valid URL", False),
    ],
)
def test_each_cause_has_its_words(error: Exception, words: str, passing: bool) -> None:
    made = failure.unanswered(error, "r.io", "pull x")
    assert made.message.startswith("cannot pull x: registry r.io: ")
    assert words in made.message
    assert isinstance(made, failure.Interrupted) == passing


def test_the_hint_of_an_unreachable_registry_names_the_image_that_needs_none() -> None:
    made = failure.unanswered(_wrapped(_refused(errno.ECONNREFUSED)), "r.io", "pull x")
    assert "crate.local/busybox" in (made.hint or "")
