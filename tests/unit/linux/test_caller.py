"""The caller's capabilities are those of /proc."""

from __future__ import annotations

from pathlib import Path

from crate.linux import caller, capability


def test_effective_capabilities() -> None:
    lines = Path("/proc/self/status").read_text().splitlines()
    bits = int(next(line.split()[1] for line in lines if line.startswith("CapEff:")), 16)
    assert capability.capget()[0] == bits
    named = capability.mask(caller.effective_capabilities())
    assert named & ~bits == 0
    assert bits & ~named & (1 << capability.NUMBERS["CAP_AUDIT_READ"]) - 1 == 0  # older ones are known to everybody
