"""SCMP_ACT_NOTIFY: an agent that listens at `linux.seccomp.listenerPath` answers calls of a bundle's process."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

from crate.linux import seccomp_notify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bundles import Bundle, Ran
    from program import Crate


class Agent:
    """Takes one listener and answers each call with EXDEV, until nobody has the filter; keeps what it was told."""

    def __init__(self, path: str) -> None:
        self.told: dict[str, Any] = {}
        self.pids: list[int] = []
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(path)
        self._door.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self.told:
            guest, _ = self._door.accept()
            with guest:
                data, fds, _, _ = socket.recv_fds(guest, 1 << 16, 1)
            if fds:
                self.told = json.loads(data)
        try:
            while True:
                call = seccomp_notify.receive(fds[0])
                self.pids.append(call.pid)
                assert seccomp_notify.is_valid(fds[0], call.id)
                seccomp_notify.answer(fds[0], call.id, errno.EXDEV)
        except OSError:
            pass  # nobody is left, or was killed

    def close(self) -> None:
        """Comes to its end."""
        self._door.close()


def notify(bundle: Bundle, path: str, **more: str) -> None:
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        **more,
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}],
    }
    bundle.shell("mkdir /tmp/x; echo $?; ls /tmp; echo done")


def test_an_agent_answers(run: Callable[[], Ran], bundle: Bundle) -> None:
    path = str(bundle.place / "agent")
    agent = Agent(path)
    notify(bundle, path, listenerMetadata="anything")
    ran = run()
    assert (ran.status, ran.out.split()) == (0, ["1", "done"]), ran
    assert "Cross-device link" in ran.err or "Invalid cross-device link" in ran.err, ran
    assert agent.told["fds"] == ["seccompFd"] and agent.told["metadata"] == "anything"
    assert agent.told["pid"] == agent.told["state"]["pid"] and agent.told["state"]["id"] and len(agent.pids) == 1
    agent.close()


def test_nobody_is_there(run: Callable[[], Ran], bundle: Bundle) -> None:
    notify(bundle, str(bundle.place / "agent"))
    ran = run()
    assert ran.status and "agent" in ran.err and not ran.out, ran


def test_the_agent_dies_while_a_command_enters(crate: Crate, busybox: str, tmp_path: Path) -> None:
    """The command would go on by itself, with nobody to answer it: it is ended, and its caller told."""
    path = f"{tmp_path}/agent"
    profile = tmp_path / "profile.json"
    calls = [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "syscalls": calls}))
    agent = Agent(path)
    words = ("--network", "none", "--name", "one", "--security-opt", f"seccomp={profile}")
    crate.ok("run", "-d", *words, busybox, "sleep", "1000")
    agent.close()
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        exec_ = crate.popen("exec", "one", "sleep", "2000")
        door.accept()[0].close()  # it looked, and is about to bring the listener
    told = exec_.communicate(timeout=30)[1]
    assert exec_.returncode and "cannot reach the seccomp agent" in told, told
    assert "sleep 2000" not in crate.ok("top", "one", "args")
    crate.ok("rm", "-f", "-t", "0", "one")


def test_which_agent(crate_run: Callable[[], Ran], bundle: Bundle) -> None:
    notify(bundle, "")
    assert "SCMP_ACT_NOTIFY is not supported without listenerPath" in crate_run().err
