"""What a shell offers after a press of the tab key."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abilities import CHECKOUT
from crate.cli import app, complete, completion
from crate.errors import UsageError
from examples import examples
from unit.cli.command_lines import odd


def offered(line: str) -> list[str]:
    """The candidates for the last word of a line, which may be empty."""
    return [found.partition("\t")[0] for found in complete.candidates(line.split(" "), {})]


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No containers, images, networks and volumes."""
    monkeypatch.setattr(complete, "_objects", lambda module, kind, given: [])


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("ps", ["ps"]),
        ("container exi", ["container exists"[10:]]),
        ("cont", ["container"]),
        ("run --rm --ann", ["--annotation"]),
        ("run --pull al", ["always"]),
        ("run --pull=al", ["--pull=always"]),
        ("run -it --pull al", ["always"]),
        ("--log-level=debug vers", ["version"]),
        ("--root /nowhere vers", ["version"]),
        ("run --env-file ", [":files"]),
        ("completion b", ["bash"]),
        ("help vers", ["version"]),
        ("stop --si", ["--signal"]),
        ("stop --signal HU", ["HUP"]),
        ("run image --r", []),
        ("nothing x", []),
        ("__co", []),
        ("run --no-such ", []),
        ("stop -- --al", []),
    ],
)
def test_offered(nothing: None, line: str, wanted: list[str]) -> None:
    assert offered(line) == wanted


def test_first_word() -> None:
    assert {"run", "ps", "container", "image"} <= set(offered(""))
    assert "ls" in offered("container ")


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odd(), st.text(max_size=5))
def test_never_fails(nothing: None, line: list[str], last: str) -> None:
    for found in complete.candidates([*line, last], {"root": "/proc/nowhere", "runroot": "/proc/nowhere"}):
        assert "\n" not in found


def test_hidden_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert app.main(["__complete", "--", "ver"]) == 0
    assert capfd.readouterr().out == "version\n"


@pytest.mark.parametrize("shell", completion.SCRIPTS)
def test_script_is_sound(shell: str) -> None:
    text = completion.script(shell)
    assert "crate" in text and "__complete --" in text
    program = shutil.which(shell)
    if program:
        subprocess.run([program, "-n"], input=text, text=True, check=True)


def test_no_script_for_another_shell() -> None:
    with pytest.raises(UsageError, match="one of bash, zsh, fish"):
        completion.script("tcsh")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("crate vers", ["version"]),
        ("crate run --pull=al", ["always"]),
        ("crate run --pull al", ["always"]),
        ("crate run --pid=con", ["container:"]),
        ("crate run --env-file com", ["complete.bash"]),
    ],
)
def test_bash_completes(line: str, wanted: list[str], tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if not bash:
        pytest.skip("bash is not installed")
    (tmp_path / "complete.bash").write_text(completion.script("bash"))
    (tmp_path / "crate").symlink_to(CHECKOUT / "scripts/crate")
    # As bash's readline splits it: `=` and `:` are words of their own.
    words = line.replace("=", " = ").replace(":", " : ").split(" ")
    listed = " ".join(f"'{word}'" for word in words)
    script = f"""
        PATH={tmp_path}:$PATH; cd {tmp_path}; . ./complete.bash
        COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=({listed}) COMP_CWORD={len(words) - 1}
        _crate crate '{words[-1]}' '{words[-2]}'
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run([bash, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.split() == wanted, done.stderr
