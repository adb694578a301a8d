"""Wrong command lines: one line that names what is wrong, 125, and no traceback."""

from __future__ import annotations

import pytest

from crate.cli import app


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run --no-such-thing img", "unknown flag: --no-such-thing (hint: see 'crate run --help')"),
        ("run --interactiv img", "unknown flag: --interactiv, did you mean --interactive?"),
        ("stop -z", "unknown shorthand flag: 'z' in -z"),
        ("stop -at", "flag needs an argument: 't' in -at"),
        ("run -h", "flag needs an argument: 'h' in -h"),
        ("run --name", "flag needs an argument: --name"),
        ("run --rm=maybe img", 'invalid argument "maybe" for "--rm" flag: not a boolean'),
        ("run --pids-limit many img", "invalid argument for \"--pids-limit\" flag: 'many' is not an integer"),
        ("run --=x", "bad flag syntax: --=x"),
        ("run", "'crate run' requires at least 1 argument"),
        ("tag one", "'crate tag' requires at least 2 arguments"),
        ("version x", "'crate version' takes no arguments"),
        ("port a b c", "'crate port' accepts at most 2 arguments"),
        ("bad --invalid", "unrecognized command `crate bad`"),
        ("stpo x", "unrecognized command `crate stpo`, did you mean stop?"),
        ("container bad", "unrecognized command `crate container bad`"),
        ("container", "missing command 'crate container COMMAND'"),
        ("", "missing command 'crate COMMAND'"),
        ("stop", "you must provide at least one name or id"),
        ("stop -l web", "--latest and containers cannot be used together"),
        ("stop --all --latest", "--all and --latest cannot be used together"),
        ("-H tcp://elsewhere ps", "--host is not for crate"),
        ("--context=swarm version", "no context 'swarm'"),
        ("help nothing", "unrecognized command `crate nothing`"),
        ("inspect --type cow x", 'invalid --type "cow"'),
    ],
)
def test_message(line: str, message: str, tmp_path: object, capfd: pytest.CaptureFixture[str]) -> None:
    roots = ["--root", f"{tmp_path}/root", "--runroot", f"{tmp_path}/run"] if line and line[0].islower() else []
    assert app.main([*roots, *line.split()]) == 125
    error = capfd.readouterr().err
    assert error.startswith("Error: ") and message in error
    assert error.count("\n") == 1


def test_unknown_log_level(capfd: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--log-level=telepathic", "version"]) == 1
    assert capfd.readouterr().err.startswith('Log Level "telepathic" is not supported, choose from: trace, debug')
    assert app.main(["--debug", "version", "--log-level=info"]) == 1
    assert capfd.readouterr().err == "Setting --log-level and --debug is not allowed\n"


def test_a_bug_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(app, "print_help", broken)
    assert app.main(["--help"]) == 125
    assert capfd.readouterr().err.count("\n") == 1
    assert app.main(["--debug", "--help"]) == 125
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 141)])
def test_ends_that_need_no_words(
    error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def end(*_: object) -> None:
        raise error

    monkeypatch.setattr(app, "print_help", end)
    assert app.main(["--help"]) == status
    assert capfd.readouterr().err == ""
