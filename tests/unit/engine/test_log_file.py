"""The json-file log: lines, partial lines, rotation; and the reader over all of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crate.engine.logs.json_file import LogFile
from crate.engine.logs.k8s_file import K8sFile
from crate.engine.logs.lines import PART, timestamp
from crate.engine.logs.reader import LogReader, decode_json, decode_k8s
from examples import examples

if TYPE_CHECKING:
    from pathlib import Path


def entries(path: Path) -> list[dict[str, str]]:
    """The entries of one file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def text_of(path: Path, stream: str) -> str:
    """Everything that a reader finds of one stream."""
    found = [entry for entries in LogReader(str(path), decode_json).entries() for entry in entries]
    return "".join(entry["log"] for entry in found if entry["stream"] == stream)


def test_a_line_is_an_entry(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogFile(str(path), 0, 1)
    log.write("stdout", b"one\ntwo\nthr")
    log.write("stderr", b"error\n")
    log.write("stdout", b"ee\nrest")
    log.finish()
    assert [(e["log"], e["stream"]) for e in entries(path)] == [
        ("one\n", "stdout"), ("two\n", "stdout"), ("error\n", "stderr"), ("three\n", "stdout"), ("rest", "stdout"),
    ]  # fmt: skip
    assert all(e["time"].endswith("Z") and len(e["time"]) == 30 for e in entries(path))


def test_what_is_no_utf8_does_not_break_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogFile(str(path), 0, 1)
    log.write("stdout", b'\xff\x00\x1b[31m"\\\r\n')
    assert entries(path)[0]["log"] == '\ufffd\x00\x1b[31m"\\\r\n'


@given(chunks=st.lists(st.text(alphabet="ab\n\r", max_size=40), max_size=8))
def test_nothing_is_lost_however_it_is_cut(tmp_path_factory: object, chunks: list[str]) -> None:
    path = tmp_path_factory.mktemp("logs") / "log"  # type: ignore[attr-defined]
    log = LogFile(str(path), 200, 50)
    for chunk in chunks:
        log.write("stdout", chunk.encode())
    log.finish()
    assert text_of(path, "stdout") == "".join(chunks)


def test_a_long_line_comes_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogFile(str(path), 0, 1)
    log.write("stdout", b"x" * (PART * 2 + 10) + b"\n")
    log.write("stdout", b"y" * (PART + 1))
    log.finish()
    assert [len(e["log"]) for e in entries(path)] == [PART, PART, 11, PART, 1]


def test_rotation_keeps_so_many_files(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogFile(str(path), 1000, 3)
    for number in range(100):
        log.write("stdout", b"line %d\n" % number)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert all(p.stat().st_size <= 1100 for p in tmp_path.iterdir())
    lines = text_of(path, "stdout").splitlines()
    assert lines[-1] == "line 99"
    assert lines == [f"line {number}" for number in range(100 - len(lines), 100)]


def test_hand_over_of_a_partial_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    first = LogFile(str(path), 0, 1)
    first.write("stdout", b"beg\xc3")
    second = LogFile(str(path), 0, 1, first.record())
    second.write("stdout", b"\xa4n\n")
    assert entries(path)[0]["log"] == "beg\u00e4n\n"


def test_timestamp() -> None:
    assert timestamp(1_357_133_017_000_000_042) == "2013-01-02T13:23:37.000000042Z"


def shown(entries: list[dict[str, str]]) -> str:
    """The text of entries."""
    return "".join(entry["log"] for entry in entries)


@given(
    lines=st.lists(st.sampled_from([1, 5, 100, PART - 1, PART, PART + 1, 40000]), max_size=12),
    wanted=st.integers(0, 14),
    max_bytes=st.sampled_from([0, 60_000]),
)
@settings(deadline=None, max_examples=examples(40))
def test_the_last_lines_are_found_from_the_end(
    tmp_path_factory: pytest.TempPathFactory, lines: list[int], wanted: int, max_bytes: int
) -> None:
    written = [f"{number}{'x' * (length - 1)}\n" for number, length in enumerate(lines)]
    for kind, decode in (("json", decode_json), ("k8s", decode_k8s)):
        path = str(tmp_path_factory.mktemp("logs") / "log")
        log = LogFile(path, max_bytes, 50) if kind == "json" else K8sFile(path, max_bytes, 50, {})
        for line in written:
            log.write("stdout", line.encode())
        reader = LogReader(path, decode)
        assert shown(reader.tail(wanted)) == "".join(written[len(written) - min(wanted, len(written)) :])
        log.write("stdout", b"more\n")
        assert [shown(entries) for entries in reader.entries()] == ["more\n"]


def test_half_a_line_of_a_power_cut_is_passed_over() -> None:
    whole = b'{"log":"a\\n","stream":"stdout","time":"t"}\n'
    assert [entry["log"] for entry in decode_json(whole + b'{"log":"hal\n' + whole)] == ["a\n", "a\n"]


def test_a_part_is_not_cut_within_a_character(tmp_path: Path) -> None:
    path = tmp_path / "log"
    text = "x" + "\u20ac" * 12000
    log = LogFile(str(path), 0, 1)
    log.write("stdout", text.encode())
    log.finish()
    assert "".join(e["log"] for e in entries(path)) == text and len(entries(path)) == 3


def test_bytes_that_need_no_escape_and_others(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogFile(str(path), 0, 1)
    texts = ["plain\n", 'quo"ted\n', "back\\slash\\n\n", "del\x7f\nete\n", "\u4e16\n", "tab\t\n", "\n"]
    for text in texts:
        log.write("stdout", text.encode())
    log.write("stdout", "".join(texts).encode())
    assert "".join(e["log"] for e in entries(path)) == "".join(texts) * 2
    assert all(e["log"].count("\n") == 1 for e in entries(path))


def test_a_reader_that_falls_behind_several_rotations(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    log = LogFile(path, 500, 100)
    reader = LogReader(path, decode_json)
    numbers: list[str] = []
    for number in range(200):
        log.write("stdout", b"%d\n" % number)
        if number % 37 == 0:
            numbers += [entry["log"] for found in reader.entries() for entry in found]
    numbers += [entry["log"] for found in reader.entries() for entry in found]
    assert numbers == [f"{number}\n" for number in range(200)]
