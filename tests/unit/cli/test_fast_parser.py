"""The fast parser and Typer understand every command line alike; the fast one leaves to Typer what it does not know."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from crate.cli import application, fast, helptext
from crate.errors import UsageError
from examples import examples
from unit.cli.command_lines import odd, right

Answer = tuple[Any, dict[str, Any]]
RELAXED = settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))


def quick(line: list[str]) -> Answer | str | None:
    """What the fast parser says: main and options, words whose help is wanted, or None."""
    request = fast.parse(list(line))
    if request is None:
        return None
    module, options, words = request
    if not module:
        return words or "crate"
    __import__(f"crate.cli.{module}")
    return sys.modules[f"crate.cli.{module}"].main, options


@RELAXED
@given(right())
def test_right_lines_are_understood_by_both(line: list[str]) -> None:
    assert quick(line) == application.parse(line)


@RELAXED
@given(odd())
@example(["run", "-it", "-h", "x", "image"])
@example(["run", "--rm=maybe", "image"])
@example(["run", "--rm --tty", "image"])
@example(["stop", "-t", "5", "a"])
@example(["stop", "--", "-t"])
@example(["--", "stop", "a"])
@example(["run", "--name"])
@example(["container"])
@example([])
def test_odd_lines_are_understood_alike_or_left_to_typer(line: list[str]) -> None:
    answer = quick(line)
    if answer is None or isinstance(answer, str) or (len(answer[1]["globals"]) and answer[1]["globals"].get("version")):
        return
    try:
        assert answer == application.parse(line)
    except UsageError as error:
        pytest.fail(f"Typer refuses what the fast parser takes: {error}")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("run -it --rm img sh -c ls", {"interactive": True, "tty": True, "rm": True, "command": ["sh", "-c", "ls"]}),
        ("run -itd img", {"interactive": True, "tty": True, "detach": True}),
        ("run --rm=false img", {"rm": False}),
        ("run --rm --rm=false --rm img", {"rm": True}),
        ("run -eFOO=1 -e=BAR=2 --env BAZ img", {"env": ["FOO=1", "BAR=2", "BAZ"]}),
        ("run -m128m img", {"memory": "128m"}),
        ("run -m=128m img", {"memory": "128m"}),
        ("run --memory=1 --memory 2 img", {"memory": "2"}),
        ("run --net none img", {"network": ["none"]}),
        ("run --cpuset 0,1 img", {"cpuset_cpus": "0,1"}),
        ("run --cap-add A,B --cap-add C img", {"cap_add": ["A", "B", "C"]}),
        ("run --pids-limit -1 img", {"pids_limit": -1}),
        ("run img --rm -- x", {"rm": None, "command": ["--rm", "--", "x"]}),
        ("run -- img -x", {"image": "img", "command": ["-x"]}),
        ("run --entrypoint= img", {"entrypoint": ""}),
        ("run -h host img", {"hostname": "host"}),
        ("exec -it c ls -l", {"container": "c", "command": ["ls", "-l"]}),
        ("stop a -t 5 b", {"containers": ["a", "b"], "timeout": 5}),
        ("stop --time=0 a", {"timeout": 0}),
        ("rm -fv a", {"force": True, "volumes": True}),
        ("container ls -aq", {"all": True, "quiet": True}),
        ("--root /r ps --log-level debug", {"globals": {"root": "/r", "log_level": "debug"}}),
        ("ps --filter name=a -f name=b", {"filter": ["name=a", "name=b"]}),
        ("ps --format {{.ID}} --format {{.Names}}", {"format": "{{.Names}}"}),
    ],
)  # fmt: skip
def test_spellings_of_docker_and_podman(line: str, wanted: dict[str, Any]) -> None:
    for answer in (quick(line.split()), application.parse(line.split())):
        assert isinstance(answer, tuple)
        assert {key: answer[1][key] for key in wanted} == wanted


@pytest.mark.parametrize("line", ["run --help", "run --rm --help img", "container --help", "--help", "-h", "ps -h"])
def test_help_is_found_fast(line: str) -> None:
    words = quick(line.split())
    assert isinstance(words, str)
    assert helptext.text("" if words == "crate" else words).startswith("Usage:  crate")


def test_option_of_the_command_in_the_container_is_not_ours() -> None:
    answer = quick(["run", "img", "ls", "--help"])
    assert isinstance(answer, tuple) and answer[1]["command"] == ["ls", "--help"]


def test_absent_options_are_none() -> None:
    answer = quick(["run", "img"])
    assert isinstance(answer, tuple)
    given = {key: value for key, value in answer[1].items() if value is not None}
    assert given == {"image": "img", "globals": {}}
    assert application.parse(["run", "img"]) == answer
