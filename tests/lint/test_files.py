"""The rules of files: length, names, a docstring that says the duty, no notes to self, no machine of ours."""

from __future__ import annotations

import re
import socket
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from abilities import CHECKOUT

LINES = 500
COMMAND_LINES = 120
FOLDERS = ("src", "tests", "bench", "scripts")
GENERATED = {"table.py"}  # scripts/generate-cli writes it
NO_NOUN = re.compile(r"(^|_)(utils?|common|helpers?|misc)(_|$)")


def modules() -> list[Path]:
    """Every Python file of ours."""
    return sorted(path for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*.py"))


@cache
def tracked() -> list[Path]:
    """Every file that git knows (all but ignored ones where there is no git)."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], check=True, cwd=CHECKOUT, capture_output=True, text=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return [path for path in CHECKOUT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [CHECKOUT / name for name in done.stdout.split("\0") if name and (CHECKOUT / name).is_file()]


def shown(path: Path) -> str:
    """A path as the reader knows it."""
    return str(path.relative_to(CHECKOUT))


def is_command(path: Path) -> bool:
    """Whether a file is `cli/<group>/<command>.py`: it declares options and has a main."""
    return "cli" in path.parts and path.parts[0] != "tests" and "def declare(" in path.read_text()


def test_files_are_short() -> None:
    too_long = {
        shown(path): length
        for path in modules()
        if path.name not in GENERATED
        and (length := len(path.read_text().splitlines())) > (COMMAND_LINES if is_command(path) else LINES)
    }
    assert not too_long


def test_names_are_nouns() -> None:
    assert not [shown(path) for path in modules() if NO_NOUN.search(path.stem) or NO_NOUN.search(path.parent.name)]


def test_modules_say_their_duty() -> None:
    docstring = re.compile(r'(#.*\n|\s)*"""\s*[^\s"]')  # before all else but comments
    assert not [shown(path) for path in modules() if path.stat().st_size and not docstring.match(path.read_text())]


def test_no_notes_to_self() -> None:
    word = re.compile("TO" + r"DO\b|FIX" + r"ME\b|XX" + r"X\b")
    assert not [shown(path) for path in modules() if word.search(path.read_text())]


def package_hosts() -> set[str]:
    """Hosts of package registries that this machine is set up with: apt's and pip's, and the machine's own name."""
    hosts = {socket.gethostname()}
    texts = [path.read_text() for path in Path("/etc/apt").rglob("*.*") if path.suffix in (".list", ".sources")]
    texts += [
        path.read_text() for path in (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf") if path.exists()
    ]
    for word in " ".join(texts).replace("=", " ").split():
        if word.startswith(("http://", "https://")):
            hosts.add(urlsplit(word).hostname or "")
    return {host for host in hosts if "." in host or "-" in host} - {"localhost"}


@pytest.mark.parametrize("host", sorted(package_hosts()))
def test_no_package_host_is_named(host: str) -> None:
    named = [shown(path) for path in tracked() if host.encode() in path.read_bytes()]
    assert not named, f"{host} is this machine's business"
