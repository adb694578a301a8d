"""The tables of a diagnosis, and its own run of a filter."""

from __future__ import annotations

import pytest

from crate.engine.refusals import calls
from crate.engine.refusals.calls import visible
from crate.linux import syscall_table
from crate.linux.capability import NAMES
from crate.plan.seccomp_profile import default_profile
from crate.runtime.seccomp_assembler import assemble
from crate.runtime.seccomp_verdict import Filter, allows, is_refusal, signals
from unit.runtime import bpf

X86_64 = 0xC000003E
ALL = {name for table in ("X86_64", "X86", "AARCH64", "ARM", "S390X") for name in syscall_table.numbers(table)}


def test_every_name_is_one_of_a_system_call() -> None:
    assert set(calls._USES) - ALL == set()
    assert set(calls._CAPABILITIES) - ALL == set()
    assert set(calls._CAPABILITIES.values()) - set(NAMES) == set()
    assert calls.name_of(X86_64, 257) == "openat" and calls.name_of(X86_64, 9999) == "system call 9999"
    assert calls.name_of(0x40000003, 5) == "open" and calls.name_of(X86_64, 0x40000000 | 1) == "write"


@pytest.mark.parametrize("capabilities", [[], ["CAP_SYS_ADMIN"]])
def test_a_filter_answers_as_the_kernel_does(capabilities: list[str]) -> None:
    program = assemble(default_profile(capabilities, "x86_64", "6.1"), "x86_64")
    ours, parsed = Filter(program), bpf.parse(program)
    for number in range(480):
        for first in (0, 2, 0x10000000, 0x7E020000, 38, 1 << 40):
            arguments = (first, 1, 2, 3, 4, 5)
            assert ours.answer(number, X86_64, 0, arguments) == bpf.run(parsed, X86_64, number, arguments)
    unshare = ours.answer(272, X86_64, 0, (0x10000000, 0, 0, 0, 0, 0))
    assert allows(unshare) == bool(capabilities) and is_refusal(unshare, 1) != bool(capabilities)
    assert signals(ours.answer(0, 0x1234, 0, (0,) * 6))  # an architecture that the machine does not have


def test_nothing_is_left_for_a_terminal_to_obey() -> None:
    assert visible("/a\x1b[31m\n\udcff\x9b\u202eé") == r"/a\x1b[31m\n\xff\x9b\u202eé"
