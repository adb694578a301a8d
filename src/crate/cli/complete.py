"""Candidates for the last word of a command line, for the shells' scripts (`cli/completion.py`); hot.

A candidate is a line: the word, and after a tab what it is. The line `:files` asks the shell to offer files.
"""

from __future__ import annotations

from crate.cli import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILES = ":files"

# Key of an option or argument -> what a shell offers for it; words with spaces are fixed choices.
_KINDS = {
    "authfile": "files", "cert_dir": "files", "cidfile": "files", "config": "files", "device": "files",
    "env_file": "files", "init_path": "files", "input": "files", "label_file": "files", "pidfile": "files",
    "root": "files", "runroot": "files", "volume": "files", "workdir": "files",
    "container": "containers", "containers": "containers", "requires": "containers", "volumes_from": "containers",
    "image": "images", "images": "images", "names": "objects", "network": "networks", "volumes": "volumes",
    "secrets": "secrets",
    "pod": "pods", "pods": "pods", "pod_id_file": "files", "exit_policy": "continue stop",
    "share": "cgroup ipc net pid uts none",
    "shell": "bash zsh fish", "words": "commands",
    "attach": "stdin stdout stderr", "cgroup_manager": "cgroupfs",
    "condition": "created running paused stopped exited removed healthy unhealthy", "cgroupns": "host private",
    "cgroups": "enabled disabled", "format": "json table", "image_volume": "anonymous tmpfs ignore",
    "limits": "strict best-effort", "ipc": "host none private shareable container:",
    "log_driver": "json-file k8s-file journald syslog local passthrough none",
    "log_level": "trace debug info warn error", "pid": "host private container:", "pull": "always missing never newer",
    "restart": "no always on-failure unless-stopped", "security_opt": "no-new-privileges seccomp=",
    "signal": "HUP INT QUIT KILL USR1 USR2 TERM STOP CONT", "stop_signal": "HUP INT QUIT KILL USR1 USR2 TERM",
    "storage_driver": "overlay fuse-overlayfs vfs", "systemd": "true false always",
    "type": "container image network pod volume",
    "userns": "host private auto keep-id nomap container: ns:", "uts": "host private container:",
}  # fmt: skip
_RUNNING = (
    "container.stop", "container.kill", "container.exec", "container.attach", "container.pause", "container.top",
)  # fmt: skip
_STOPPED = ("container.start",)
_OF_MODULE = {
    ("image.tag", "names"): "images",
    ("image.untag", "names"): "images",
    ("container.inspect", "names"): "containers",
    ("image.inspect", "names"): "images",
    ("network.inspect", "names"): "networks",
    ("volume.inspect", "names"): "volumes",
    ("volume.exists", "volume"): "volumes",
    ("secret.inspect", "names"): "secrets",
    ("secret.exists", "secret"): "secrets",
    ("container.run", "command"): "",
}  # fmt: skip


def candidates(words: list[str], given: dict[str, Any]) -> list[str]:
    """The candidates for the last of `words`, which follow `crate`; `given` are the global options of this call."""
    before, last = words[:-1], words[-1]
    given = dict(given)
    spelling, rest = _command(before, given)
    if spelling is None:
        return []
    module = table.COMMANDS.get(spelling)
    if module is None:
        return _matching(_commands(spelling), last) if not last.startswith("-") else _matching(_options(""), last)
    value_of, place = _walk(module, rest)
    if value_of:
        return _values(module, value_of, last, given)
    if last.startswith("--") and "=" in last:
        name, _, value = last.partition("=")
        option = _find(module, name)
        found = _values(module, option[1], value, given) if option else []
        return [line if line == FILES else f"{name}={line}" for line in found]
    if last.startswith("-") and place >= 0:
        return _matching(_options(module), last)
    key = _argument(module, abs(place) - (place < 0))
    return _values(module, key, last, given) if key else []


def _matching(found: list[str], prefix: str) -> list[str]:
    return [line for line in found if line.startswith(prefix)]


def _command(before: list[str], given: dict[str, Any]) -> tuple[str | None, list[str]]:
    """(the spelling so far: "" for none yet, a group, a command, or None for none there is; the words after it)."""
    rest = list(before)
    while rest and rest[0].startswith("-"):
        name, equals, value = rest.pop(0).partition("=")
        kind, key = _line(table.GLOBALS, name) or ("b", "")
        if kind not in "bo":
            if not equals and not rest:
                return "", []
            given[key] = value if equals else rest.pop(0)
    if not rest:
        return "", []
    spelling = rest.pop(0)
    while spelling in table.GROUPS and rest:
        spelling += " " + rest.pop(0)
    known = spelling in table.COMMANDS or spelling in table.GROUPS
    return (spelling if known else None), rest


def _line(text: str, name: str) -> tuple[str, str] | None:
    at = text.find(f" {name} ")
    if at < 0 or " " in name:
        return None
    start = text.rfind("\n", 0, at) + 1
    return text[start], text[start + 2 : text.index(" ", start + 2)]


def _find(module: str, name: str) -> tuple[str, str] | None:
    return _line(table.OPTIONS[module][3], name) or _line(table.GLOBALS, name)


def _walk(module: str, rest: list[str]) -> tuple[str, int]:
    """What the next word is: (the key whose value it is, or ""; the number of the argument, negative after `--`)."""
    stop_at_argument, place = table.OPTIONS[module][0], 0
    words = iter(rest)
    for word in words:
        if word == "--" or (place and stop_at_argument):
            return "", -(place + sum(1 for _ in words) + (word != "--")) - 1
        if not word.startswith("-") or word == "-":
            place += 1
            continue
        name, equals, _ = word.partition("=")
        found = _find(module, name if word.startswith("--") else "-" + word[-1])
        if found and found[0] not in "bo" and not equals and next(words, None) is None:
            return found[1], place
    return "", -place - 1 if place and stop_at_argument else place


def _argument(module: str, place: int) -> str:
    keys = table.OPTIONS[module][1].split()
    if not keys:
        return ""
    key = keys[min(place, len(keys) - 1)]
    return key.rstrip("?*+") if place < len(keys) or key[-1] in "*+" else ""


def _commands(group: str) -> list[str]:
    """The commands of a group, or all first words, each with its summary."""
    prefix = group + " " if group else ""
    names = [words[len(prefix) :] for words in table.COMMANDS if words.startswith(prefix)]
    names = [name for name in names if " " not in name and not name.startswith("__")]
    groups = [words[len(prefix) :] for words in table.GROUPS if words.startswith(prefix)]
    return [*names, *(name for name in groups if " " not in name)]


def _options(module: str) -> list[str]:
    text = table.OPTIONS[module][3] if module else table.GLOBALS
    found = [name for line in text.splitlines() for name in line.split()[2:] if name.startswith("--")]
    return [*found, "--help"]


def _values(module: str, key: str, prefix: str, given: dict[str, Any]) -> list[str]:
    kind = _OF_MODULE.get((module, key), _KINDS.get(key, ""))
    if not kind:
        return []
    if kind == "files":
        return [FILES]
    if kind == "commands":
        return _matching(_commands(""), prefix)
    if kind in ("containers", "images", "networks", "pods", "secrets", "volumes", "objects"):
        try:
            found = _objects(module, kind, given)
        except Exception:  # a shell has no place for an error
            return []
        return _matching(found, prefix)
    return _matching(kind.split(" "), prefix)


def _objects(module: str, kind: str, given: dict[str, Any]) -> list[str]:
    import crate.engine

    engine = crate.engine.open(given)
    found: list[str] = []
    if kind in ("containers", "objects"):
        from crate.engine import containers

        for container in containers.listing(engine):
            status = container.state(engine)["status"]
            if (module in _RUNNING and status != "running") or (module in _STOPPED and status == "running"):
                continue
            found += [f"{container.name}\t{status}", f"{container.id[:12]}\t{container.name}"]
    if kind in ("images", "objects"):
        from crate.storage import image_record

        for record in image_record.list_all(engine.roots):
            found += [f"{name}\timage" for record_name in record["names"] for name in _short_names(record_name)]
            found.append(f"{record['id'][:12]}\timage")
    if kind in ("pods", "objects"):
        from crate.storage import pods

        for pod in pods.listing(engine.roots):
            found += [f"{pod['name']}\tpod", f"{pod['id'][:12]}\t{pod['name']}"]
    if kind in ("networks", "objects"):
        from crate.engine.networks import verbs as networks

        found += [f"{record['name']}\tnetwork" for record in networks.listing(engine)]
        found += ["host", "none", "bridge", "container:"] if kind == "networks" and "network" not in module else []
    if kind in ("volumes", "objects"):
        from crate.engine import volumes

        found += [f"{record['name']}\tvolume" for record in volumes.listing(engine)]
    if kind == "secrets":
        from crate.engine import secrets

        found += [f"{record['name']}\tsecret" for record in secrets.listing(engine)]
    return found


def _short_names(name: str) -> list[str]:
    """`docker.io/library/alpine:latest`, `alpine:latest`, `alpine`: in the way in which it may be typed."""
    short = name.removeprefix("docker.io/").removeprefix("library/")
    return list(dict.fromkeys([short, short.removesuffix(":latest"), name]))
