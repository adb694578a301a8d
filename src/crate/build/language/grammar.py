"""What each instruction accepts: from keyword, flags and the rest of its line to one of `instructions`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypedDict

from crate.build.language import instructions as kinds
from crate.build.language import words
from crate.build.language.dockerfile_error import Fault, suggestion
from crate.build.language.flags import Flags
from crate.build.language.heredoc import announced, parse_heredoc
from crate.build.language.instructions import Command, Heredoc, Instruction
from crate.build.running.mounts import parse_mount
from crate.errors import UsageError
from crate.plan.quantities import duration_ns, integer

if TYPE_CHECKING:
    from collections.abc import Callable

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
_NETWORKS = ("default", "none", "host")
_SECURITIES = ("sandbox", "insecure")
_SHORTEST_NS = 1_000_000  # the shortest time that docker takes for a health check
_HEALTH_FLAGS = ("interval", "timeout", "start-period", "start-interval", "retries")
_WITH_HEREDOCS = ("RUN", "COPY", "ADD")


class Written:
    """One instruction as it was written: what its maker works on."""

    def __init__(self, text: str, escape: str, first: int, last: int) -> None:
        parts = words.SPACES.split(text.strip(), maxsplit=1)
        self.keyword = parts[0].upper()
        self.shown_keyword = parts[0]
        self.flags, rest = words.split_flags(parts[1]) if len(parts) == 2 else ([], "")
        self.rest = rest.strip()
        self.text = text.strip()
        self.escape = escape
        self.first, self.last = first, last
        self.heredocs: tuple[Heredoc, ...] = ()

    def announced(self) -> list[Heredoc]:
        """The heredocs that follow the line."""
        if "<<" not in self.text:
            return []
        inner = self
        if self.keyword == "ONBUILD" and self.rest:
            inner = Written(self.rest, self.escape, 0, 0)
        if inner.keyword not in _WITH_HEREDOCS or words.json_form(inner.rest) is not None:
            return []
        return announced(self.text)

    def no_flags(self) -> None:
        """Refuses any flag."""
        Flags(self.flags)


def instruction(written: Written) -> Instruction:
    """The instruction, checked. Raises Fault."""
    maker = _MAKERS.get(written.keyword)
    if maker is None:
        close = suggestion(written.keyword, tuple(_MAKERS))
        raise Fault(f"unknown instruction: {written.shown_keyword}{close}", written.shown_keyword)
    return maker(written)


class _Base(TypedDict):
    """What every instruction has."""

    keyword: str
    text: str
    line: int
    last_line: int


def _base(written: Written) -> _Base:
    return {"keyword": written.keyword, "text": written.text, "line": written.first, "last_line": written.last}


def _at_least_one(keyword: str) -> Fault:
    return Fault(f"{keyword} requires at least one argument", keyword)


def _exactly_one(written: Written) -> str:
    if not written.rest:
        raise Fault(f"{written.keyword} requires exactly one argument", written.shown_keyword)
    return written.rest


def _from(written: Written) -> Instruction:
    found = words.plain_words(written.rest)
    name = ""
    if len(found) == 3 and found[1].lower() == "as":
        name = found[2].lower()
        if not _STAGE_NAME.fullmatch(name):
            raise Fault(
                f'invalid name for build stage: "{found[2]}", name can\'t start with a number or contain symbols',
                found[2],
            )
    elif len(found) != 1:
        raise Fault("FROM requires either one or three arguments", written.shown_keyword)
    flags = Flags(written.flags, text=("platform",))
    return kinds.From(**_base(written), base=found[0], platform=flags.text("platform"), name=name)


def _maintainer(written: Written) -> Instruction:
    author = _exactly_one(written)
    written.no_flags()
    return kinds.Maintainer(**_base(written), author=author)


def _pairs(written: Written) -> tuple[tuple[str, str], ...]:
    written.no_flags()
    pairs = words.name_values(written.rest, written.keyword, written.escape)
    if not pairs:
        raise _at_least_one(written.keyword)
    if not all(name for name, _ in pairs):
        raise Fault(f"{written.keyword} names can not be blank", "=")
    return tuple(pairs)


def _label(written: Written) -> Instruction:
    return kinds.Label(**_base(written), pairs=_pairs(written))


def _env(written: Written) -> Instruction:
    return kinds.Env(**_base(written), pairs=_pairs(written))


def _arg(written: Written) -> Instruction:
    written.no_flags()
    found = words.quoted_words(written.rest, written.escape)
    if not found:
        raise _at_least_one("ARG")
    pairs: list[tuple[str, str | None]] = []
    for word in found:
        name, equals, value = word.partition("=")
        if not name:
            raise Fault("ARG names can not be blank", word)
        pairs.append((name, value if equals else None))
    return kinds.Arg(**_base(written), pairs=tuple(pairs))


def _command(text: str) -> Command:
    """The exec form, or the shell form of the text as it stands."""
    strings = words.json_form(text)
    if strings is not None:
        return Command(tuple(strings), in_shell=False)
    return Command((text,) if text else (), in_shell=True)


def _run(written: Written) -> Instruction:
    flags = Flags(written.flags, text=("network", "security"), texts=("mount",))
    network = flags.text("network") or "default"
    security = flags.text("security") or "sandbox"
    if network not in _NETWORKS:
        raise Fault(f'unsupported network mode "{network}"{suggestion(network, _NETWORKS)}', network)
    if security not in _SECURITIES:
        raise Fault(f'security "{security}" is not valid{suggestion(security, _SECURITIES)}', security)
    command = _command(written.rest)
    if not command.words:
        raise _at_least_one("RUN")
    if any("\0" in heredoc.content for heredoc in written.heredocs):
        raise Fault("RUN cannot take a heredoc with NUL bytes", written.shown_keyword)
    return kinds.Run(
        **_base(written),
        command=command,
        heredocs=written.heredocs,
        mount_flags=flags.texts("mount"),
        mounts=tuple(parse_mount(text, None) for text in flags.texts("mount")),
        network=network,
        security=security,
    )


def _transfer(written: Written) -> tuple[tuple[str, ...], tuple[Heredoc, ...], str]:
    """Sources, heredocs among them, and the destination of COPY and ADD."""
    found = words.json_form(written.rest)
    if found is None:
        found = words.plain_words(written.rest)
    if len(found) < 2:
        raise Fault(
            f"{written.keyword} requires at least two arguments, but only one was provided. "
            "Destination could not be determined",
            written.shown_keyword,
        )
    *sources, destination = found
    if parse_heredoc(destination):
        raise Fault(f"{written.keyword} cannot accept a heredoc as a destination", destination)
    contents = {heredoc.name: heredoc for heredoc in written.heredocs}
    paths: list[str] = []
    heredocs: list[Heredoc] = []
    for source in sources:
        heredoc = parse_heredoc(source)
        if heredoc:
            heredocs.append(contents.get(heredoc.name, heredoc))
        else:
            paths.append(source)
    return tuple(paths), tuple(heredocs), destination


def _copy(written: Written) -> Instruction:
    flags = Flags(written.flags, ("chown", "chmod", "from"), ("exclude",), ("link", "parents"))
    sources, heredocs, destination = _transfer(written)
    return kinds.Copy(
        **_base(written),
        sources=sources,
        destination=destination,
        heredocs=heredocs,
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=bool(flags.truth("link")),
        exclude=flags.texts("exclude"),
        origin=flags.text("from"),
        parents=bool(flags.truth("parents")),
    )


def _add(written: Written) -> Instruction:
    flags = Flags(written.flags, ("chown", "chmod", "checksum"), ("exclude",), ("link", "keep-git-dir", "unpack"))
    sources, heredocs, destination = _transfer(written)
    return kinds.Add(
        **_base(written),
        sources=sources,
        destination=destination,
        heredocs=heredocs,
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=bool(flags.truth("link")),
        exclude=flags.texts("exclude"),
        checksum=flags.text("checksum"),
        keep_git_dir=bool(flags.truth("keep-git-dir")),
        unpack=flags.truth("unpack"),
    )


def _workdir(written: Written) -> Instruction:
    path = _exactly_one(written)
    written.no_flags()
    return kinds.Workdir(**_base(written), path=path)


def _user(written: Written) -> Instruction:
    user = _exactly_one(written)
    written.no_flags()
    return kinds.User(**_base(written), user=user)


def _stop_signal(written: Written) -> Instruction:
    signal = _exactly_one(written)
    written.no_flags()
    return kinds.StopSignal(**_base(written), signal=signal)


def _expose(written: Written) -> Instruction:
    ports = words.plain_words(written.rest)
    if not ports:
        raise _at_least_one("EXPOSE")
    written.no_flags()
    return kinds.Expose(**_base(written), ports=tuple(sorted(ports)))


def _volume(written: Written) -> Instruction:
    found = words.json_form(written.rest)
    if found is None:
        found = words.plain_words(written.rest)
    if not found:
        raise _at_least_one("VOLUME")
    written.no_flags()
    paths = tuple(path.strip() for path in found)
    if not all(paths):
        raise Fault("VOLUME specified can not be an empty string", written.rest)
    return kinds.Volume(**_base(written), paths=paths)


def _cmd(written: Written) -> Instruction:
    written.no_flags()
    return kinds.Cmd(**_base(written), command=_command(written.rest))


def _entrypoint(written: Written) -> Instruction:
    written.no_flags()
    return kinds.Entrypoint(**_base(written), command=_command(written.rest))


def _shell(written: Written) -> Instruction:
    written.no_flags()
    found = words.json_form(written.rest)
    if found is None and written.rest:
        raise Fault(f"SHELL requires the arguments to be in JSON form: {written.text}", written.rest)
    if not found:
        raise _at_least_one("SHELL")
    return kinds.Shell(**_base(written), words=tuple(found))


def _health_check(written: Written) -> Instruction:
    parts = written.rest.split(maxsplit=1)
    if not parts:
        raise _at_least_one("HEALTHCHECK")
    kind, rest = parts[0].upper(), parts[1] if len(parts) == 2 else ""
    flags = Flags(written.flags, text=_HEALTH_FLAGS)
    if kind == "NONE":
        if rest:
            raise Fault("HEALTHCHECK NONE takes no arguments", rest)
        return kinds.HealthCheck(**_base(written), test=("NONE",))
    if kind != "CMD":
        raise Fault(f'unknown type "{kind}" in HEALTHCHECK (try CMD)', parts[0])
    command = _command(rest)
    if not command.words:
        raise Fault("missing command after HEALTHCHECK CMD", parts[0])
    return kinds.HealthCheck(
        **_base(written),
        test=("CMD-SHELL" if command.in_shell else "CMD", *command.words),
        interval_ns=_interval(flags, "interval"),
        timeout_ns=_interval(flags, "timeout"),
        start_period_ns=_interval(flags, "start-period"),
        start_interval_ns=_interval(flags, "start-interval"),
        retries=_retries(flags.text("retries")),
    )


def _interval(flags: Flags, name: str) -> int:
    text = flags.text(name)
    if not text:
        return 0
    try:
        found = duration_ns(f"--{name}", text)
    except UsageError as error:
        raise Fault(error.message, text) from None
    if found and found < _SHORTEST_NS:
        raise Fault(f'interval "{name}" cannot be less than 1ms', text)
    return found


def _retries(text: str) -> int:
    if not text:
        return 0
    try:
        found = integer("--retries", text, bits=32)
    except UsageError as error:
        raise Fault(error.message, text) from None
    if found < 0:
        raise Fault(f"--retries cannot be negative ({found})", text)
    return found


def _on_build(written: Written) -> Instruction:
    written.no_flags()
    if not written.rest:
        raise _at_least_one("ONBUILD")
    inner = Written(written.rest, written.escape, written.first, written.last)
    inner.heredocs = written.heredocs
    if inner.keyword == "ONBUILD":
        raise Fault("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", inner.shown_keyword)
    if inner.keyword in ("MAINTAINER", "FROM"):
        raise Fault(f"{inner.keyword} isn't allowed as an ONBUILD trigger", inner.shown_keyword)
    instruction(inner)  # a fault is told now, not when somebody builds upon the image
    trigger = written.rest + "".join(f"\n{heredoc.content}{heredoc.name}" for heredoc in written.heredocs)
    return kinds.OnBuild(**_base(written), trigger=trigger)


_MAKERS: dict[str, Callable[[Written], Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _health_check,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _on_build,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
