"""Typer's parser with the spelling of docker and podman (Go's pflag); cold.

What click does otherwise: it refuses `--rm=false`, takes `-e=A=1` as `=A=1`, and words its errors in its own way.
The fast parser (`cli/fast.py`) follows the same rules; a property test holds the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer._click.exceptions import UsageError as ClickUsageError  # typer keeps its click private
from typer._click.parser import _OptionParser
from typer.core import TyperCommand

from crate.cli.fast import BOOLEANS

if TYPE_CHECKING:
    from typer._click.core import Context
    from typer._click.parser import _Option, _ParsingState


OPTIONAL = '[="true"]'  # at the end of a metavar


def parse_integer(value: str | int) -> int:
    """A decimal integer; click calls this again with a value that is one already."""
    word = str(value)
    digits = word[1:] if word[:1] in ("-", "+") else word
    if not (digits.isascii() and digits.isdigit()):
        raise typer.BadParameter(f"{word!r} is not an integer")
    return int(word)


def parse_commas(value: str) -> Any:
    """`A,B` as its items; `DockerCommand.invoke` makes one list of the lists."""
    return value.split(",")


def is_optional(parameter: Any) -> bool:
    """Is this a text option that may stand without a value, meaning `true` then (pflag's NoOptDefVal)?"""
    return str(getattr(parameter, "metavar", None) or "").endswith(OPTIONAL)


def _names(option: _Option) -> str:
    return ", ".join([*option._short_opts, *option._long_opts[:1]])


class DockerParser(_OptionParser):
    """Long options with `=`, bundles of short ones, booleans with a value."""

    def _process_opts(self, arg: str, state: _ParsingState) -> None:
        if arg.startswith("--"):
            self._long(arg, state)
        else:
            self._short(arg, state)

    def _fail(self, message: str) -> ClickUsageError:
        return ClickUsageError(message, self.ctx)

    def _long(self, arg: str, state: _ParsingState) -> None:
        name, equals, value = arg.partition("=")
        if name == "--":
            raise self._fail(f"bad flag syntax: {arg}")
        option = self._long_opt.get(name)
        if option is None:
            raise self._unknown(name)
        if equals:
            self._set(option, value, state)
        elif not option.takes_value:
            option.process(None, state)
        elif is_optional(option.obj):
            option.process("true", state)
        elif state.rargs:
            option.process(state.rargs.pop(0), state)
        else:
            raise self._fail(f"flag needs an argument: {name}")

    def _short(self, arg: str, state: _ParsingState) -> None:
        letters = arg[1:]
        while letters:
            option = self._short_opt.get("-" + letters[0])
            if option is None:
                raise self._fail(f"unknown shorthand flag: {letters[0]!r} in {arg}")
            rest = letters[1:]
            if rest[:1] == "=" and len(rest) > 1:
                self._set(option, rest[1:], state)
                return
            if option.takes_value:
                if not rest and not state.rargs:
                    raise self._fail(f"flag needs an argument: {letters[0]!r} in {arg}")
                option.process(rest or state.rargs.pop(0), state)
                return
            option.process(None, state)
            letters = rest

    def _set(self, option: _Option, value: str, state: _ParsingState) -> None:
        if option.takes_value:
            option.process(value, state)
        elif value in BOOLEANS:
            state.opts[str(option.dest)] = BOOLEANS[value]
        else:
            raise self._fail(f'invalid argument "{value}" for "{_names(option)}" flag: not a boolean')

    def _unknown(self, name: str) -> ClickUsageError:
        from difflib import get_close_matches

        shown = [name for name, option in self._long_opt.items() if not option.obj.hidden]
        near = get_close_matches(name, shown, n=1, cutoff=0.75)
        return self._fail(f"unknown flag: {name}" + (f", did you mean {near[0]}?" if near else ""))


class DockerCommand(TyperCommand):
    """A command parsed by `DockerParser`; its help is the text that was rendered ahead."""

    def make_parser(self, ctx: Context) -> _OptionParser:
        parser = DockerParser(ctx)
        for parameter in self.get_params(ctx):
            parameter.add_to_parser(parser, ctx)
        return parser

    def invoke(self, ctx: Context) -> Any:
        for key, value in ctx.params.items():
            if value and isinstance(value, (list, tuple)) and isinstance(value[0], list):
                ctx.params[key] = [item for items in value for item in items]
        return super().invoke(ctx)
