"""Every flag of docker's and podman's clients is a flag of ours, or named in docs/compatibility.md."""

from __future__ import annotations

import re
import subprocess

import pytest

from abilities import CHECKOUT
from crate.cli import application, commands
from crate.cli.globals import rows
from crate.plan.unsupported import UNSUPPORTED

PAGE = (CHECKOUT / "docs/compatibility.md").read_text()
FLAG = re.compile(r"\s{2,6}(?:(-\w), )?(--[a-z0-9-]+)")


def flags(program: str, words: str) -> dict[str, str]:
    """Long name -> short name of the flags that a client shows for a command; none for one it does not have."""
    done = subprocess.run([program, *words.split(), "--help"], check=False, capture_output=True, text=True, timeout=30)
    shown = re.search(rf"\b{program} {words}( |$)", done.stdout, re.MULTILINE)
    found = [match for line in done.stdout.splitlines() if (match := FLAG.match(line))]
    return {match[2]: match[1] or "" for match in found if match[2] != "--help"} if shown else {}


def ours(words: str) -> set[str]:
    """Every name of an option of a command of crate."""
    return {name for parameter in application.load(commands.COMMANDS[words]).params for name in parameter.opts}


@pytest.mark.parametrize("words", [words for words in commands.COMMANDS if not words.startswith("__")])
@pytest.mark.parametrize("program", [pytest.param(p, marks=pytest.mark.requires(p)) for p in ("docker", "podman")])
def test_flags(program: str, words: str) -> None:
    have = ours(words)
    theirs = flags(program, words)
    assert [name for name in theirs if name not in have and f"`{name}`" not in PAGE] == []
    assert [f"{short} {name}" for name, short in theirs.items() if short and name in have and short not in have] == []


@pytest.mark.requires("podman")
def test_global_flags_of_podman() -> None:
    have = {name for row in rows() for name in row.default.param_decls}
    assert [name for name in flags("podman", "") if name not in have and name not in ("--ssh",)] == []


def test_refused_options_are_named() -> None:
    assert [key for key in UNSUPPORTED if f"`--{key.replace('_', '-')}`" not in PAGE] == []
