"""`top` with options of ps(1), as docker has it: `-ef`, `aux`, `-o pid,user,comm`; pids and users are the host's."""

from __future__ import annotations

import os
import time

from crate.cgroup.hierarchy import read
from crate.engine.usage import top
from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.usage.processes import Process
    from crate.engine.usage.top import Scene, Show

_FORMATS = {
    "": "pid tname time ucmd",
    "f": "user=UID pid ppid c stime tname time args=CMD",
    "F": "user=UID pid ppid c sz rss psr stime tname time args=CMD",
    "l": "f s uid pid ppid c pri ni addr sz wchan tname time ucmd",
    "u": "user pid pcpu pmem vsz rss tname stat start_time=START bsdtime args",
    "x": "pid tname stat bsdtime args",
    "L": "f uid pid ppid pri ni vsz rss wchan stat tname bsdtime args",
}
#: letters that choose processes (all of the container's are shown), or change what has no meaning here
_IGNORED = "eAadxwgTHn"
_IGNORED_BSD = "axgwefrnH"


def parse(words: list[str]) -> list[tuple[str, Show]]:
    """The columns that options of ps(1) ask for. UsageError for those that are not known."""
    own: list[str] = []
    shape, rest = "", list(words)
    while rest:
        word = rest.pop(0)
        if word in ("--forest", "-ww", "ww"):
            continue
        if word.startswith("--format"):
            own += _fields(word.partition("=")[2] or (rest.pop(0) if rest else ""))
            continue
        dashed = word.startswith("-")
        letters = word[1:] if dashed else word
        if not letters or letters.startswith("-"):
            raise _unknown(word)
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter == "o":
                own += _fields(letters or (rest.pop(0) if rest else ""))
                letters = ""
            elif dashed and letter in "fFl":
                shape = letter
            elif not dashed and letter in "ul":
                shape = {"l": "L"}.get(letter, letter)
            elif letter not in (_IGNORED if dashed else _IGNORED_BSD):
                raise _unknown(word)
            elif not dashed and not shape:
                shape = "x"
    return [_column(field) for field in own or _FORMATS[shape].split()]


def _unknown(word: str) -> UsageError:
    return UsageError(
        f'crate top knows no "{word}" of ps(1)', "descriptors such as pid user args, or -ef, aux, -o LIST"
    )


def _fields(text: str) -> list[str]:
    fields = [field for field in text.replace(" ", ",").split(",") if field]
    if not fields:
        raise UsageError("list of process fields must follow -o")
    return fields


def _column(field: str) -> tuple[str, Show]:
    name, equals, title = field.partition("=")
    name = _ALIASES.get(name, name)
    if name not in _COLUMNS:
        raise UsageError(f'unknown field of ps(1): "{name}"', f"one of {', '.join(sorted({*_COLUMNS, *_ALIASES}))}")
    known, show = _COLUMNS[name]
    return (title if equals else known), show


def _clock(seconds: float) -> str:
    """`[days-]hours:minutes:seconds`."""
    days, rest = divmod(int(seconds), 86400)
    return (f"{days}-" if days else "") + f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"


def _elapsed(process: Process, scene: Scene) -> str:
    text = _clock(top.elapsed(process, scene))
    return text.removeprefix("00:") if "-" not in text else text


def _start(process: Process, scene: Scene) -> str:
    started = process.started_at(scene.booted_at)
    form = "%H:%M" if scene.now - started < 86400 else "%b%d"
    return time.strftime(form, time.localtime(started))


def _stat(process: Process, scene: Scene) -> str:
    nice, marks = process.number(19), process.state
    marks += "<" if nice < 0 else "N" if nice > 0 else ""
    marks += "s" if process.number(6) == process.pid else ""
    marks += "l" if process.number(20) > 1 else ""
    return marks + ("+" if process.number(8) == process.number(5) else "")


def _host_id(key: str, place: int) -> Show:
    return lambda process, scene: scene.host_user(process.ids(key)[place], key.lower())


def _number(field: int) -> Show:
    return lambda process, scene: str(process.number(field))


def _share(process: Process, scene: Scene) -> str:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    return f"{process.rss_kib * 100 / total:.1f}"


_ALIASES = {
    "%cpu": "pcpu", "%mem": "pmem", "cmd": "args", "command": "args", "cputime": "time", "egroup": "group",
    "euid": "uid", "egid": "gid", "euser": "user", "flag": "f", "flags": "f", "nice": "ni", "pgrp": "pgid",
    "rssize": "rss", "rsz": "rss", "sess": "sid", "session": "sid", "start": "start_time", "bsdstart": "start_time",
    "state": "s", "thcount": "nlwp", "tt": "tty", "ucomm": "comm", "uname": "user", "vsize": "vsz",
}  # fmt: skip
_COLUMNS: dict[str, tuple[str, Show]] = {
    "addr": ("ADDR", lambda process, scene: "-"),
    "args": ("COMMAND", lambda process, scene: process.arguments()),
    "bsdtime": ("TIME", lambda process, scene: f"{int(process.cpu_seconds // 60)}:{int(process.cpu_seconds % 60):02}"),
    "c": ("C", lambda process, scene: str(int(top.percentage(process, scene)))),
    "comm": ("COMMAND", lambda process, scene: process.comm),
    "etime": ("ELAPSED", _elapsed),
    "etimes": ("ELAPSED", lambda process, scene: str(int(top.elapsed(process, scene)))),
    "f": ("F", lambda process, scene: str(process.number(9) >> 6 & 7)),
    "gid": ("GID", lambda process, scene: str(process.ids("Gid")[1])),
    "group": ("GROUP", _host_id("Gid", 1)),
    "label": ("LABEL", lambda process, scene: read(f"/proc/{process.pid}/attr/current").rstrip("\0") or "-"),
    "lstart": ("STARTED", lambda process, scene: time.ctime(process.started_at(scene.booted_at))),
    "ni": ("NI", _number(19)),
    "nlwp": ("NLWP", _number(20)),
    "pcpu": ("%CPU", lambda process, scene: f"{top.percentage(process, scene):.1f}"),
    "pgid": ("PGID", _number(5)),
    "pid": ("PID", lambda process, scene: str(process.pid)),
    "pmem": ("%MEM", _share),
    "ppid": ("PPID", _number(4)),
    "pri": ("PRI", lambda process, scene: str(process.number(18) + 60)),
    "psr": ("PSR", _number(39)),
    "rgroup": ("RGROUP", _host_id("Gid", 0)),
    "rss": ("RSS", lambda process, scene: str(process.rss_kib)),
    "ruser": ("RUSER", _host_id("Uid", 0)),
    "s": ("S", lambda process, scene: process.state),
    "sid": ("SID", _number(6)),
    "start_time": ("STARTED", _start),
    "stat": ("STAT", _stat),
    "stime": ("STIME", _start),
    "sz": ("SZ", lambda process, scene: str(process.vsz_kib * 1024 // os.sysconf("SC_PAGE_SIZE"))),
    "time": ("TIME", lambda process, scene: _clock(process.cpu_seconds)),
    "tname": ("TTY", lambda process, scene: process.tty),
    "tpgid": ("TPGID", _number(8)),
    "tty": ("TT", lambda process, scene: process.tty),
    "ucmd": ("CMD", lambda process, scene: process.comm),
    "uid": ("UID", lambda process, scene: str(process.ids("Uid")[1])),
    "user": ("USER", _host_id("Uid", 1)),
    "vsz": ("VSZ", lambda process, scene: str(process.vsz_kib)),
    "wchan": ("WCHAN", lambda process, scene: read(f"/proc/{process.pid}/wchan")[:6] or "-"),
}
