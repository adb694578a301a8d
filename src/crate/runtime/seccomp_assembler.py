"""Assembles `linux.seccomp` of a bundle into a classic BPF program, with libseccomp's and runc's meaning of the rules.

The numbers of an architecture are cut into runs that share their answer, and a binary search finds the run. Most calls
take nine instructions, and the kernel's own table of calls that are always allowed (Linux 5.11) is filled quickly.

    load arch → one jump an architecture, else kill
    load nr   → binary search → return, or comparisons of arguments → return
"""

from __future__ import annotations

import sys
from struct import pack

from crate.errors import UsageError
from crate.linux.syscall_table import numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.oci.runtime_spec import LinuxSeccomp, LinuxSeccompArg

    # code, jump if true, jump if false, constant (linux/filter.h)
    Instruction = tuple[int, int, int, int]
    Code = tuple[Instruction, ...]
    # index, operator, value, second value
    Condition = tuple[int, str, int, int]
    # All conditions hold → the action; no conditions: always.
    Rule = tuple[tuple[Condition, ...], int]

_LOAD, _AND, _JUMP, _RETURN = 0x20, 0x54, 0x05, 0x06
_EQUAL, _GREATER, _NOT_LESS = 0x15, 0x25, 0x35
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENTS = 0, 4, 16  # struct seccomp_data
_MAX_INSTRUCTIONS = 4096
_MAX_JUMP = 255
_WORD = 0xFFFFFFFF

_KILL_THREAD, _ERRNO = 0, 0x00050000
_EPERM, _ENOSYS = 1, 38
_ACTIONS = {
    "SCMP_ACT_KILL": _KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": _KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": _ERRNO,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
# With these as the default action, calls newer than the profile are let through: a tracer answers them itself.
_LENIENT = (_ACTIONS["SCMP_ACT_ALLOW"], _ACTIONS["SCMP_ACT_LOG"], _ACTIONS["SCMP_ACT_TRACE"])

# The architectures whose programs a machine runs, the native one first: name → AUDIT_ARCH of linux/audit.h.
MACHINES = {
    "x86_64": {"X86_64": 0xC000003E, "X86": 0x40000003, "X32": 0xC000003E},
    "aarch64": {"AARCH64": 0xC00000B7, "ARM": 0x40000028},
    "riscv64": {"RISCV64": 0xC00000F3},
    "ppc64le": {"PPC64LE": 0xC0000015},
    "s390x": {"S390X": 0x80000016, "S390": 0x00000016},
}
_32_BIT = ("X86", "X32", "ARM", "S390")
X32_BIT = 0x40000000
_ARM_PRIVATE = 0x0F0000

# Calls that some architectures also reach through socketcall(2) and ipc(2): the position is the first argument.
_MULTIPLEXERS = {
    "socketcall": (
        "- socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown "
        "setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg"
    ),
    "ipc": (
        "- semop semget semctl semtimedop - - - - - - msgsnd msgrcv msgget msgctl - - - - - - shmat shmdt shmget shmctl"
    ),
}
_HAVE_MULTIPLEXERS = ("X86", "PPC64LE", "S390X", "S390")


def assemble(seccomp: LinuxSeccomp, machine: str) -> bytes:
    """The program for a machine named as by uname(2).

    A call name that an architecture does not have is skipped, and so is a rule whose action is the default. A rule
    without arguments beats those with; of several with arguments the first that fits answers. Several conditions on
    one argument are alternatives, as in runc. Numbers beyond the highest of the profile are answered with ENOSYS, so
    that programs fall back to older calls.
    """
    if machine not in MACHINES:
        raise UsageError(f"cannot use linux.seccomp: no system call numbers for {machine}")
    audit = MACHINES[machine]
    wanted = _architectures(seccomp.get("architectures") or [], audit)
    lines: dict[int, dict[int, Code]] = {}
    for name in wanted:
        # One AUDIT_ARCH is shared by x86_64 and x32; the half that is not asked for is killed.
        halves = {0: _answer(_KILL_THREAD), X32_BIT: _answer(_KILL_THREAD)} if name in ("X86_64", "X32") else {}
        lines.setdefault(audit[name], halves).update(_runs(seccomp, name))
    sections = {number: ((_LOAD, 0, 0, _OFFSET_NUMBER), *_search(_merged(line))) for number, line in lines.items()}
    program = _dispatch(sections)
    if len(program) > _MAX_INSTRUCTIONS:
        raise UsageError(f"cannot use linux.seccomp: {len(program)} instructions, the kernel takes {_MAX_INSTRUCTIONS}")
    return b"".join(pack("=HBBI", *instruction) for instruction in program)


def _architectures(named: list[str], audit: dict[str, int]) -> list[str]:
    """The architectures to emit, the native one first. The native one alone when none is named, as libseccomp does."""
    short = [name.removeprefix("SCMP_ARCH_") for name in named if name != "SCMP_ARCH_NATIVE"]
    native = next(iter(audit))
    if not named or "SCMP_ARCH_NATIVE" in named:
        short.append(native)
    return [name for name in audit if name in short]  # programs of other machines cannot run here


def _runs(seccomp: LinuxSeccomp, architecture: str) -> dict[int, Code]:
    """First number of a run → its answer, for one architecture."""
    default = _action(seccomp["defaultAction"], seccomp.get("defaultErrnoRet"))
    table = numbers(architecture)
    rules: dict[int, list[Rule]] = {}
    highest = 0
    for entry in seccomp.get("syscalls") or ():
        action = _action(entry["action"], entry.get("errnoRet"))
        alternatives = _alternatives(entry.get("args") or [])
        multiplexed = alternatives == [()] and architecture in _HAVE_MULTIPLEXERS and action != default
        for name in entry["names"]:
            if multiplexed:
                _add_multiplexed(rules, table, name, action)
            number = table.get(name)
            if number is None:
                continue
            if number < _ARM_PRIVATE:
                highest = max(highest, number)
            if action != default:
                rules.setdefault(number, []).extend((conditions, action) for conditions in alternatives)
    base = X32_BIT if architecture == "X32" else 0
    wide = architecture not in _32_BIT
    other = _answer(default)
    runs = {base: other}
    newer = other
    if highest and default & 0xFFFF0000 not in _LENIENT:
        newer = runs[base + highest + 1] = _answer(_ERRNO | _ENOSYS)
        if architecture in ("S390X", "S390"):
            rules[0] = [((), _ERRNO | _ENOSYS)]  # where numbers too large for the instruction end up when unknown
    for number, of_call in rules.items():
        runs[base + number] = _answer(default, of_call, wide)
    for number in rules:
        runs.setdefault(base + number + 1, newer if number > highest else other)
    return runs


def _add_multiplexed(rules: dict[int, list[Rule]], table: dict[str, int], name: str, action: int) -> None:
    """A rule with arguments does not reach the multiplexers: there the arguments are behind a pointer."""
    for multiplexer, calls in _MULTIPLEXERS.items():
        if name in calls.split() and multiplexer in table:
            condition = (0, "SCMP_CMP_EQ", calls.split().index(name), 0)
            rules.setdefault(table[multiplexer], []).append(((condition,), action))


def _action(name: str, errno: int | None) -> int:
    if name not in _ACTIONS:
        raise UsageError(f"cannot use linux.seccomp: action {name} is not supported")
    action = _ACTIONS[name]
    if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        action |= (_EPERM if errno is None else errno) & 0xFFFF
    return action


def _alternatives(args: list[LinuxSeccompArg]) -> list[tuple[Condition, ...]]:
    conditions = []
    for arg in args:
        if arg["op"] not in _COMPARISONS:
            raise UsageError(f"cannot use linux.seccomp: operator {arg['op']} is not supported")
        if not 0 <= arg["index"] <= 5:
            raise UsageError(f"cannot use linux.seccomp: there is no argument {arg['index']}")
        conditions.append((arg["index"], arg["op"], arg["value"], arg.get("valueTwo") or 0))
    if len({condition[0] for condition in conditions}) < len(conditions):
        return [(condition,) for condition in conditions]
    return [tuple(conditions)]


def _merged(runs: dict[int, Code]) -> list[tuple[int, Code]]:
    merged: list[tuple[int, Code]] = []
    for start in sorted(runs):
        if not merged or merged[-1][1] != runs[start]:
            merged.append((start, runs[start]))
    return merged


def _search(runs: list[tuple[int, Code]]) -> Code:
    """Finds the run of the number in the accumulator."""
    if len(runs) == 1:
        return runs[0][1]
    middle = len(runs) // 2
    below, above = _search(runs[:middle]), _search(runs[middle:])
    start = runs[middle][0]
    if len(below) <= _MAX_JUMP:
        return ((_NOT_LESS, len(below), 0, start), *below, *above)
    return ((_NOT_LESS, 0, 1, start), (_JUMP, 0, 0, len(below)), *below, *above)


def _dispatch(sections: dict[int, Code]) -> Code:
    """Chooses the section by the architecture of the call."""
    head: list[Instruction] = [(_LOAD, 0, 0, _OFFSET_ARCHITECTURE)]
    distance = 2 * len(sections) + 1  # from the first pair to the first section
    for position, (number, section) in enumerate(sections.items()):
        head += [(_EQUAL, 0, 1, number), (_JUMP, 0, 0, distance - 2 * position - 2)]
        distance += len(section)
    return (*head, *_answer(_KILL_THREAD), *(instruction for section in sections.values() for instruction in section))


def _answer(default: int, rules: list[Rule] | None = None, wide: bool = True) -> Code:
    """The code that returns the action of a call: of the rule that fits, else the default."""
    code: list[Instruction] = []
    rules = rules or []
    always = next((action for conditions, action in rules if not conditions), None)
    if always is not None:
        rules, default = [], always
    position = 0
    while position < len(rules):
        conditions, action = rules[position]
        values = _equal_values(rules[position:])
        if len(values) > 1:
            code += _one_of(conditions[0][0], values, action, wide)
        else:
            code += _when(conditions, action, wide)
        position += max(len(values), 1)
    return (*code, (_RETURN, 0, 0, default))


def _equal_values(rules: list[Rule]) -> list[int]:
    """The values of the leading rules that ask the same of one argument: that it equals a number of 32 bits."""
    values: list[int] = []
    for conditions, action in rules:
        if len(conditions) != 1 or conditions[0][1] != "SCMP_CMP_EQ" or conditions[0][2] > _WORD:
            break
        if conditions[0][0] != rules[0][0][0][0] or action != rules[0][1] or len(values) == 100:
            break
        values.append(conditions[0][2])
    return values


def _one_of(index: int, values: list[int], action: int, wide: bool) -> list[Instruction]:
    low, high = _offsets(index)
    code: list[Instruction] = [(_LOAD, 0, 0, high), (_EQUAL, 0, len(values) + 2, 0)] if wide else []
    code.append((_LOAD, 0, 0, low))
    for left, value in zip(range(len(values) - 1, -1, -1), values, strict=True):
        code.append((_EQUAL, left, 0 if left else 1, value))
    return [*code, (_RETURN, 0, 0, action)]


def _when(conditions: tuple[Condition, ...], action: int, wide: bool) -> list[Instruction]:
    blocks = [_compare(condition, wide) for condition in conditions]
    left = sum(len(block) for block in blocks)
    code: list[Instruction] = []
    for block in blocks:
        for position, (operation, true, false, constant) in enumerate(block):
            here = len(block) - position - 1
            # Counted from the next instruction: end of the block (the comparison holds), or beyond the return.
            jumps = {"": 0, "holds": here, "fails": left - position}
            code.append((operation, jumps[true], jumps[false], constant))
        left -= len(block)
    return [*code, (_RETURN, 0, 0, action)]


# Operator → what follows the load of the high word, then of the low word: (jump, if true, if false).
_COMPARISONS = {
    "SCMP_CMP_EQ": (((_EQUAL, "", "fails"),), (_EQUAL, "", "fails")),
    "SCMP_CMP_NE": (((_EQUAL, "", "holds"),), (_EQUAL, "fails", "holds")),
    "SCMP_CMP_LT": (((_GREATER, "fails", ""), (_EQUAL, "", "holds")), (_NOT_LESS, "fails", "holds")),
    "SCMP_CMP_LE": (((_GREATER, "fails", ""), (_EQUAL, "", "holds")), (_GREATER, "fails", "holds")),
    "SCMP_CMP_GT": (((_GREATER, "holds", ""), (_EQUAL, "", "fails")), (_GREATER, "holds", "fails")),
    "SCMP_CMP_GE": (((_GREATER, "holds", ""), (_EQUAL, "", "fails")), (_NOT_LESS, "holds", "fails")),
    "SCMP_CMP_MASKED_EQ": (((_EQUAL, "", "fails"),), (_EQUAL, "", "fails")),
}


def _compare(condition: Condition, wide: bool) -> list[tuple[int, str, str, int]]:
    """One comparison, as 64 bits where the architecture is `wide`; only the low word elsewhere."""
    index, operator, value, second = condition
    low, high = _offsets(index)
    masked = operator == "SCMP_CMP_MASKED_EQ"
    mask, wanted = (value, value & second) if masked else (0, value)
    of_high, of_low = _COMPARISONS[operator]
    code: list[tuple[int, str, str, int]] = []
    if wide:
        code.append((_LOAD, "", "", high))
        if masked:
            code.append((_AND, "", "", mask >> 32 & _WORD))
        code += [(*step, wanted >> 32 & _WORD) for step in of_high]
    code.append((_LOAD, "", "", low))
    if masked:
        code.append((_AND, "", "", mask & _WORD))
    code.append((*of_low, wanted & _WORD))
    return code


def _offsets(index: int) -> tuple[int, int]:
    """Where the low and the high word of an argument are."""
    start = _OFFSET_ARGUMENTS + 8 * index
    return (start, start + 4) if sys.byteorder == "little" else (start + 4, start)
