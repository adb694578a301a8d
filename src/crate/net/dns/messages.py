"""DNS messages (RFC 1035, EDNS: RFC 6891): reads questions, writes answers about containers, judges answers of servers.

It reads no further than the question and the OPT record, and follows no compression pointer: whatever it does not
answer itself goes on as the bytes that it came as. docs/decisions/0110 says why it is our own.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

A, PTR, AAAA, ANY = 1, 12, 28, 255
IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
BADVERS = 16

#: the least that a client takes by UDP, and the most that UDP carries
UDP_LEAST, UDP_MOST = 512, 65507
TCP_MOST = 65535
#: seconds; an address rests before its reuse, so an answer that is this old harms nobody
_TTL = 1

_RESPONSE, _OPCODE, _AUTHORITATIVE, _TRUNCATED = 0x8000, 0x7800, 0x0400, 0x0200
_RECURSION_DESIRED, _RECURSION_AVAILABLE, _CHECKING_DISABLED, _RCODE = 0x0100, 0x0080, 0x0010, 0x000F
_OPT = 41
_OWN_UDP_SIZE = 1232  # what every network carries in one piece (DNS flag day 2020)
_NAME_MOST, _LABEL_MOST, _POINTER = 255, 63, 0xC0
_RECORDS_MOST = 8  # behind the question; a client sends one, or two with a signature

_header = Struct(">6H")
_pair = Struct(">HH")
_fixed = Struct(">HHIH")  # type, class, time to live, length


class Unanswerable(Exception):
    """A message that is no question. `rcode` is what its sender is told; None: nothing, lest two servers talk."""

    def __init__(self, rcode: int | None) -> None:
        super().__init__(rcode)
        self.rcode = rcode


class Question:
    """A message with one question.

    `name` is lower case, without the dot at its end (a dot within a label is written as backslash and dot); `size` is
    the longest answer that its sender takes by UDP; `version` that of EDNS, -1 without it.
    """

    __slots__ = ("data", "end", "flags", "identifier", "kind", "name", "network_class", "size", "version")

    def __init__(self, data: bytes) -> None:
        """Unanswerable."""
        if len(data) < _header.size:
            raise Unanswerable(None)
        self.data = data
        self.identifier: int
        self.flags: int
        self.identifier, self.flags, questions, answers, authorities, further = _header.unpack_from(data)
        if self.flags & _RESPONSE:
            raise Unanswerable(None)
        if self.flags & _OPCODE:
            raise Unanswerable(NOTIMP)
        if questions != 1 or answers or authorities or further > _RECORDS_MOST:
            raise Unanswerable(FORMERR)
        self.size, self.version = UDP_LEAST, -1
        try:
            self.name, at = _read_name(data, _header.size)
            self.kind, self.network_class = _pair.unpack_from(data, at)
            self.end = at + _pair.size
            self._read_further(self.end, further)
        except (IndexError, ValueError, StructError):
            raise Unanswerable(FORMERR) from None

    def _read_further(self, at: int, count: int) -> None:
        for _ in range(count):
            root = self.data[at] == 0
            at = _skip_name(self.data, at)
            kind, size, extended, length = _fixed.unpack_from(self.data, at)
            at += _fixed.size + length
            if at > len(self.data):
                raise ValueError("cut off")
            if kind == _OPT:
                if self.version >= 0 or not root:
                    raise ValueError("a second OPT record, or one of a name")
                self.size = min(max(size, UDP_LEAST), UDP_MOST)
                self.version = extended >> 16 & 0xFF

    def with_identifier(self, identifier: int) -> bytes:
        """The message as it came, under another identifier."""
        return identifier.to_bytes(2, "big") + self.data[2:]

    def is_answered_by(self, data: bytes, identifier: int) -> bool:
        """Whether a message is an answer to this one, asked under that identifier, and no forgery or mix-up."""
        if len(data) < self.end or int.from_bytes(data[:2], "big") != identifier:
            return False
        flags, questions = _pair.unpack_from(data, 2)
        return bool(
            flags & _RESPONSE
            and not flags & _OPCODE
            and questions == 1
            and data[_header.size : self.end].lower() == self.data[_header.size : self.end].lower()
        )


def _read_name(data: bytes, at: int) -> tuple[str, int]:
    """The name and where it ends. ValueError, IndexError. A question is the first name: it can point to none."""
    labels, start = [], at
    while length := data[at]:
        end = at + 1 + length
        if length > _LABEL_MOST or end - start >= _NAME_MOST or end >= len(data):
            raise ValueError("no name")
        labels.append(data[at + 1 : end].lower().decode("latin-1").replace(".", "\\."))
        at = end
    return ".".join(labels), at + 1


def _skip_name(data: bytes, at: int) -> int:
    """Where a name ends, which may end with a pointer."""
    while length := data[at]:
        if length >= _POINTER:
            return at + 2
        if length > _LABEL_MOST:
            raise ValueError("no name")
        at += 1 + length
    return at + 1


def write_name(name: str) -> bytes:
    """A name as a message has it; labels that are too long are cut."""
    labels = [label.encode("ascii", "replace")[:_LABEL_MOST] for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels)[: _NAME_MOST - 1] + b"\0"


def record(kind: int, value: bytes) -> bytes:
    """A record of the name that was asked for."""
    return b"\xc0\x0c" + _fixed.pack(kind, IN, _TTL, len(value)) + value


def answer(question: Question, rcode: int, records: Sequence[bytes], limit: int, *, forwards: bool) -> bytes:
    """The answer to a question, cut to `limit` bytes where it would be longer. `forwards`: it goes on with others."""
    if question.version > 0:
        rcode, records = BADVERS, ()
    flags = _RESPONSE | _AUTHORITATIVE | question.flags & (_RECURSION_DESIRED | _CHECKING_DISABLED) | rcode & _RCODE
    if forwards:
        flags |= _RECURSION_AVAILABLE
    further = b""
    if question.version >= 0:
        further = b"\0" + _fixed.pack(_OPT, _OWN_UDP_SIZE, rcode >> 4 << 24, 0)
    asked = question.data[_header.size : question.end]
    room, given = limit - _header.size - len(asked) - len(further), []
    for each in records:
        room -= len(each)
        if room < 0:
            flags |= _TRUNCATED
            break
        given.append(each)
    counts = 1, len(given), 0, 1 if further else 0
    return b"".join((_header.pack(question.identifier, flags, *counts), asked, *given, further))


def refusal(data: bytes, rcode: int) -> bytes:
    """The answer to what is no question: a header."""
    identifier, flags = _pair.unpack_from(data)
    kept = flags & (_OPCODE | _RECURSION_DESIRED)
    return _header.pack(identifier, _RESPONSE | kept | rcode, 0, 0, 0, 0)


def rcode_of(data: bytes) -> int:
    """How an answer ends."""
    return data[3] & _RCODE


def passed_on(question: Question, data: bytes, limit: int) -> bytes:
    """A server's answer as the one who asked gets it; one that is longer than it takes, as an empty truncated one."""
    if len(data) <= limit:
        return question.identifier.to_bytes(2, "big") + data[2:]
    flags = int.from_bytes(data[2:4], "big") | _TRUNCATED
    return _header.pack(question.identifier, flags, 1, 0, 0, 0) + question.data[_header.size : question.end]
