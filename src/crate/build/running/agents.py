"""What `RUN --mount=type=ssh` connects to: a socket that lists keys and signs with them, and lets do nothing else.

    RUN ── socket of ours ── crate:ssh ── the user's agent, or an ssh-agent of ours with the keys of files

Through the agent's own socket a RUN could remove the user's keys, lock the agent, or have it load a library; and
ssh-agent(1) answers only its own user, which a RUN need not be. crate:ssh is one process an agent, and one more each
connection, which end with the build.

The protocol: draft-ietf-sshm-ssh-agent, each message its length, its type and its body.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from contextlib import contextmanager
from struct import pack, unpack
from typing import TYPE_CHECKING, NoReturn

from crate.build.running import kept_process
from crate.errors import HostError, UsageError
from crate.linux.process import PR_SET_PDEATHSIG, fork_child, prctl, set_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_FAILURE, _REQUEST_IDENTITIES, _SIGN_REQUEST = 5, 11, 13
_MESSAGE_MAX = 256 << 10  # as ssh-agent has it
_CONNECTIONS_MAX = 32
_START_SECONDS = 10.0
_HINT = "install the package openssh-client, or give the socket of an agent"


@contextmanager
def serve(agents: Mapping[str, Sequence[str]], directory: str) -> Iterator[dict[str, str]]:
    """The sockets by id, for as long as the context lasts. `agents`: as of crate.build.running.secrets.parse_agents.

    The sockets are in `directory`, to which nobody else has access. Raises UsageError for what is no key that can be
    used, HostError without ssh-agent.
    """
    found: dict[str, str] = {}
    servers: list[int] = []
    keepers: list[int] = []
    try:
        for number, (name, paths) in enumerate(agents.items()):
            target = paths[0]
            if not stat.S_ISSOCK(os.stat(target).st_mode):
                place = f"{directory}/agent-{number}"
                os.mkdir(place, 0o700)
                keepers.append(_start_agent(place))
                _add_keys(place, keepers[-1], paths)
                target = f"{place}/agent"
            found[name] = f"{directory}/ssh-{number}"
            servers.append(_start_server(found[name], target))
        yield found
    finally:
        for pid in servers:
            os.kill(pid, signal.SIGKILL)  # its connections die with it
            os.waitpid(pid, 0)
        for pid in keepers:
            kept_process.end(pid)


def _start_agent(place: str) -> int:
    """An ssh-agent that listens on `place`/agent; the pid of its keeper."""
    program = shutil.which("ssh-agent")
    if program is None or shutil.which("ssh-add") is None:
        raise HostError("cannot use keys of files: there is no ssh-agent", _HINT)
    null_fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    try:
        # It loads no libraries, whoever asks. A relative path: one of a socket has 108 bytes at most.
        command = [program, "-D", "-P", "/nonexistent", "-a", "agent"]
        return kept_process.start("crate:ssh", command, place, _environment(), (null_fd, null_fd, null_fd))
    finally:
        os.close(null_fd)


def _add_keys(place: str, keeper: int, paths: Sequence[str]) -> None:
    end = time.monotonic() + _START_SECONDS
    while not os.path.exists(f"{place}/agent"):
        if time.monotonic() > end or os.waitid(os.P_PID, keeper, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            raise HostError("cannot use keys of files: ssh-agent does not start", _HINT)
        time.sleep(0.005)
    for path in paths:
        with open(path, "rb") as file:  # not by its name: ssh-add refuses keys that others may read
            done = subprocess.run(
                ["ssh-add", "-q", "-"], cwd=place, env=_environment(), stdin=file, capture_output=True, check=False
            )
        if done.returncode:
            told = done.stderr.decode(errors="replace").strip().splitlines()
            reason = told[-1] if told else f"ssh-add ended with status {done.returncode}"
            raise UsageError(
                f"cannot use key {path}: {reason}", "a key with a passphrase belongs into an agent: ssh-add FILE"
            )


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "SSH_AUTH_SOCK": "agent",
        "SSH_ASKPASS": "/bin/false",
        "SSH_ASKPASS_REQUIRE": "force",  # nobody is asked
    }


def _start_server(path: str, target: str) -> int:
    """A process crate:ssh that listens at `path`; its pid."""
    parent = os.getpid()
    with socket.socket(socket.AF_UNIX) as listening:
        directory_fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            listening.bind(f"/proc/self/fd/{directory_fd}/{os.path.basename(path)}")
        finally:
            os.close(directory_fd)
        os.chmod(path, 0o666)  # who is in the RUN may be anybody; on the host its directory is closed
        listening.listen(_CONNECTIONS_MAX)
        return fork_child(lambda: _serve(listening, target, parent))


def _serve(listening: socket.socket, target: str, parent: int) -> NoReturn:
    """Process crate:ssh: one more process a connection."""
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        set_name("crate:ssh")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the build ends it
        own, connections = os.getpid(), 0
        while os.getppid() == parent:
            client, _ = listening.accept()
            fork_child(lambda client=client: _relay(client, target, own))  # type: ignore[misc]
            client.close()
            connections += 1
            # As many as there may be: the next one has to wait until one has ended.
            while connections and os.waitpid(-1, 0 if connections >= _CONNECTIONS_MAX else os.WNOHANG)[0]:
                connections -= 1
    finally:
        os._exit(0)


def _relay(client: socket.socket, target: str, server: int) -> NoReturn:
    """Process crate:ssh of one connection."""
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        agent = _connect(target)
        while os.getppid() == server:
            message = _receive(client)
            if message[0] in (_REQUEST_IDENTITIES, _SIGN_REQUEST):
                _send(agent, message)
                _send(client, _receive(agent))
            else:
                _send(client, bytes((_FAILURE,)))
    except OSError:
        pass  # one of them has closed its end
    finally:
        os._exit(0)


def _connect(target: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    directory_fd = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        made.connect(f"/proc/self/fd/{directory_fd}/{os.path.basename(target)}")
    finally:
        os.close(directory_fd)
    return made


def _receive(source: socket.socket) -> bytes:
    """One message without its length. OSError where there is none."""
    (size,) = unpack(">I", _exactly(source, 4))
    if not 0 < size <= _MESSAGE_MAX:
        raise OSError("no message of the agent's protocol")
    return _exactly(source, size)


def _exactly(source: socket.socket, size: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < size:
        piece = source.recv(size - len(pieces))
        if not piece:
            raise OSError("the end")
        pieces += piece
    return bytes(pieces)


def _send(target: socket.socket, message: bytes) -> None:
    target.sendall(pack(">I", len(message)) + message)
