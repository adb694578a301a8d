"""RUN --mount=type=ssh: keys of the user's agent and of files, what may be done with them, and their agent's end."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from build.building import BASE
from program import until

if TYPE_CHECKING:
    from build.building import Builder

pytestmark = pytest.mark.requires("root", "overlay", "busybox", "openssh")


def test_keys_sign_in_a_run_and_nothing_else(builder: Builder, tmp_path: Path) -> None:
    """Of the user's agent and of files, as root and as somebody else. The host's ssh-add is in the image."""
    for name, kind in (("one", "ed25519"), ("two", "ecdsa")):
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"key {name}", "-f", str(tmp_path / name)]
        subprocess.run(command, check=True)
        builder.write(f"{name}.pub", (tmp_path / f"{name}.pub").read_text())
    (tmp_path / "two").chmod(0o644)  # which ssh-add itself refuses
    for program in map(shutil.which, ("ssh-add", "ssh-keygen")):
        assert program
        listed = subprocess.check_output(["ldd", program], text=True)
        for path in {program, *(word for word in listed.split() if word.startswith("/"))}:
            target = builder.context / "host" / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    socket_path = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket_path)], stdout=subprocess.DEVNULL)
    try:
        until(socket_path.exists, what="ssh-agent listens")
        environment = {**os.environ, "SSH_AUTH_SOCK": str(socket_path)}
        subprocess.run(["ssh-add", "-q", str(tmp_path / "one")], env=environment, check=True)
        dockerfile = """
            FROM BASE
            COPY host /
            COPY *.pub /
            RUN echo "me:x:1000:1000::/:/bin/sh" >> /etc/passwd
            RUN --mount=type=ssh,id=used echo "at $SSH_AUTH_SOCK"; ssh-add -L; ssh-add -T /one.pub && echo one signs
            RUN --mount=type=ssh,id=used ssh-add -D || echo kept; ssh-add -x </dev/null; ssh-add -s /lib/x || ssh-add -L
            USER me
            RUN --mount=type=ssh,id=files ssh-add -L; ssh-add -T /one.pub /two.pub && echo both sign
        """
        out = builder.build(dockerfile, "--ssh", f"used={socket_path}", "--ssh", f"files={tmp_path}/one,{tmp_path}/two")
        left = subprocess.check_output(["ssh-add", "-L"], env=environment, text=True)
    finally:
        agent.kill()
        agent.wait()
    one, two = ((tmp_path / f"{name}.pub").read_text().strip() for name in ("one", "two"))
    assert "\nat /run/buildkit/ssh_agent.0\n" in out and "\none signs\n" in out and "\nkept\n" in out
    assert f"\n{one}\n{two}\n" in out and "\nboth sign\n" in out and out.count(one) == 3
    assert left.strip() == one, "the user's own agent is as it was"
    secret = (tmp_path / "two").read_text().splitlines()[1]
    kept = subprocess.run(["grep", "-rlF", secret, str(builder.crate.root)], check=False, stdout=subprocess.DEVNULL)
    assert kept.returncode == 1, "and no key is in the store"


def test_keys_that_cannot_be_used(builder: Builder, tmp_path: Path) -> None:
    line = "FROM BASE\nRUN --mount=type=ssh,required true\n"
    refused = builder.try_build(line)
    assert refused.status == 125 and "unset ssh forward key default" in refused.err
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(tmp_path / "locked")], check=True)
    (tmp_path / "other").write_text("no key\n")
    for name, words in (
        ("locked", "cannot use key"),
        ("other", "cannot use key"),
        ("none", "No such file"),
        ("", "neither"),
    ):
        refused = builder.try_build(line, "--ssh", f"default={tmp_path}/{name}")
        assert refused.status == 125 and words in refused.err, refused
    assert list((builder.crate.root / "stage").iterdir()) == []


def test_the_agent_ends_with_a_killed_build(builder: Builder, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    builder.write("Dockerfile", f"FROM {BASE}\nRUN --mount=type=ssh touch /begun; sleep 1000\n")
    command = builder.crate.command(
        "build", "--network", "none", "--ssh", f"default={tmp_path}/key", str(builder.context)
    )
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=builder.crate.environment)
    stage = builder.crate.root / "stage"
    until(lambda: list(stage.glob("*/upper/begun")))
    (place,) = stage.glob("*/agent-0")

    mark = f"CRATE_TEST={builder.crate.mark}".encode()

    def left() -> list[str]:
        """The agent, and what belongs to the build."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                is_agent = os.readlink(f"/proc/{pid}/cwd").startswith(str(place))
                if is_agent or (int(pid) != os.getpid() and mark in Path(f"/proc/{pid}/environ").read_bytes()):
                    found.append(f"{pid} {is_agent}")
            except OSError:
                continue
        return found

    assert any(line.endswith("True") for line in left())
    process.kill()
    process.wait()
    until(lambda: not left(), what="ssh-agent has ended, and the build")
    builder.build("FROM BASE\nRUN true\n")
    assert list(stage.iterdir()) == [], "what was left is swept"
