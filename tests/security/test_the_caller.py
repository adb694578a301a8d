"""What a container can reach of who called crate: the terminal's input, and the keys of the session."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from security.hostile import compiled
from terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from program import Crate

pytestmark = [
    pytest.mark.requires("root", "overlay", "busybox"),
    pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-gcc makes the programs (apt install musl-tools)"),
]
RUN = ("run", "--rm", "--network", "none")

#: pushes a letter into every terminal that it has, with TIOCSTI and with bits above it set, which the kernel ignores
PUSH = r"""
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    int files[] = {0, 1, 2, open("/dev/tty", O_RDWR), open("/dev/console", O_RDWR)};
    for (int times = 0; times < 20; times++)
        for (int i = 0; i < 5; i++) {
            syscall(SYS_ioctl, files[i], 0x5412, "p");
            syscall(SYS_ioctl, files[i], 0x100005412, "h");
        }
    return 0;
}
"""

#: `keys hold COMMAND...`: in a new session keyring with one key; `keys fill COMMAND...`: with as many as the kernel
#: allows this user; `keys look`: the one key, by the session
KEYS = r"""
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **words) {
    char value[64] = "";
    if (!strcmp(words[1], "fill")) {
        syscall(SYS_keyctl, 1, NULL);
        for (int i = 0, full = 0; full < 10; i++) {
            snprintf(value, sizeof value, "%d", i);
            if (syscall(SYS_add_key, "user", value, value, 1, -3) < 0 && ++full)
                usleep(50000); /* the keys of processes that have just ended go a moment later */
        }
        execvp(words[2], words + 2);
        return 3;
    }
    if (!strcmp(words[1], "hold")) {
        if (syscall(SYS_keyctl, 1, NULL) < 0 || syscall(SYS_add_key, "user", "crate-test", "of the caller", 13, -3) < 0)
            return 2;
        execvp(words[2], words + 2);
        return 3;
    }
    long key = syscall(SYS_keyctl, 10, -3, "user", "crate-test", 0);
    if (key >= 0)
        syscall(SYS_keyctl, 11, key, value, sizeof value - 1);
    printf("looked: %s\n", value);
    return 0;
}
"""

#: runs a command on this terminal, in raw mode, and tells how many bytes of input are there afterwards
CALLER = """
import fcntl, struct, subprocess, sys, termios, tty
tty.setraw(0, termios.TCSANOW)
status = subprocess.run(sys.argv[1:]).returncode
waiting = struct.unpack("i", fcntl.ioctl(0, termios.FIONREAD, b"0000"))[0]
print(f"status {status}, {waiting} bytes of input.")
"""


def at_a_terminal(command: Sequence[str], environment: dict[str, str]) -> str:
    """What the caller says at the end."""
    terminal = Terminal([sys.executable, "-c", CALLER, *command], environment, 24, 80)
    try:
        seen = terminal.end(60)[1]
    finally:
        terminal.close()
    return seen.rpartition("status ")[2].rstrip()


def test_no_input_is_pushed_to_the_callers_terminal(crate: Crate, busybox: str, tmp_path: Path) -> None:
    push = compiled(tmp_path, "push", PUSH)
    volume = ("-v", f"{push}:/push:ro", busybox, "/push")
    told: dict[tuple[str, ...], str] = {}
    for options in ((), ("-i",), ("-it",), ("--privileged",), ("--privileged", "-it")):
        told[options] = at_a_terminal(crate.command(*RUN, *options, *volume), crate.environment)
    crate.ok("run", "-d", "--name", "box", "--network", "none", *volume[:3], "sleep", "60")
    for options in ((), ("-i", "--privileged"), ("-it", "--privileged")):
        told["exec", *options] = at_a_terminal(crate.command("exec", *options, "box", "/push"), crate.environment)
    assert set(told.values()) == {"0, 0 bytes of input."}, told
    words = crate.command(*RUN, "--privileged", "--log-driver", "passthrough", *volume)
    assert at_a_terminal(words, crate.environment) == "125, 0 bytes of input."


@pytest.mark.skipif(not shutil.which("bwrap"), reason="no program bwrap, which falls for it (apt install bubblewrap)")
def test_input_is_pushed_out_of_a_bubblewrap(crate: Crate, tmp_path: Path) -> None:
    """Positive control: the same program, in a sandbox that shares the session of its caller."""
    with open("/proc/sys/dev/tty/legacy_tiocsti") as file:
        if file.read() != "1\n":
            pytest.skip("this kernel has no TIOCSTI (dev.tty.legacy_tiocsti)")
    push = compiled(tmp_path, "push", PUSH)
    words = ["bwrap", "--bind", "/", "/", "--dev", "/dev", "--unshare-pid", "--cap-drop", "ALL"]
    assert at_a_terminal([*words, str(push)], crate.environment) != "0, 0 bytes of input."
    assert at_a_terminal([*words, "--new-session", str(push)], crate.environment) == "0, 0 bytes of input."


def test_no_key_of_the_callers_session(crate: Crate, busybox: str, tmp_path: Path) -> None:
    keys = compiled(tmp_path, "keys", KEYS)
    holding = [str(keys), "hold"]
    open_calls = ("--security-opt", "seccomp=unconfined", "-v", f"{keys}:/keys:ro", busybox)

    def said(*command: str) -> str:
        done = subprocess.run([*holding, *command], capture_output=True, text=True, env=crate.environment, check=False)
        return done.stdout + done.stderr

    assert said(str(keys), "look") == "looked: of the caller\n", os.uname().release
    assert said(*crate.command(*RUN, *open_calls, "/keys", "look")) == "looked: \n"
    crate.ok("run", "-d", "--name", "box", "--network", "none", *open_calls, "sleep", "60")
    for options in ((), ("--privileged",), ("-t",)):
        assert said(*crate.command("exec", *options, "box", "/keys", "look")).split() == ["looked:"], options


@pytest.mark.requires("unprivileged-user")
def test_no_container_where_the_kernel_allows_no_keyring_more(rootless_crate: Crate) -> None:
    """It would have the keys of the caller's session."""
    assert rootless_crate.user
    keys = compiled(rootless_crate.place, "keys", KEYS)
    become = len(rootless_crate.user.become)
    run = (*RUN, "crate.local/busybox", "echo", "in")
    rootless_crate.ok("pull", "--quiet", "crate.local/busybox")
    assert rootless_crate.ok(*run) == "in"
    words = rootless_crate.command(*run)
    command = [*words[:become], str(keys), "fill", *words[become:]]
    done = subprocess.run(command, capture_output=True, text=True, env=rootless_crate.environment, check=False)
    assert done.returncode == 125 and not done.stdout, done
    assert "cannot make a session keyring" in done.stderr and "sysctl kernel.keys.maxkeys" in done.stderr
    assert done.stderr.count("\n") == 1 and rootless_crate.ok("ps", "-aq") == ""
