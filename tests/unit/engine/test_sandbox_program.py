"""The program of a sandbox, run as it is."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
from pathlib import Path

import pytest

from crate.engine.pods import sandbox_program
from crate.errors import HostError
from program import until


@pytest.fixture
def running(tmp_path: Path) -> subprocess.Popen[bytes]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    sandbox_program.write(fd)
    os.close(fd)
    return subprocess.Popen([tmp_path / "crate:sandbox"])


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_form(machine: str, number: int) -> None:
    """elf(5): what the kernel looks at."""
    data = sandbox_program.program(machine)
    assert data[:7] == b"\x7fELF\x02\x01\x01" and struct.unpack_from("<HH", data, 16) == (2, number)
    entry, table = struct.unpack_from("<QQ", data, 24)
    kind, flags, offset, address, _, size, in_memory, align = struct.unpack_from("<IIQQQQQQ", data, table)
    assert (kind, flags, offset, size, in_memory) == (1, 5, 0, len(data), len(data))
    assert address % align == offset % align and entry == address + 120


def test_other_machines_are_refused() -> None:
    with pytest.raises(HostError, match="no sandbox program for riscv64"):
        sandbox_program.program("riscv64")


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="another machine")
def test_waits_until_it_is_asked_to_end(running: subprocess.Popen[bytes]) -> None:
    stat = Path(f"/proc/{running.pid}/stat")
    until(lambda: stat.read_text().split()[2] == "S", what="it sleeps")
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1):
        running.send_signal(number)
    until(lambda: stat.read_text().split()[2] == "S", what="it sleeps again")
    assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
