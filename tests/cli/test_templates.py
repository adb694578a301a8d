"""podman and docker print what our templates print: their Go is the oracle of tests/unit/cli/test_template.py."""
# ruff: noqa: E501

from __future__ import annotations

import subprocess

import pytest

from crate.cli.template import render
from unit.cli.template_cases import ERRORS, OUTPUTS


def asked(program: str, text: str) -> subprocess.CompletedProcess[str]:
    """`version --format TEMPLATE`, which needs no engine for a template without fields."""
    command = [program, "version", "--format", text]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)


@pytest.mark.requires("podman")
@pytest.mark.parametrize(("text", "wanted"), OUTPUTS)
def test_podman_prints_the_same(text: str, wanted: str) -> None:
    assert asked("podman", text).stdout.rstrip("\n") == wanted.rstrip("\n")


@pytest.mark.requires("podman")
@pytest.mark.parametrize(("text", "wanted"), ERRORS)
def test_podman_has_the_same_error(text: str, wanted: str) -> None:
    done = asked("podman", text)
    assert (done.returncode, done.stderr) == (125, f"Error: template: version:{wanted}\n")


@pytest.mark.requires("docker")
@pytest.mark.parametrize(
    "text",
    [
        *(text for text, _ in OUTPUTS if "%" not in text),
        '{{split "a,b" ","}} {{join (split "a,b" ",") "-"}} {{pad "a" 2 3}}| {{truncate "hello" 2}} {{title "hello wORLD"}}',
        "{{range 3}}{{.}}{{end}}",
        "{{with 0}}a{{else with 1}}{{.}}{{end}}",
        '{{json "a<b>&"}} {{json (split "a b" " ")}}',
    ],
)
def test_docker_prints_the_same(text: str) -> None:
    assert asked("docker", text).stdout.rstrip("\n") == render(text, {}).rstrip("\n")
