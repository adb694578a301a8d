"""The attribute of a recorded owner: its form, and whatever a container writes in its place."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from crate.ns.recorded_owner import parse, record, recorded, text_of


def test_form_of_containers_storage() -> None:
    assert text_of(1000, 1011, stat.S_IFREG | 0o644) == b"1000:1011:0644:file"
    assert text_of(0, 42, stat.S_IFDIR | 0o2775) == b"0:42:2775:dir"


@pytest.mark.parametrize(
    ("value", "owner"),
    [
        (b"33:44:0644:file", (33, 44)),
        (b"33:44:644", (33, 44)),
        (b"4294967294:0:0755:dir", (4294967294, 0)),
        (b"4294967295:0:0755:dir", None),
        (b"-1:0:0755:dir", None),
        (b"1:2", None),
        (b"", None),
        (b"a:b:c", None),
        (b"1" * 100 + b":2:0644", None),
        ("\u0663:4:0644".encode(), None),
    ],
)
def test_values_of_containers(value: bytes, owner: tuple[int, int] | None) -> None:
    assert parse(value) == owner


def test_what_is_roots_needs_none(tmp_path: Path) -> None:
    path = str(tmp_path)
    assert recorded(path) is None
    record(path, 5, 6, stat.S_IFDIR | 0o755)
    assert recorded(path) == (5, 6)
    for _ in range(2):
        record(path, 0, 0, stat.S_IFDIR | 0o755)
        assert recorded(path) is None
