"""Digests: what is one, why something is none, and their making."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.errors import UsageError
from crate.oci import digest


@given(st.binary())
def test_the_digest_of_content_is_that_of_hashlib(content: bytes) -> None:
    assert digest.of(content) == "sha256:" + hashlib.sha256(content).hexdigest()
    assert digest.of(content, "sha512") == "sha512:" + hashlib.sha512(content).hexdigest()
    assert digest.is_digest(digest.of(content))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "invalid checksum digest format"),
        ("sha256", "invalid checksum digest format"),
        ("sha256:", "invalid checksum digest format"),
        (":abc", "invalid checksum digest format"),
        ("sha256:" + "f" * 63, "invalid checksum digest length"),
        ("sha256:" + "F" * 64, "invalid checksum digest format"),
        ("sha256:" + "f" * 63 + "/", "invalid checksum digest format"),
        ("sha256:../" + "f" * 61, "invalid checksum digest format"),
        ("md5:" + "f" * 32, "unsupported digest algorithm"),
        ("sha256+b64:abc=", "unsupported digest algorithm"),
        ("SHA256:" + "f" * 64, "invalid checksum digest format"),
        ("a..b:c", "invalid checksum digest format"),
    ],
)
def test_a_fault_is_told_in_go_digests_words(text: str, reason: str) -> None:
    assert digest.fault(text) == reason
    assert not digest.is_digest(text)
    with pytest.raises(UsageError, match=reason):
        digest.split(text)


def test_a_digest_splits_into_algorithm_and_hex() -> None:
    assert digest.split("sha256:" + "0" * 64) == ("sha256", "0" * 64)


def test_a_full_identifier_is_sixty_four_lower_case_digits() -> None:
    assert digest.is_hex_id("0" * 64)
    assert not digest.is_hex_id("0" * 63)
    assert not digest.is_hex_id("G" * 64)
    assert not digest.is_digest(None)
