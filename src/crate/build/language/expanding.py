"""Which parts of an instruction have variables in them, and the instruction with these expanded.

ENV, LABEL (names and values), WORKDIR, USER, STOPSIGNAL, VOLUME, EXPOSE (which is split into words), the paths, owner,
mode, checksum and exclusions of COPY and ADD, their heredocs unless the name is quoted, and the values of RUN --mount.
RUN, CMD and ENTRYPOINT are left to the shell; ARG is the matter of `arguments`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crate.build.language import instructions as kinds
from crate.build.language.dockerfile_error import Fault, located
from crate.build.language.expansion import Expansion, Lexer
from crate.build.records import dataclass, replace
from crate.build.running.mounts import parse_mount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crate.build.language.instructions import Dockerfile, Heredoc, Instruction


@dataclass(frozen=True)
class Expanded:
    """The instruction to be executed, the variables that it asked for and got, and those that are not set."""

    instruction: Instruction
    used: frozenset[str]
    unset: frozenset[str]


def expanded(instruction: Instruction, variables: Mapping[str, str], dockerfile: Dockerfile) -> Expanded:
    """The instruction with its variables replaced. Raises DockerfileError."""
    expander = _Expander(variables, dockerfile.escape)
    try:
        result = expander.instruction(instruction)
    except Fault as fault:
        source = dockerfile.source if instruction.line else instruction.text.split("\n")
        raise located(fault, dockerfile.name, instruction.line or 1, source, instruction.last_line) from None
    return Expanded(result, frozenset(expander.used), frozenset(expander.unset))


class _Expander:
    """Expands the words of one instruction and remembers the variables."""

    def __init__(self, variables: Mapping[str, str], escape: str) -> None:
        self._variables = variables
        self._lexer = Lexer(escape)
        self.used: set[str] = set()
        self.unset: set[str] = set()

    def instruction(self, one: Instruction) -> Instruction:
        if isinstance(one, (kinds.Env, kinds.Label)):
            return replace(one, pairs=tuple((self._word(name), self._word(value)) for name, value in one.pairs))
        if isinstance(one, kinds.Workdir):
            return replace(one, path=self._word(one.path))
        if isinstance(one, kinds.User):
            return replace(one, user=self._word(one.user))
        if isinstance(one, kinds.StopSignal):
            return replace(one, signal=self._word(one.signal))
        if isinstance(one, kinds.Volume):
            return replace(one, paths=self._words(one.paths))
        if isinstance(one, kinds.Expose):
            ports = tuple(port for text in one.ports for port in self._expansion(text, self._lexer).words)
            return replace(one, ports=ports)
        if isinstance(one, kinds.Transfer):
            return self._transfer(one)
        if isinstance(one, kinds.Run):
            return replace(one, mounts=tuple(parse_mount(text, self._word) for text in one.mount_flags))
        return one

    def _transfer(self, one: kinds.Transfer) -> kinds.Transfer:
        one = replace(
            one,
            sources=self._words(one.sources),
            destination=self._word(one.destination),
            heredocs=tuple(self._heredoc(heredoc) for heredoc in one.heredocs),
            chown=self._word(one.chown),
            chmod=self._word(one.chmod),
            exclude=self._words(one.exclude),
        )
        return replace(one, checksum=self._word(one.checksum)) if isinstance(one, kinds.Add) else one

    def _heredoc(self, heredoc: Heredoc) -> Heredoc:
        text = heredoc.text
        if heredoc.expands:
            text = self._expansion(text, Lexer("\\", reads_quotes=False)).text
        return replace(heredoc, content=text, strips_tabs=False)

    def _words(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self._word(text) for text in texts)

    def _word(self, text: str) -> str:
        return self._expansion(text, self._lexer).text

    def _expansion(self, text: str, lexer: Lexer) -> Expansion:
        expansion = lexer.expand(text, self._variables)
        self.used |= expansion.used
        self.unset |= expansion.unset
        return expansion
