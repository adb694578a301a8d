"""What `scripts/generate-cli` writes is what lies in the tree; every command has help, examples and a page."""

from __future__ import annotations

import subprocess
import sys

import pytest

from abilities import CHECKOUT
from crate.cli import application, commands, generate, helptext


def test_nothing_is_out_of_date() -> None:
    program = [sys.executable, str(CHECKOUT / "scripts/generate_cli.py"), "--check"]
    done = subprocess.run(program, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"run scripts/generate-cli\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("words", [words for words in commands.COMMANDS if not words.startswith("__")])
def test_command_says_how_it_is_used(words: str) -> None:
    text = helptext.text(words)
    assert text.startswith(f"Usage:  crate {words}")
    assert "\nExamples:\n  crate " in text
    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith("  crate"))


@pytest.mark.parametrize("module", commands.modules())
def test_declaration_is_sound(module: str) -> None:
    command = application.load(module)
    names = [name for parameter in command.params if parameter.param_type_name == "option" for name in parameter.opts]
    assert len(names) == len(set(names)), "an option twice"
    for option in generate.visible(command):
        assert option.help and not option.help.endswith("."), option.name
    assert generate.summary(command)[0].isupper()


def test_colour_only_adds_colour() -> None:
    for words in ("run", "container", ""):
        plain = helptext.text(words)
        coloured = helptext.coloured(plain)
        assert coloured != plain
        for code in ("\x1b[1m", "\x1b[36m", "\x1b[0m"):
            coloured = coloured.replace(code, "")
        assert coloured == plain
