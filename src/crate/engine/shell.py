"""Development shells: one container for each image, which has the caller's home and identity and stays between calls.

It is an ordinary container with the label `crate.shell`: its only process waits, and what is called runs by `exec`.
So its second entry costs an exec. It is no confinement: home, /tmp and the host's network are its own.
"""

from __future__ import annotations

import os

from crate import hotcore
from crate.engine import containers
from crate.errors import NameInUseError, NotFoundError, StateError, UsageError
from crate.plan.pod import PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.engine.containers import Container
    from crate.engine.context import Engine

LABEL = "crate.shell"
#: directories that every shell has of the host, if they are there: sockets of agents, displays and buses lie in them
_SHARED = ("/tmp", "/run/user/{uid}")
#: variables of the caller that mean something inside; those that end with * by their beginnings
_PASSED = (
    *("LANG", "LANGUAGE", "LC_*", "TZ", "TERM", "COLORTERM", "NO_COLOR", "EDITOR", "VISUAL", "PAGER", "SHELL"),
    *("SSH_AUTH_SOCK", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"),
)
# The caller's own shell where the image has it, else bash, else sh.
_LOGIN = '[ -x "$SHELL" ] || SHELL=$(command -v bash || echo /bin/sh); export SHELL; exec "$SHELL" -l'
_DISTRIBUTIONS = {
    "debian": "debian:{VERSION_CODENAME}",
    "ubuntu": "ubuntu:{VERSION_ID}",
    "fedora": "registry.fedoraproject.org/fedora:{VERSION_ID}",
    "alpine": "alpine:latest",
    "arch": "archlinux:latest",
}


class Caller:
    """Who calls: identity, home and working directory on the host."""

    def __init__(self, engine: Engine) -> None:
        from crate.plan.host import Host

        host = Host(engine.roots.rootless)
        self.uid, self.gid = host.own_ids() if host.rootless else (0, 0)
        #: with a single id the caller is root inside, since nobody else is there
        self.keeps_id = host.rootless and sum(size for _, size in host.mapped_uids()) > 1
        account = host.account(str(self.uid))
        self.home = os.environ.get("HOME") or (account[5] if account else "/")
        self.cwd = host.cwd


def name_of(image: str) -> str:
    """The name of an image's shell."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in image)
    return f"shell-{kept.strip('-')}"[:200]


def listing(engine: Engine) -> list[Container]:
    """All shells, the one made last first."""
    found = [one for one in containers.listing(engine) if LABEL in one.record["labels"]]
    return sorted(found, key=lambda one: -one.record["created"])


def default_image(engine: Engine) -> str:
    """The setting, the image of the last shell, or that of the host's own distribution."""
    wanted = engine.settings.get("shell.image")
    if wanted:
        return str(wanted)
    known = listing(engine)
    if known:
        return str(known[0].record["labels"][LABEL])
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            fields = dict(line.strip().partition("=")[::2] for line in file if "=" in line)
    except OSError:
        fields = {}
    fields = {key: value.strip('"') for key, value in fields.items()}
    image = _DISTRIBUTIONS.get(fields.get("ID", ""), "debian:stable")
    try:
        return image.format_map(fields)
    except KeyError:
        return "debian:stable"


def find(engine: Engine, image: str) -> Container | None:
    """The shell of an image, if there is one. StateError when its name is another container's."""
    name = name_of(image)
    try:
        found = containers.find(engine, name)
    except NotFoundError:
        return None
    if found.name != name:
        return None  # an id that begins so
    if found.record["labels"].get(LABEL) != image:
        raise StateError(
            f"cannot make the shell of {image}: the container {name} is another", f"crate rename {name} OTHER"
        )
    return found


def remove(engine: Engine, container: Container) -> None:
    """Removes a shell with all that was installed in it."""
    from crate.engine.remove import remove as remove_container

    remove_container(engine, container, force=True)


def enter(engine: Engine, image: str, command: list[str], options: dict[str, Any]) -> int:
    """Runs a command, or a login shell, in the image's shell, which is made and started if need be; its exit status.

    `options`: `dir` (further directories of the host, for a new one), `root`, `env`, `pull`.
    """
    from crate.engine import exec as engine_exec

    caller = Caller(engine)
    container = find(engine, image)
    if container is None:
        with hotcore.Apart(""):
            container = _make_once(engine, image, caller, options)
    elif options.get("dir"):
        _check_directories(container, options["dir"])
    if container.state(engine)["status"] != "running":
        with hotcore.Apart(""):
            _start(engine, container)
    return engine_exec.exec(engine, container, _call(engine, container, caller, command, options))


def _make_once(engine: Engine, image: str, caller: Caller, options: dict[str, Any]) -> Container:
    """A new shell, or the one that another call has made meanwhile."""
    try:
        return _make(engine, image, caller, options)
    except NameInUseError:
        found = find(engine, image)
        if found is None:
            raise
        return found


def _start(engine: Engine, container: Container) -> None:
    from crate.engine.start import start

    start(engine, container)
    container.state(engine, fresh=True)


def _call(
    engine: Engine, container: Container, caller: Caller, command: list[str], options: dict[str, Any]
) -> dict[str, Any]:
    """The options of `exec`."""
    terminal = os.isatty(0) and os.isatty(1)
    user = f"{caller.uid}:{caller.gid}" if caller.keeps_id else None
    passed = [
        f"{key}={value}"
        for key, value in os.environ.items()
        if key in _PASSED or any(word[-1] == "*" and key.startswith(word[:-1]) for word in _PASSED)
    ]
    visible = _visible(container)
    place = _seen(caller.cwd, visible)
    if not place:
        place = "/root" if options.get("root") else _seen(caller.home, visible) or "/"
        if engine.warn and place != caller.cwd:
            engine.warn(
                f"{caller.cwd} is not in this shell: starting in {place} (crate shell --reset --dir {caller.cwd})"
            )
    home = [] if options.get("root") else [f"HOME={caller.home}"]
    return {
        "command": command or ["/bin/sh", "-c", _LOGIN],
        "user": "0:0" if options.get("root") else user,
        "workdir": place,
        "tty": terminal,
        "interactive": True,
        "env": [*passed, *home, f"CRATE_SHELL={container.record['labels'][LABEL]}", *(options.get("env") or ())],
        "detach_keys": "",
    }


def _visible(container: Container) -> list[str]:
    return [str(mount["destination"]) for mount in container.record["mounts"]]


def _seen(path: str, visible: list[str]) -> str:
    """The path by which the shell has it, "" for none: a home that is a link is mounted at the link's place."""
    for one in visible:
        if path == one or path.startswith(f"{one}/"):
            return path
    for one in visible:
        real = os.path.realpath(one)
        if path == real or path.startswith(f"{real}/"):
            return one + path[len(real) :]
    return ""


def _check_directories(container: Container, directories: list[str]) -> None:
    for path in directories:
        if os.path.abspath(path) not in _visible(container):
            raise StateError(
                f"cannot add {path} to the shell {container.name}: its directories were chosen when it was made",
                "crate shell --reset makes it anew, without what was installed in it",
            )


def _mount(path: str) -> str:
    """A directory of the host at the same place, as a value of --mount: there may be commas and colons in its name."""
    quoted = path.replace('"', '""')
    return f'type=bind,"source={quoted}","target={quoted}",bind-propagation=rslave'


def _make(engine: Engine, image: str, caller: Caller, options: dict[str, Any]) -> Container:
    from crate.engine.create import prepare

    directories = [caller.home, *(place.format(uid=caller.uid) for place in _SHARED)]
    for path in options.get("dir") or ():
        if not os.path.isdir(path):
            raise UsageError(f"cannot use --dir {path}: no such directory")
        directories.append(os.path.abspath(path))
    kept: list[str] = []
    for path in dict.fromkeys(directories):
        if (
            path != "/"
            and os.path.isdir(path)
            and not any(path.startswith(f"{one}/") for one in directories if one != "/")
        ):
            kept.append(path)
    container, root_mount_fd = prepare(
        engine,
        {
            "image": image,
            "name": name_of(image),
            "pull": options.get("pull"),
            "quiet": False,
            "label": [f"{LABEL}={image}"],
            "network": ["host"],
            "uts": "host",
            "userns": "keep-id" if caller.keeps_id else "host",
            "user": None if caller.keeps_id else "0:0",
            "group_add": ["keep-groups"] if caller.keeps_id else [],
            "mount": [_mount(path) for path in kept],
            "no_hosts": False,
            "waits": True,
            "entrypoint": PROGRAM,
            "log_driver": "none",
            "security_opt": ["label=disable"],
            "no_healthcheck": True,
            "image_volume": "ignore",
            "pids_limit": 0,
        },
    )
    os.close(root_mount_fd)
    return container
