"""Starting a container that exists, with or without its caller attached."""

from __future__ import annotations

import os

from crate.engine.launch import Starter, fork_starter
from crate.engine.root_mount import mount_root
from crate.errors import CrateError, HostError, NotFoundError, StateError, UsageError
from crate.oci import json
from crate.storage.lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine, Warn


def start(engine: Engine, container: Container) -> None:
    """Starts it detached; one that runs already is left alone. StateError when its state does not allow it.

    UsageError for one whose --diagnose nobody could see.
    """
    status = container.state(engine)["status"]
    if status in ("running", "restarting"):
        return
    if status == "paused":
        raise StateError(f"cannot start container {container.name}: it is paused", f"crate unpause {container.name}")
    if container.record["remove"] and container.record["options"].get("diagnose"):
        raise UsageError(
            f"cannot start container {container.name} with nobody attached: its diagnosis would go with it (--rm)",
            f"crate start --attach {container.name}",
        )
    try:
        socket, pidfd = begin(engine, container, {})
    except StateError:
        if container.state(engine, fresh=True)["status"] in ("running", "paused"):
            return  # another command was faster
        raise
    socket.close()
    os.close(pidfd)


def attach(engine: Engine, container: Container, options: dict[str, Any]) -> int:
    """Starts it, unless it runs, and stays with it: the exit status of its command, or 0 after the detach keys."""
    from crate.engine.attach import parse_detach_keys

    if options.get("detach_keys") is not None:
        parse_detach_keys(options["detach_keys"])
    interactive = bool(options.get("interactive"))
    hello = {"stdout": True, "stderr": True, "stdin": interactive, "stdin_once": interactive}
    if container.record["tty"]:
        add_terminal(engine, hello)
    joins = container.state(engine)["status"] in ("running", "paused")
    socket, pidfd = join(engine, container, hello) if joins else begin(engine, container, hello)
    proxy = options.get("sig_proxy")
    keys = options.get("detach_keys")
    missed = engine.warn if joins else None
    return stay(container, socket, pidfd, hello, keys, proxy is None or bool(proxy), engine, missed)


def add_terminal(engine: Engine, hello: dict[str, Any]) -> None:
    """Tells the monitor the size of the caller's terminal, which the program sees from its first moment on."""
    from crate.engine.attach import warn_without_terminal, window_size

    hello["size"] = window_size()
    if hello.get("stdin"):
        warn_without_terminal(engine)


def join(engine: Engine, container: Container, hello: dict[str, Any]) -> tuple[_socket.socket, int]:
    """A connection to the monitor of a container that runs, and the pidfd of its init."""
    from crate.engine.monitor import wire

    try:
        socket = wire.connect(container.paths.attach_socket)
        socket.send(wire.HELLO + json.dumps(hello).encode())
        kind, _, pidfd = wire.receive_start(socket)
    except OSError:
        kind = b""
    if kind != wire.STARTED:
        raise StateError(f"cannot attach to container {container.name}: it has just ended")
    from crate.storage import journal

    journal.of_container(engine.roots, "attach", container.record)
    return socket, pidfd


def begin(
    engine: Engine,
    container: Container,
    hello: dict[str, Any],
    root_mount_fd: int = -1,
    starter: Starter | None = None,
) -> tuple[_socket.socket, int]:
    """Launches the container's monitor under the container's lock; gives its socket and the pidfd of init.

    `starter` is a monitor that waits already. After a failure a --rm container is gone, another one tells why.
    """
    starter = starter or fork_starter(engine)
    if container.record["log"]["driver"] == "passthrough":
        _pass_through(engine, container, hello, starter)
    if container.record["options"].get("pod_id"):
        _enter_pod(engine, container, starter)
    try:
        lock = Lock(container.paths.directory)
        lock.acquire()
    except FileNotFoundError:
        raise NotFoundError(f"no such container: {container.name}") from None
    try:
        status = container.state(engine, fresh=True)["status"]
        if status not in ("created", "initialized", "exited"):
            raise StateError(f"cannot start container {container.name}: it is {status}")
        try:
            if root_mount_fd < 0:
                _make_run_directory(container)
                root_mount_fd = mount_root(engine.roots, container.record, container.paths.directory)
            return starter.launch(container.id, hello, root_mount_fd)
        except CrateError as error:
            from crate.engine.create import abandon

            lock.release()
            abandon(engine, container, error)
            raise
    finally:
        lock.release()


def _make_run_directory(container: Container) -> None:
    """A reboot empties the run root, and the cleaning of /tmp may take what was empty there."""
    os.makedirs(container.paths.run_directory, 0o700, exist_ok=True)


def _pass_through(engine: Engine, container: Container, hello: dict[str, Any], starter: Starter) -> None:
    """The container gets this process's streams, and nobody stands between."""
    if any(map(os.isatty, (0, 1, 2))):
        from crate.engine.create import abandon

        error = UsageError(f"cannot start container {container.name}: the log driver passthrough is not for a terminal")
        starter.dismiss()
        abandon(engine, container, error)
        raise error
    hello |= {"passthrough": True, "stdin": False, "stdin_once": False}


def _enter_pod(engine: Engine, container: Container, starter: Starter) -> None:
    from crate.engine.pods.members import enter

    try:
        enter(engine, container)
    except CrateError as error:
        from crate.engine.create import abandon

        starter.dismiss()
        abandon(engine, container, error)
        raise


def stay(
    container: Container,
    socket: _socket.socket,
    pidfd: int,
    hello: dict[str, Any],
    detach_keys: str | None,
    proxy_signals: bool,
    engine: Engine,
    warn: Warn | None = None,
) -> int:
    """Relays until the end, shows the diagnosis if there is one, and gives the exit status.

    `warn` is for who joined a container that ran: it is told what output it missed, which is an error of others.
    """
    from crate.engine import attach as attaching

    terminal, stdin = bool(container.record["tty"]), bool(hello.get("stdin"))
    keys = detach_keys if detach_keys is not None else container.record["detach_keys"]
    relay = attaching.Relay(
        socket,
        pidfd,
        stdin=stdin,
        terminal=terminal,
        detach_keys=attaching.parse_detach_keys(keys),
        # Who types at a terminal sends signals by its keys; others, to this process, are for this process: as docker.
        proxy_signals=proxy_signals and not (terminal and stdin),
        redraw=bool(warn),
    )
    ended = relay.run()
    if relay.diagnosis is not None and engine.show_diagnosis:
        engine.show_diagnosis(relay.diagnosis)
    if relay.skipped:
        text = f"{relay.skipped} bytes of the output of {container.name} were skipped: this command did not take them"
        if not warn:
            raise HostError(text, f"crate logs {container.name}")
        warn(f"{text}, see crate logs {container.name}")
    return int(ended["exit_code"]) if ended else 0
