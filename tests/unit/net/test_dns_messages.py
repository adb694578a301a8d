"""The codec of DNS messages against whatever may come; what real clients make of it `tests/net/test_dns.py` shows."""

from __future__ import annotations

import gc
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.net.dns import messages as dns_messages
from crate.net.dns.messages import FORMERR, NOTIMP, Question, Unanswerable

labels = st.binary(min_size=1, max_size=63).filter(lambda label: b"." not in label)
names = st.lists(labels, min_size=0, max_size=20).filter(lambda parts: sum(len(part) + 1 for part in parts) < 255)


def name_bytes(parts: list[bytes]) -> bytes:
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def query(
    name: bytes = b"\3web\0",
    kind: int = 1,
    *,
    flags: int = 0x0100,
    counts: tuple[int, ...] = (1, 0, 0, 0),
    more: bytes = b"",
) -> bytes:
    return struct.pack(">6H", 0x1234, flags, *counts) + name + struct.pack(">HH", kind, 1) + more


def opt(size: int = 1232, version: int = 0, data: bytes = b"") -> bytes:
    return b"\0" + struct.pack(">HHIH", 41, size, version << 16, len(data)) + data


def counts(answer: bytes) -> tuple[int, ...]:
    return struct.unpack_from(">4H", answer, 4)


def refused(data: bytes) -> int | None:
    with pytest.raises(Unanswerable) as caught:
        Question(data)
    reason: int | None = caught.value.rcode
    return reason


@given(names, st.integers(0, 65535))
def test_a_question_is_read(parts: list[bytes], kind: int) -> None:
    question = Question(query(name_bytes(parts), kind))
    assert question.name == b".".join(parts).lower().decode("latin-1")
    assert question.kind == kind
    assert question.end == len(question.data)
    assert (question.size, question.version) == (512, -1)


@given(st.binary(max_size=600))
def test_random_bytes_are_a_question_or_are_refused(data: bytes) -> None:
    try:
        question = Question(data)
    except Unanswerable as reason:
        assert reason.rcode in (None, FORMERR, NOTIMP)
        if reason.rcode is not None:
            assert len(dns_messages.refusal(data, reason.rcode)) == 12
    else:
        answer = dns_messages.answer(question, 0, [dns_messages.record(1, b"abcd")], 512, forwards=True)
        assert len(answer) <= 512


@given(st.integers(0, 29), st.binary(min_size=1, max_size=8), st.data())
def test_a_damaged_question_is_a_question_or_is_refused(at: int, noise: bytes, data: st.DataObject) -> None:
    whole = query(more=opt(), counts=(1, 0, 0, 1))
    damaged = whole[:at] + noise + whole[at + len(noise) :]
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))]
    try:
        Question(damaged)
    except Unanswerable:
        pass


def test_no_pointer_is_followed() -> None:
    assert refused(query(b"\xc0\x0c")) == FORMERR  # to itself
    assert refused(query(b"\3web\xc0\x0c")) == FORMERR
    assert refused(query(b"\x40" + b"a" * 64 + b"\0")) == FORMERR  # a label of 64 bytes
    assert refused(query(b"\x3f" + b"a" * 63 + b"\x3f" + b"b" * 63 + b"\x3f" + b"c" * 63 + b"\x3f" + b"d" * 63 + b"\0"))


def test_what_is_no_question() -> None:
    assert refused(b"") is None
    assert refused(query()[:11]) is None
    assert refused(query(flags=0x8180)) is None  # an answer: telling its sender anything would begin a quarrel
    assert refused(query(flags=0x2800)) == NOTIMP  # an update
    assert refused(query(counts=(0, 0, 0, 0))) == FORMERR
    assert refused(query(counts=(2, 0, 0, 0))) == FORMERR
    assert refused(query(counts=(65535, 65535, 65535, 65535))) == FORMERR
    assert refused(query(counts=(1, 0, 0, 1))) == FORMERR  # the record is not there
    assert refused(query(counts=(1, 0, 0, 1), more=opt()[:-1])) == FORMERR
    assert refused(query(counts=(1, 0, 0, 2), more=opt() * 2)) == FORMERR


def test_edns_says_what_the_client_takes() -> None:
    question = Question(query(counts=(1, 0, 0, 1), more=opt(4096, data=b"\0\x0a\0\2ab")))
    assert (question.size, question.version) == (4096, 0)
    assert Question(query(counts=(1, 0, 0, 1), more=opt(10))).size == 512
    answer = dns_messages.answer(question, 0, [], 4096, forwards=False)
    assert counts(answer) == (1, 0, 0, 1)
    assert answer.endswith(b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0))
    newer = Question(query(counts=(1, 0, 0, 1), more=opt(version=1)))
    assert dns_messages.answer(newer, 0, [], 512, forwards=False).endswith(struct.pack(">HHIH", 41, 1232, 1 << 24, 0))


@given(st.integers(0, 200), st.integers(512, 4000))
def test_an_answer_that_does_not_fit_is_cut_and_says_so(count: int, limit: int) -> None:
    question = Question(query())
    answer = dns_messages.answer(question, 0, [dns_messages.record(1, b"abcd")] * count, limit, forwards=True)
    assert len(answer) <= limit
    is_cut = bool(answer[2] & 0x02)
    assert counts(answer)[1] == (count if not is_cut else (limit - len(question.data)) // 16)
    assert is_cut == (len(question.data) + 16 * count > limit)


def test_the_bytes_of_an_answer() -> None:
    answer = dns_messages.answer(Question(query()), 0, [dns_messages.record(1, b"\x0a\0\0\2")], 512, forwards=True)
    assert answer == bytes.fromhex(
        "1234 8580 0001 0001 0000 0000 03776562 00 0001 0001 c00c 0001 0001 00000001 0004 0a000002"
    )


def test_only_the_answer_to_a_question_is_one() -> None:
    question = Question(query(b"\3Web\0"))
    good = question.with_identifier(77)[:2] + b"\x81\x80" + question.data[4:]
    assert question.is_answered_by(good, 77)
    assert question.is_answered_by(good.replace(b"Web", b"wEB"), 77)
    assert not question.is_answered_by(good, 78)
    assert not question.is_answered_by(good.replace(b"Web", b"wab"), 77)
    assert not question.is_answered_by(question.with_identifier(77), 77)  # a question itself
    assert not question.is_answered_by(good[:15], 77)
    assert not question.is_answered_by(good[:-4] + b"\0\x1c\0\1", 77)  # of another type


def test_an_answer_goes_on_under_the_identifier_of_the_one_who_asked() -> None:
    question = Question(query())
    server = question.with_identifier(9)[:2] + b"\x81\x80" + question.data[4:] + bytes(600)
    assert dns_messages.passed_on(question, server, 2000) == b"\x12\x34" + server[2:]
    cut = dns_messages.passed_on(question, server, 512)
    assert cut == b"\x12\x34\x83\x80" + struct.pack(">4H", 1, 0, 0, 0) + question.data[12:]


@given(st.text(max_size=400))
def test_any_name_can_be_written(name: str) -> None:
    written = dns_messages.write_name(name)
    assert len(written) <= 255
    assert written.endswith(b"\0")


def test_nothing_is_left_for_the_collector() -> None:
    """A monitor runs without one (handover.py)."""
    gc.collect()
    gc.disable()
    try:
        for data in [query(), query(b"\xc0\x0c"), b"", query(counts=(1, 0, 0, 1))] * 100:
            try:
                Question(data)
            except Unanswerable:
                pass
        assert gc.collect() < 100
    finally:
        gc.enable()
