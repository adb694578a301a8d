"""Device rules taken together, and the program that holds them, run by an interpreter of its instructions."""

from __future__ import annotations

from struct import iter_unpack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.cgroup.device_program import ACCESS, TYPES, assemble
from crate.cgroup.device_rules import settle
from crate.errors import UsageError

DENY_ALL = {"allow": False, "access": "rwm"}


def rule(allow: bool, text: str) -> dict[str, Any]:
    """A rule from its v1 spelling, such as `c 1:* rw`."""
    kind, number, access = text.split()
    major, minor = (None if part == "*" else int(part) for part in number.split(":"))
    return {"allow": allow, "type": kind, "major": major, "minor": minor, "access": access}


def execute(program: bytes, kind: str, major: int, minor: int, access: str) -> bool:
    """Runs the instructions as the kernel would, for one question."""
    if not program:
        return True
    asked = sum(ACCESS[letter] for letter in access)
    context = {0: asked << 16 | TYPES[kind], 4: major, 8: minor}
    registers: list[Any] = [None] * 11
    registers[1] = context
    code = list(iter_unpack("=BBhi", program))
    at = 0
    while True:
        opcode, pair, offset, immediate = code[at]
        to, source = pair & 15, pair >> 4
        at += 1
        if opcode == 0x61:
            registers[to] = registers[source][offset]
        elif opcode == 0xB7:
            registers[to] = immediate
        elif opcode == 0xBF:
            registers[to] = registers[source]
        elif opcode == 0x57:
            registers[to] &= immediate
        elif opcode == 0x77:
            registers[to] >>= immediate
        elif opcode == 0x15:
            at += offset if registers[to] == immediate else 0
        elif opcode == 0x55:
            at += offset if registers[to] != immediate else 0
        elif opcode == 0x5D:
            at += offset if registers[to] != registers[source] else 0
        else:
            assert opcode == 0x95
            return bool(registers[0])


def allowed(rules: list[dict[str, Any]], kind: str, major: int, minor: int, access: str) -> bool:
    """What the rules say, read as the specification does: the last that touches a device and letter decides."""
    for letter in access:
        verdict = False
        for each in rules:
            kinds = ("b", "c") if each.get("type", "a") == "a" else (each["type"],)
            matches = kind in kinds and each.get("major") in (None, major) and each.get("minor") in (None, minor)
            if matches and letter in each["access"]:
                verdict = each["allow"]
        if not verdict:
            return False
    return True


def test_without_rules_nothing_is_allowed() -> None:
    assert settle([]) == (False, {})
    assert not execute(assemble([]), "c", 1, 3, "r")


def test_everything_is_allowed_without_a_program() -> None:
    assert assemble([{"allow": True}]) == b""
    assert assemble([DENY_ALL, {"allow": True, "type": "a", "access": "mrw"}]) == b""


def test_later_rules_add_to_and_take_from_earlier_ones() -> None:
    rules = [DENY_ALL, rule(True, "c 1:3 r"), rule(True, "c 1:3 w"), rule(True, "b 8:* rwm"), rule(False, "c 1:3 r")]
    assert settle(rules) == (False, {("c", 1, 3): "w", ("b", 8, None): "rwm"})
    assert settle([*rules, rule(False, "b *:* rwm")]) == (False, {("c", 1, 3): "w"})
    assert settle([*rules, {"allow": True}]) == (True, {})


def test_a_minus_one_is_any_number_and_a_is_both_kinds() -> None:
    both = {"allow": True, "type": "a", "major": -1, "minor": -1, "access": "m"}
    assert settle([DENY_ALL, both]) == (False, {("b", None, None): "m", ("c", None, None): "m"})


@pytest.mark.parametrize("wide", ["c 1:* rwm", "c *:3 r", "c *:* rw"])
def test_a_hole_in_an_earlier_rule_is_refused(wide: str) -> None:
    with pytest.raises(UsageError, match=r"device rule c 1:3 r: an earlier rule for c .* covers it"):
        settle([DENY_ALL, rule(True, wide), rule(False, "c 1:3 r")])


def test_a_hole_in_a_part_of_an_earlier_rule_is_refused() -> None:
    with pytest.raises(UsageError, match=r"device rule c 1:\* r: an earlier rule for c \*:3 covers it"):
        settle([DENY_ALL, rule(True, "c *:3 rwm"), rule(False, "c 1:* r")])
    assert settle([DENY_ALL, rule(True, "c 2:3 rwm"), rule(False, "c 1:* r")]) == (False, {("c", 2, 3): "rwm"})


@pytest.mark.parametrize("bad", [{"type": "x"}, {"type": "c", "access": "rx"}])
def test_a_rule_that_is_none(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="the type is one of a, b, c, the access letters of rwm"):
        settle([bad | {"allow": True}])


def test_the_program_of_docker_s_rules() -> None:
    texts = ["c *:* m", "b *:* m", "c 1:3 rwm", "c 1:8 rwm", "c 5:0 rwm", "c 136:* rwm", "c 10:200 rwm"]
    program = assemble([DENY_ALL, *(rule(True, text) for text in texts)])
    assert len(program) % 8 == 0
    for kind, major, minor, access, expected in (
        ("c", 1, 3, "rw", True),
        ("c", 1, 11, "r", False),
        ("c", 1, 11, "m", True),
        ("b", 8, 0, "m", True),
        ("b", 8, 0, "r", False),
        ("b", 1, 3, "r", False),
        ("c", 136, 77, "rwm", True),
        ("c", 5, 1, "w", False),
    ):
        assert execute(program, kind, major, minor, access) is expected


devices = st.tuples(st.sampled_from("bc"), st.integers(0, 2), st.integers(0, 2))
letters = st.lists(st.sampled_from("rwm"), min_size=1, max_size=3, unique=True).map("".join)
wild = st.one_of(st.none(), st.integers(0, 2))
some_rules = st.lists(
    st.builds(
        lambda allow, kind, major, minor, access: {
            "allow": allow, "type": kind, "major": major, "minor": minor, "access": access,
        },
        st.booleans(), st.sampled_from("abc"), wild, wild, letters,
    ),
    max_size=8,
)  # fmt: skip


@given(some_rules, devices, st.sampled_from("rwm"))
def test_program_and_specification_agree_or_the_rules_are_refused(
    rules: list[dict[str, Any]], device: tuple[str, int, int], access: str
) -> None:
    try:
        program = assemble(rules)
    except UsageError:
        return
    assert execute(program, *device, access) == allowed(rules, *device, access)


@given(st.lists(st.tuples(devices, letters), max_size=6), devices, letters)
def test_several_letters_are_allowed_when_each_is(
    grants: list[tuple[tuple[str, int, int], str]], device: tuple[str, int, int], access: str
) -> None:
    rules = [DENY_ALL, *({"allow": True, "type": k, "major": a, "minor": i, "access": w} for (k, a, i), w in grants)]
    assert execute(assemble(rules), *device, access) == allowed(rules, *device, access)
