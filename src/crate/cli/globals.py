"""The options of `crate` itself, which podman accepts anywhere and docker before the command; cold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crate.cli.options import flag, many, text

if TYPE_CHECKING:
    from collections.abc import Collection

    from crate.cli.options import Row

PREFIX = "global_"


def rows() -> list[Row]:
    """The declarations; the second half exists for scripts written for podman or docker."""
    return [
        text("--root", help="Directory of images, layers, containers and volumes", metavar="path"),
        text("--runroot", help="Directory of the state that a reboot forgets", metavar="path"),
        text("--config", help="Configuration file to read instead of the usual ones", metavar="path"),
        flag("--debug", "-D", help="Show messages of level debug, and where an error comes from"),
        text("--log-level", "-l", help='Lowest level of messages to print ("trace", "debug", "info", "warn", "error")'),
        text("--storage-driver", help='Driver that keeps layers ("overlay", "vfs")'),
        many("--storage-opt", help="Option for the storage driver", hidden=True),
        text("--cgroup-manager", help='Manager of cgroups: "cgroupfs" is the only one', hidden=True),
        text("--runtime", help="Accepted for podman's scripts: the runtime is built in", hidden=True),
        many("--runtime-flag", help="Accepted for podman's scripts: the runtime is built in", hidden=True),
        text("--events-backend", help="Accepted for podman's scripts", hidden=True),
        text("--conmon", help="Accepted for podman's scripts: the monitor is built in", hidden=True),
        text("--tmpdir", help="Accepted for podman's scripts", hidden=True),
        text("--network-config-dir", help="Accepted for podman's scripts", hidden=True),
        text("--network-cmd-path", help="Accepted for podman's scripts", hidden=True),
        text("--volumepath", help="Accepted for podman's scripts", hidden=True),
        text("--namespace", help="Accepted for podman's scripts", hidden=True),
        many("--hooks-dir", help="Accepted for podman's scripts", hidden=True),
        flag("--syslog", help="Accepted for podman's scripts", hidden=True),
        flag("--noout", help="Do not print the output of the command", hidden=True),
        flag("--remote", "-r", help="Ask a daemon elsewhere (refused: crate has none)"),
        text("--url", help="Refused: there is no daemon to connect to", hidden=True),
        text("--connection", help="Refused: there is no daemon to connect to", hidden=True),
        text("--identity", help="Refused: there is no daemon to connect to", hidden=True),
        many("--host", "-H", help="Refused: there is no daemon to connect to", hidden=True),
        text("--context", "-c", help='Refused, unless it is "default": there is no daemon to connect to', hidden=True),
        flag("--tls", help="Refused: there is no daemon to connect to", hidden=True),
        flag("--tlsverify", help="Refused: there is no daemon to connect to", hidden=True),
        flag("--version", "-v", help="Print the version and quit"),
    ]


def hidden_rows(taken: Collection[str]) -> list[Row]:
    """The same for after the command: hidden, long names only, except what the command itself declares."""
    later = []
    for row in rows():
        if row.name in taken or row.name == "version":
            continue
        names = [name for name in row.default.param_decls if name.startswith("--")]
        row.default.param_decls = tuple(names)
        row.default.hidden = True
        later.append(row.replace(name=PREFIX + row.name))
    return later
