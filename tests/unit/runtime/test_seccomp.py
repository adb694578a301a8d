"""The assembler of seccomp filters: each action and comparison, against libseccomp call by call, and the cache."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crate.errors import UsageError
from crate.linux.syscall_table import numbers
from crate.plan.seccomp_profile import default_profile, read_profile, record_owners
from crate.runtime.seccomp import Filter, compiled, load_flags
from crate.runtime.seccomp_assembler import assemble
from crate.settings.defaults import CAPABILITIES
from examples import examples
from unit.runtime import bpf
from unit.runtime.libseccomp import Library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.oci.runtime_spec import LinuxSeccomp, LinuxSyscall

try:
    ORACLE: Library | None = Library()
except OSError:
    ORACLE = None
needs_oracle = pytest.mark.skipif(ORACLE is None, reason="libseccomp.so.2 is not installed")

ALLOW, KILL, ENOSYS, EPERM = 0x7FFF0000, 0, 0x50026, 0x50001
X86_64, X86, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
X32_BIT = 0x40000000
AUDIT = {
    "X86_64": (X86_64, 0),
    "X86": (X86, 0),
    "X32": (X86_64, X32_BIT),
    "AARCH64": (AARCH64, 0),
    "ARM": (ARM, 0),
    "RISCV64": (0xC00000F3, 0),
    "PPC64LE": (0xC0000015, 0),
}
FAMILIES = [("X86_64", "X86", "X32"), ("X86_64",), ("AARCH64", "ARM"), ("RISCV64",), ("PPC64LE",)]
PODMAN_PROFILE = Path("/usr/share/containers/seccomp.json")


def profile(*syscalls: dict[str, Any], default: str = "ERRNO", arches: tuple[str, ...] = ("X86_64",)) -> LinuxSeccomp:
    return {
        "defaultAction": f"SCMP_ACT_{default}",
        "architectures": [f"SCMP_ARCH_{name}" for name in arches],
        "syscalls": cast("list[LinuxSyscall]", list(syscalls)),
    }


def rule(
    name: str, action: str = "ALLOW", *args: tuple[int, str, int, int], errno: int | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {"names": name.split(), "action": f"SCMP_ACT_{action}"}
    if args:
        made["args"] = [
            {"index": index, "op": f"SCMP_CMP_{operator}", "value": value, "valueTwo": second}
            for index, operator, value, second in args
        ]
    if errno is not None:
        made["errnoRet"] = errno
    return made


def answer(seccomp: LinuxSeccomp, call: str, *arguments: int, arch: str = "X86_64", machine: str = "x86_64") -> int:
    audit, bit = AUDIT[arch]
    program = bpf.parse(assemble(seccomp, machine))
    return bpf.run(program, audit, numbers(arch)[call] | bit, (*arguments, *(0,) * (6 - len(arguments))))


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("KILL", 0),
        ("KILL_THREAD", 0),
        ("KILL_PROCESS", 0x80000000),
        ("TRAP", 0x30000),
        ("ERRNO", 0x50000 | 7),
        ("TRACE", 0x7FF00000 | 7),
        ("LOG", 0x7FFC0000),
        ("ALLOW", ALLOW),
    ],
)
def test_action(action: str, expected: int) -> None:
    assert answer(profile(rule("write", action, errno=7)), "write") == expected
    assert answer(profile(rule("read write", action, errno=7), rule("close")), "read") == expected
    assert answer(profile(rule("write", action, errno=7)), "close") == ENOSYS  # beyond the highest of the profile


def test_errno_is_eperm_by_default() -> None:
    assert answer(profile(rule("read", "ERRNO"), rule("write"), default="ALLOW"), "read") == EPERM


VALUE = 0x5_0000_0007


@pytest.mark.parametrize("operator", ["EQ", "NE", "LT", "LE", "GT", "GE"])
@pytest.mark.parametrize("argument", [VALUE, VALUE + 1, VALUE - 1, 7, 8, 6, VALUE + (1 << 32), VALUE - (1 << 32), 0])
def test_comparison_of_64_bits(operator: str, argument: int) -> None:
    holds = {
        "EQ": argument == VALUE,
        "NE": argument != VALUE,
        "LT": argument < VALUE,
        "LE": argument <= VALUE,
        "GT": argument > VALUE,
        "GE": argument >= VALUE,
    }[operator]
    seccomp = profile(rule("read", "ALLOW", (2, operator, VALUE, 0)), rule("write"))
    assert answer(seccomp, "read", 1, 1, argument) == (ALLOW if holds else EPERM)


def test_masked_comparison() -> None:
    seccomp = profile(rule("read", "ALLOW", (0, "MASKED_EQ", 0xF0_0000_00F0, 0x30_0000_0010)))
    assert answer(seccomp, "read", 0x3F_1234_561F) == ALLOW
    assert answer(seccomp, "read", 0x3F_1234_562F) == EPERM
    assert answer(seccomp, "read", 0x4F_1234_561F) == EPERM


def test_all_conditions_of_a_rule_hold_or_it_does_not() -> None:
    seccomp = profile(rule("read", "ALLOW", (0, "EQ", 1, 0), (1, "GT", 5, 0)))
    assert answer(seccomp, "read", 1, 6) == ALLOW
    assert answer(seccomp, "read", 1, 5) == EPERM
    assert answer(seccomp, "read", 2, 6) == EPERM


def test_conditions_on_one_argument_are_alternatives() -> None:
    seccomp = profile(rule("read", "ALLOW", (0, "EQ", 1, 0), (0, "EQ", 5, 0)))
    assert [answer(seccomp, "read", value) for value in (1, 5, 2)] == [ALLOW, ALLOW, EPERM]


def test_many_values_share_one_load() -> None:
    values = range(0, 500, 2)
    seccomp = profile(*(rule("read", "ALLOW", (0, "EQ", value, 0)) for value in values))
    program = bpf.parse(assemble(seccomp, "x86_64"))
    assert len(program) < 300
    for value in range(502):
        expected = ALLOW if value in values else EPERM
        assert bpf.run(program, X86_64, 0, (value, 0, 0, 0, 0, 0)) == expected
        assert bpf.run(program, X86_64, 0, (value | 1 << 32, 0, 0, 0, 0, 0)) == EPERM


def test_other_architectures_are_killed() -> None:
    seccomp = profile(rule("read"))
    assert answer(seccomp, "read", arch="X86") == KILL
    assert answer(seccomp, "read", arch="X32") == KILL
    assert answer(profile(rule("read"), arches=("X86_64", "X32")), "read", arch="X32") == ALLOW
    program = bpf.parse(assemble(profile(rule("read"), arches=("X32",)), "x86_64"))
    assert bpf.run(program, X86_64, 0) == KILL
    assert bpf.run(program, X86_64, X32_BIT) == ALLOW


def test_native_architecture_when_none_is_named() -> None:
    seccomp: LinuxSeccomp = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule("read")]}  # type: ignore[list-item]
    assert bpf.run(bpf.parse(assemble(seccomp, "aarch64")), AARCH64, 63) == ALLOW


def test_unknown_names_and_foreign_architectures_are_skipped() -> None:
    seccomp = profile(rule("read frobnicate"), arches=("X86_64", "MIPS64"))
    assert answer(seccomp, "read") == ALLOW


def test_calls_newer_than_the_profile_do_not_exist() -> None:
    program = bpf.parse(assemble(profile(rule("read openat2")), "x86_64"))
    assert bpf.run(program, X86_64, 438) == ENOSYS
    assert bpf.run(program, X86_64, 436) == EPERM
    lenient = bpf.parse(assemble(profile(rule("read", "ERRNO"), default="ALLOW"), "x86_64"))
    assert bpf.run(lenient, X86_64, 438) == ALLOW


@pytest.mark.parametrize(
    ("seccomp", "words"),
    [
        (profile(rule("read", "ALLOW", (0, "XX", 0, 0))), "operator SCMP_CMP_XX is not supported"),
        (profile(rule("read", "ALLOW", (6, "EQ", 0, 0))), "there is no argument 6"),
    ],
)
def test_what_cannot_be_assembled(seccomp: LinuxSeccomp, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        assemble(seccomp, "x86_64")


@pytest.mark.parametrize(
    ("seccomp", "words"),
    [
        (profile(rule("read", "NOTIFY")), "SCMP_ACT_NOTIFY is not supported without listenerPath"),
        ({**profile(rule("sendmsg", "NOTIFY")), "listenerPath": "/x"}, "not supported for sendmsg"),
        ({**profile(rule("read"), default="NOTIFY"), "listenerPath": "/x"}, "not supported for sendmsg"),
    ],
)
def test_who_cannot_have_a_listener(seccomp: LinuxSeccomp, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Filter(seccomp, None)


def test_calls_that_an_agent_answers() -> None:
    mine = record_owners(default_profile(list(CAPABILITIES), "x86_64", "6.1"), "6.1", "/there")
    confined = Filter(mine, None)
    assert confined.listener_path == "/there/owners.sock" and answer(mine, "fchownat") == 0x7FC00000
    assert answer(mine, "setgroups") == 0x50000 and answer(mine, "chmod") == ALLOW
    assert confined.forget_listener() and not confined.listener_path
    foreign: LinuxSeccomp = {**profile(rule("chown", "NOTIFY")), "listenerPath": "/x"}
    assert not Filter(foreign, None).forget_listener()
    old = record_owners(default_profile(list(CAPABILITIES), "x86_64", "5.4"), "5.4", "/there")
    assert not Filter(old, None).listener_path and answer(old, "fchownat") == answer(old, "setgroups") == 0x50000


def test_unknown_machine() -> None:
    with pytest.raises(UsageError, match="no system call numbers for vax"):
        assemble(profile(rule("read")), "vax")


def test_flags() -> None:
    seccomp = profile(rule("read"))
    assert load_flags(seccomp) == 0
    seccomp["flags"] = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"]
    assert load_flags(seccomp) == 6
    seccomp["flags"] = ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]
    with pytest.raises(UsageError):
        load_flags(seccomp)


# libseccomp


def known(seccomp: LinuxSeccomp) -> LinuxSeccomp:
    """Without the names that this libseccomp is too old for."""
    assert ORACLE is not None
    rules: list[Any] = []
    for entry in seccomp["syscalls"]:
        rules.append({**entry, "names": [name for name in entry["names"] if ORACLE.knows(name)]})
    return {**seccomp, "syscalls": [entry for entry in rules if entry["names"]]}


def interesting(seccomp: LinuxSeccomp) -> Sequence[tuple[int, ...]]:
    """Arguments on and beside the values of the rules."""
    values = {0, 0xFFFFFFFF, 1 << 32, (1 << 64) - 1}
    for entry in seccomp["syscalls"]:
        for arg in entry.get("args") or []:
            for value in (arg["value"], arg.get("valueTwo") or 0):
                values |= {value, value + 1, max(value - 1, 0), value ^ 1 << 32}
    chosen = sorted(value for value in values if value < 1 << 64)
    return [(value,) * 6 for value in chosen] + [
        (first, 1, second, 0, first, second) for first, second in zip(chosen, reversed(chosen), strict=True)
    ]


def compare(seccomp: LinuxSeccomp, machine: str) -> int:
    """Compares call by call; returns how many answers were compared."""
    assert ORACLE is not None
    ours, theirs = bpf.parse(assemble(seccomp, machine)), bpf.parse(ORACLE.assemble(dict(seccomp)))
    lenient = seccomp["defaultAction"] in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
    compared = 0
    for name in (arch.removeprefix("SCMP_ARCH_") for arch in seccomp["architectures"]):
        audit, bit = AUDIT[name]
        table = numbers(name)
        # The kernel gives a number from 424 on to all architectures, and does not have the call on some of them.
        absent = {table[call] for call in table if table[call] >= 424 and ORACLE.number(name, call) < 0}
        mentioned = {table[call] for entry in seccomp["syscalls"] for call in entry["names"] if call in table}
        highest = max((number for number in mentioned if number < 0xF0000), default=0)
        with_arguments = {
            table[call]
            for entry in seccomp["syscalls"]
            if entry.get("args")
            for call in [*entry["names"], "socketcall", "ipc"]
            if call in table
        }
        if name in ("X86", "PPC64LE"):
            with_arguments |= {table["socketcall"], table["ipc"]}
        for number in sorted({*range(highest + 1), *mentioned} - absent):
            for arguments in interesting(seccomp) if number in with_arguments else [(0,) * 6]:
                expected = bpf.run(theirs, audit, number | bit, arguments)
                assert bpf.run(ours, audit, number | bit, arguments) == expected, (name, number, arguments)
                compared += 1
        if highest and not lenient:
            assert bpf.run(ours, audit, highest + 1 | bit) == ENOSYS
    for audit in (0x12345678, X86_64, X86, AARCH64):
        if audit not in {AUDIT[arch.removeprefix("SCMP_ARCH_")][0] for arch in seccomp["architectures"]}:
            assert bpf.run(ours, audit, 0) == bpf.run(theirs, audit, 0)
    return compared


@needs_oracle
@pytest.mark.parametrize("architecture", [*AUDIT, "S390X", "S390"])
def test_numbers_are_those_of_libseccomp(architecture: str) -> None:
    assert ORACLE is not None
    table = numbers(architecture)
    bit = X32_BIT if architecture == "X32" else 0
    for name in {call for each in (*AUDIT, "S390X", "S390") for call in numbers(each)}:
        theirs = ORACLE.number(architecture, name)
        if theirs >= 0 and theirs not in (table.get("socketcall"), table.get("ipc")):
            assert table.get(name, -1) | bit == theirs, name


MACHINES = {"X86_64": "x86_64", "AARCH64": "aarch64", "RISCV64": "riscv64", "PPC64LE": "ppc64le"}


@needs_oracle
@pytest.mark.parametrize("extra", [[], ["CAP_SYS_ADMIN"], ["CAP_SYS_PTRACE", "CAP_BPF"]])
@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_default_profile_as_libseccomp_means_it(family: tuple[str, ...], extra: list[str]) -> None:
    machine = MACHINES[family[0]]
    seccomp = known(default_profile([*CAPABILITIES, *extra], machine, "6.1"))
    seccomp["architectures"] = [f"SCMP_ARCH_{name}" for name in family]
    assert compare(seccomp, machine) > 400


@needs_oracle
@pytest.mark.skipif(not PODMAN_PROFILE.exists(), reason="no podman profile is installed")
def test_podman_profile_as_libseccomp_means_it() -> None:
    text = PODMAN_PROFILE.read_text()
    seccomp = known(read_profile(text, str(PODMAN_PROFILE), list(CAPABILITIES), "x86_64", "6.1.0-18-amd64"))
    assert compare(seccomp, "x86_64") > 1200


CALLS = "read write openat fchmodat2 clone mmap personality futex unshare prctl ioctl".split()
VALUES = st.one_of(st.integers(0, 20), st.sampled_from([0xFFFFFFFF, 0x80000000, 1 << 32, (1 << 64) - 1, 0x7E020000]))
OPERATORS = ["EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"]
ARGS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(OPERATORS), VALUES, VALUES),
    max_size=2,
    unique_by=lambda condition: condition[0],
)


@st.composite
def profiles(draw: st.DrawFn) -> tuple[LinuxSeccomp, str]:
    """One rule a call, and 64-bit architectures: on 32-bit ones libseccomp 2.5.4 takes some rules to mean
    what they do not say, and what it does with overlapping rules of different actions is its own secret.
    """
    family = draw(st.sampled_from(FAMILIES))[:1]
    default = draw(st.sampled_from(["ERRNO", "ALLOW", "KILL_PROCESS", "LOG"]))
    rules = []
    for call in draw(st.lists(st.sampled_from(CALLS), min_size=1, max_size=8, unique=True)):
        action = draw(st.sampled_from(["ALLOW", "ERRNO", "TRAP", "TRACE", "KILL_PROCESS"]))
        rules.append(rule(call, action, *draw(ARGS)))
    return profile(*rules, default=default, arches=family), MACHINES[family[0]]


@needs_oracle
@settings(max_examples=examples(100), deadline=None)
@given(profiles())
def test_any_profile_as_libseccomp_means_it(made: tuple[LinuxSeccomp, str]) -> None:
    compare(known(made[0]), made[1])


@needs_oracle
@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_multiplexed_calls_as_libseccomp_means_them(family: tuple[str, ...]) -> None:
    """On some architectures socket(2) and semop(2) are also the first argument of socketcall(2) and ipc(2)."""
    compare(profile(rule("socket accept4 sendmmsg semop shmctl msgrcv semtimedop"), arches=family), MACHINES[family[0]])


def test_rule_with_arguments_does_not_reach_the_multiplexer() -> None:
    """libseccomp lets the multiplexer through there: with a rule on the family of a socket, every family."""
    seccomp = profile(rule("socket", "ALLOW", (0, "EQ", 2, 0)), arches=("X86",))
    assert answer(seccomp, "socketcall", 1, arch="X86") == EPERM
    assert answer(seccomp, "socket", 2, arch="X86") == ALLOW


# the cache


def test_program_is_kept_by_content(tmp_path: Path) -> None:
    cache = tmp_path / "made" / "here"
    seccomp = profile(rule("read"))
    program = compiled(seccomp, str(cache))
    assert program == compiled(seccomp, None) == assemble(seccomp, os.uname().machine)
    (file,) = cache.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    inode = file.stat().st_ino
    assert compiled(json.loads(json.dumps(seccomp)), str(cache)) == program
    assert file.stat().st_ino == inode
    compiled(profile(rule("write")), str(cache))
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("content", [b"", b"sha256:0\n", b"x" * 100])
def test_damaged_program_is_made_anew(tmp_path: Path, content: bytes) -> None:
    seccomp = profile(rule("read"))
    program = compiled(seccomp, str(tmp_path))
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert compiled(seccomp, str(tmp_path)) == program
    assert file.read_bytes().endswith(program)


def test_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    seccomp = profile(rule("read"))
    assert compiled(seccomp, str(tmp_path / "file" / "x")) == compiled(seccomp, None)
