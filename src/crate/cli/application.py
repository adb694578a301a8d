"""The Typer application: every command, loaded when it is named; cold.

Whatever the fast parser leaves to it is parsed here: unusual spellings, and everything wrong, which it has words for.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer
import typer.main
from typer._click.exceptions import ClickException
from typer._click.exceptions import UsageError as ClickUsageError
from typer.core import TyperGroup
from typer.exceptions import Exit

from crate.cli import commands
from crate.cli.globals import PREFIX, rows
from crate.cli.options import command
from crate.cli.pflag import DockerCommand, DockerParser
from crate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typer._click.core import Command, Context
    from typer._click.parser import _OptionParser

    Main = Callable[[dict[str, Any]], int]


def load(module: str) -> DockerCommand:
    """The Typer command that a command file declares."""
    name = f"crate.cli.{module}"
    __import__(name)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    sys.modules[name].declare(app)
    loaded = typer.main.get_command(app)
    assert isinstance(loaded, DockerCommand)
    return loaded


class CrateGroup(TyperGroup):
    """A group whose commands are imported one by one, when they are asked for."""

    def __init__(self, words: str = "", **settings: Any) -> None:
        settings.setdefault("name", words or "crate")
        super().__init__(rich_markup_mode=None, subcommand_metavar="COMMAND", **settings)
        self.words = words + " " if words else ""
        self.context_settings = {"help_option_names": ["--help", "-h"]}

    def list_commands(self, ctx: Context) -> list[str]:
        below = [words[len(self.words) :] for words in commands.COMMANDS if words.startswith(self.words)]
        names = [name for name in below if " " not in name and not name.startswith("__")]
        groups = [words[len(self.words) :] for words in commands.GROUPS if words.startswith(self.words)]
        return [*names, *(name for name in groups if " " not in name)]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        if self.words + cmd_name in commands.GROUPS:
            return CrateGroup(self.words + cmd_name, help=commands.GROUPS[self.words + cmd_name])
        module = commands.COMMANDS.get(self.words + cmd_name)
        return load(module) if module else None

    def make_parser(self, ctx: Context) -> _OptionParser:
        parser = DockerParser(ctx)
        for parameter in self.get_params(ctx):
            parameter.add_to_parser(parser, ctx)
        return parser

    def invoke(self, ctx: Context) -> Any:
        if not ctx._protected_args:
            from crate.cli.app import print_help

            print_help(self.words.rstrip())
            raise ClickUsageError(f"missing command 'crate {self.words}COMMAND'", ctx)
        return super().invoke(ctx)

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        found = self.get_command(ctx, args[0])
        if found is None:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            did = f", did you mean {near[0]}?" if near else ""
            raise ClickUsageError(f"unrecognized command `crate {self.words}{args[0]}`{did}", ctx)
        return args[0], found, args[1:]


def build() -> CrateGroup:
    """The whole application; nothing of a command is imported before it is named."""
    carrier = typer.Typer(add_completion=False, rich_markup_mode=None)
    command(carrier, "crate", lambda _: 0, *rows(), help="Containers without a daemon", examples="")
    options = [p for p in typer.main.get_command(carrier).params if not str(p.name).startswith(PREFIX)]
    return CrateGroup(params=options)


def parse(arguments: Sequence[str]) -> tuple[Main, dict[str, Any]] | None:
    """The command's `main` and its options. None: help was wanted and printed. Raises UsageError."""
    group = build()
    try:
        with group.make_context("crate", list(arguments)) as context:
            main, options = group.invoke(context)
            before = {key: _plain(value) for key, value in context.params.items() if value not in (None, ())}
    except Exit:
        return None
    except ClickUsageError as error:
        path = error.ctx.command_path if error.ctx else "crate"
        raise UsageError(_reason(error, path), f"see '{path} --help'") from None
    except ClickException as error:
        raise UsageError(error.format_message()) from None
    return main, split_globals(options, before)


def split_globals(options: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Moves what was given of `--global` options, before and after the command, into one dict under `globals`."""
    mine = {}
    found = dict(before)
    for key, value in options.items():
        if not key.startswith(PREFIX):
            mine[key] = _plain(value)
        elif value not in (None, ()):
            name = key[len(PREFIX) :]
            found[name] = [*found.get(name, []), *value] if isinstance(value, (list, tuple)) else value
    mine["globals"] = found
    return mine


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _reason(error: ClickUsageError, path: str) -> str:
    """Click's words for arguments and values, in docker's."""
    from typer._click.exceptions import BadParameter, MissingParameter

    parameter = getattr(error, "param", None)
    if isinstance(error, MissingParameter):
        required = [
            p for p in (error.ctx.command.params if error.ctx else []) if p.param_type_name == "argument" and p.required
        ]
        return f"'{path}' requires at least {len(required)} argument{'s' * (len(required) > 1)}"
    if isinstance(error, BadParameter) and parameter is not None and parameter.param_type_name == "option":
        return f'invalid argument for "{", ".join(parameter.opts)}" flag: {error.message}'
    if error.message.startswith("Got unexpected extra argument"):
        arguments = [p for p in (error.ctx.command.params if error.ctx else []) if p.param_type_name == "argument"]
        if not arguments:
            return f"'{path}' takes no arguments"
        return f"'{path}' accepts at most {len(arguments)} argument{'s' * (len(arguments) > 1)}"
    return error.message[:1].lower() + error.message[1:].rstrip(".")
