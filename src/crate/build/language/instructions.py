"""The instructions of a Dockerfile, one dataclass each: what was written, parsed and checked, no variable expanded.

`expanding.expanded` gives the same instruction with its variables expanded, where the instruction has any. The words
are those of the reference of the Dockerfile language. Not for the effect that an instruction has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crate.build.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.build.running.mounts import Mount


@dataclass(frozen=True)
class Heredoc:
    """`<<NAME`: `content` as it stands in the file, every line with its newline, without the closing name.

    `strips_tabs` for `<<-`: leading tabs go (`text` is without them). `expands` unless a part of the name was quoted.
    """

    name: str
    content: str = ""
    expands: bool = True
    strips_tabs: bool = False
    descriptor: int = 0

    @property
    def text(self) -> str:
        """The content, without the leading tabs for `<<-`."""
        if not self.strips_tabs:
            return self.content
        return "\n".join(line.lstrip("\t") for line in self.content.split("\n"))


@dataclass(frozen=True)
class Command:
    """A command: the words of the exec form, or one word for the shell (no word for `CMD` with nothing behind it)."""

    words: tuple[str, ...]
    in_shell: bool

    def argv(self, shell: Sequence[str]) -> list[str]:
        """What is executed, and what stands in an image's config; `shell` as of SHELL, for instance /bin/sh -c."""
        return [*shell, " ".join(self.words)] if self.in_shell else list(self.words)


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """What every instruction has. `text` is the logical line as written, its continuation lines joined.

    `line` and `last_line` count from 1 and include heredocs; both are 0 for a trigger of an image's OnBuild.
    """

    keyword: str
    text: str
    line: int
    last_line: int


@dataclass(frozen=True, kw_only=True)
class From(Instruction):
    """FROM [--platform=] base [AS name]; the name is in lower case."""

    base: str
    platform: str = ""
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Maintainer(Instruction):
    """MAINTAINER: the author of the image."""

    author: str


@dataclass(frozen=True, kw_only=True)
class Label(Instruction):
    """LABEL key=value ..., in the order written."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Env(Instruction):
    """ENV key=value ..., or ENV key all the rest."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Arg(Instruction):
    """ARG name[=default] ...; None where no default is given."""

    pairs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, kw_only=True)
class Run(Instruction):
    """RUN. `mount_flags` are the values of --mount as written; `mounts` what they mean, once expanded.

    Before expansion only `from` and `type` of `mounts` are to be relied upon. `network`: default, none or host.
    `security`: sandbox or insecure.
    """

    command: Command
    heredocs: tuple[Heredoc, ...] = ()
    mount_flags: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    security: str = "sandbox"

    @property
    def program(self) -> Heredoc | None:
        """The heredoc that is a program (`RUN <<EOF`, first line `#!`), run as /dev/pipes/NAME, mode 0755."""
        first = self._only_heredoc()
        return first if first and first.content.startswith("#!") else None

    def argv(self, shell: Sequence[str]) -> list[str]:
        """What is executed; heredocs are part of the shell's script, or the program of `program`."""
        if not self.heredocs:
            return self.command.argv(shell)
        program = self.program
        if program:
            return [f"/dev/pipes/{program.name}"]
        only = self._only_heredoc()
        if only:
            return [*shell, only.text]
        script = "".join([self.command.words[0], *(f"\n{doc.content}{doc.name}" for doc in self.heredocs)])
        return [*shell, script]

    def _only_heredoc(self) -> Heredoc | None:
        """The first heredoc, when the command is nothing but `<<NAME`."""
        from crate.build.language.heredoc import parse_heredoc

        return self.heredocs[0] if self.heredocs and parse_heredoc(self.command.words[0]) else None


@dataclass(frozen=True, kw_only=True)
class Transfer(Instruction):
    """What COPY and ADD share: `sources` (paths, patterns, for ADD also URLs), `heredocs` as further sources.

    `chmod` is octal or symbolic (mode.py), `chown` is `user[:group]`, both "" when not given.
    """

    sources: tuple[str, ...]
    destination: str
    heredocs: tuple[Heredoc, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Copy(Transfer):
    """COPY. `origin` is the value of --from, "" for the build context."""

    origin: str = ""
    parents: bool = False


@dataclass(frozen=True, kw_only=True)
class Add(Transfer):
    """ADD. `unpack` is None when not given: local archives are unpacked then, downloaded ones are not."""

    checksum: str = ""
    keep_git_dir: bool = False
    unpack: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Workdir(Instruction):
    """WORKDIR: relative to the one before."""

    path: str


@dataclass(frozen=True, kw_only=True)
class User(Instruction):
    """USER user[:group]."""

    user: str


@dataclass(frozen=True, kw_only=True)
class Expose(Instruction):
    """EXPOSE: words `port[-port][/protocol]`, checked once expanded (`exposed_ports`)."""

    ports: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Volume(Instruction):
    """VOLUME: paths."""

    paths: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Entrypoint(Instruction):
    """ENTRYPOINT."""

    command: Command


@dataclass(frozen=True, kw_only=True)
class Cmd(Instruction):
    """CMD."""

    command: Command


@dataclass(frozen=True, kw_only=True)
class StopSignal(Instruction):
    """STOPSIGNAL: a name or number, checked by whoever executes it."""

    signal: str


@dataclass(frozen=True, kw_only=True)
class HealthCheck(Instruction):
    """HEALTHCHECK. `test` is as in docker's image config: ("NONE",), ("CMD", ...) or ("CMD-SHELL", script).

    Times are in nanoseconds, as the config has them; 0 is the default.
    """

    test: tuple[str, ...]
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


@dataclass(frozen=True, kw_only=True)
class Shell(Instruction):
    """SHELL ["program", "argument"]."""

    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class OnBuild(Instruction):
    """ONBUILD: `trigger` is an instruction as text, heredocs included; `dockerfile.parse_trigger` reads it."""

    trigger: str


@dataclass(frozen=True)
class Stage:
    """From one FROM to the next. `name` is "" without AS; `base` and `platform` are not yet expanded."""

    name: str
    index: int
    base: str
    platform: str
    instructions: tuple[Instruction, ...]
    line: int
    text: str


@dataclass(frozen=True)
class Dockerfile:
    """A whole file. `directives` are syntax, escape, check as given; `escape` is the character in force.

    `global_args` are the ARGs before the first FROM; `source` the lines of the file, for messages.
    """

    name: str
    directives: dict[str, str]
    escape: str
    global_args: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    warnings: tuple[str, ...] = ()
    source: tuple[str, ...] = field(default=(), repr=False)
