"""The vocabulary in which command files declare their options; cold, since it imports Typer.

A declaration is a Typer command whose parameters are made by the functions below, so that each option is one line. Each
parameter's key is its first long name with `_` for `-`; a value is what was typed, None when it was not given:
`flag` bool, `text` and `optional` str, `number` int, `many` a list, `commas` a list whose items may also be joined by
commas.
"""

from __future__ import annotations

import inspect
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import typer

from crate.cli.pflag import OPTIONAL, DockerCommand, parse_commas, parse_integer

if TYPE_CHECKING:
    from collections.abc import Callable

Row = inspect.Parameter


def _option(annotation: Any, names: tuple[str, ...], help: str, **settings: Any) -> Row:
    key = next(name for name in names if name.startswith("--"))[2:].replace("-", "_")
    key += "_" * iskeyword(key)  # --from
    info = typer.Option(None, *names, help=help, show_default=False, **settings)
    return Row(key, Row.KEYWORD_ONLY, default=info, annotation=annotation)


def flag(*names: str, help: str, hidden: bool = False) -> Row:
    """`--rm`, `--rm=false`."""
    return _option(bool | None, names, help, hidden=hidden)


def text(*names: str, help: str, metavar: str = "string", hidden: bool = False) -> Row:
    """`--name NAME`; the last one wins."""
    return _option(str | None, names, help, metavar=metavar, hidden=hidden)


def optional(*names: str, help: str, metavar: str = "string") -> Row:
    """`--pull`, which is `--pull=true`, and `--pull=never`; a word that follows is no value."""
    return _option(str | None, names, help, metavar=metavar + OPTIONAL)


def number(*names: str, help: str, metavar: str = "int", hidden: bool = False) -> Row:
    """`--pids-limit 100`; decimal."""
    return _option(int | None, names, help, metavar=metavar, hidden=hidden, parser=parse_integer)


def many(*names: str, help: str, metavar: str = "list", hidden: bool = False) -> Row:
    """`-e A=1 -e B=2`."""
    return _option(list[str] | None, names, help, metavar=metavar, hidden=hidden)


def commas(*names: str, help: str, metavar: str = "list", hidden: bool = False) -> Row:
    """`--cap-add A,B --cap-add C`."""
    return _option(list[str] | None, names, help, metavar=metavar, hidden=hidden, parser=parse_commas)


def argument(key: str, metavar: str, *, required: bool = True, several: bool = False) -> Row:
    """A positional argument: `IMAGE`, `[COMMAND...]`. Keys of several are lists."""
    annotation: Any = list[str] if several else str
    info = typer.Argument(... if required else None, metavar=metavar, show_default=False)
    return Row(key, Row.KEYWORD_ONLY, default=info, annotation=annotation if required else annotation | None)


def command(
    app: typer.Typer,
    name: str,
    main: Callable[[dict[str, Any]], int],
    *rows: Row,
    help: str,
    examples: str,
    description: str = "",
    stop_at_argument: bool = False,
    hidden: bool = False,
) -> None:
    """Adds one command to a Typer app.

    `help` is its line in a list of commands, `description` what more a manual page says, `examples` lines of
    `crate …`; `stop_at_argument` ends the options at the first argument, as `run IMAGE COMMAND` wants it.
    """
    from crate.cli.globals import hidden_rows

    def callback(**values: Any) -> tuple[Callable[[dict[str, Any]], int], dict[str, Any]]:
        return main, values

    own = {row.name for row in rows}
    callback.__annotations__ = {}  # typer would evaluate them; the signature says it all
    callback.__signature__ = inspect.Signature([*rows, *hidden_rows(own)])  # type: ignore[attr-defined]
    app.command(
        name,
        cls=DockerCommand,
        help=help + ("\n\n" + inspect.cleandoc(description) if description else ""),
        epilog=inspect.cleandoc(examples),
        hidden=hidden,
        context_settings={"allow_interspersed_args": not stop_at_argument, "help_option_names": ["--help", "-h"]},
    )(callback)
