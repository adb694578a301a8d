"""The exit statuses of `run`: the command's own, and 125, 126, 127 and 128+n for what came in its way."""

from __future__ import annotations

import subprocess

import pytest

from program import Crate, until

IMAGE = "crate.local/busybox"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox", "nft"), pytest.mark.usefixtures("busybox")]


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["true"], 0),
        (["false"], 1),
        (["sh", "-c", "exit 32"], 32),
        (["sh", "-c", "exit 255"], 255),
    ],
)
def test_status_of_the_command(crate: Crate, command: list[str], status: int) -> None:
    result = crate("run", "--rm", "--network", "none", IMAGE, *command)
    assert (result.status, result.out, result.err) == (status, "", "")


@pytest.mark.requires("catatonit")
@pytest.mark.parametrize("number", [1, 9, 15])
def test_death_by_a_signal(crate: Crate, number: int) -> None:
    script = f"kill -{number} $$"  # under --init: the kernel protects pid 1 of a namespace from its own signals
    assert crate("run", "--rm", "--init", "--network", "none", IMAGE, "sh", "-c", script).status == 128 + number


def test_death_from_outside(crate: Crate) -> None:
    running = crate.popen("run", "--name", "victim", "--network", "none", IMAGE, "sleep", "1000")
    until(lambda: crate.ok("ps", "--quiet"), what="it runs")
    crate.ok("kill", "victim")
    assert running.wait(60) == 137


@pytest.mark.parametrize(
    ("command", "status", "named"),
    [
        (["no-such-command"], 127, "no-such-command"),
        (["/bin/no-such-command"], 127, "/bin/no-such-command"),
        (["/etc"], 126, "/etc"),
        (["/etc/passwd"], 126, "/etc/passwd"),
    ],
)
def test_command_that_cannot_start(crate: Crate, command: list[str], status: int, named: str) -> None:
    assert named in crate.fails(status, "run", "--rm", "--network", "none", IMAGE, *command)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "--no-such-option", IMAGE, "true"], "--no-such-option"),
        (["run", "--memory", "lots", IMAGE, "true"], "lots"),
        (["run", "--cpuset-cpus", "999", IMAGE, "true"], "999"),
        (["run", "--cpuset-cpus", "zero", IMAGE, "true"], "zero"),
        (["run", "--workdir", "relative", IMAGE, "true"], "relative"),
        (["run", "--pull", "sometimes", IMAGE, "true"], "sometimes"),
        (["run", "--user", "nobody-such", IMAGE, "true"], "nobody-such"),
        (["run", "--name", "-wrong-", IMAGE, "true"], "-wrong-"),
        (["run", "--env-file", "/no/such/file", IMAGE, "true"], "/no/such/file"),
        (["run", "--volume", "/no/such/directory:/mnt:wrong", IMAGE, "true"], "wrong"),
        (["run", "--network", "no-such-network", IMAGE, "true"], "no-such-network"),
        (["run", "lower/UPPER", "true"], "lower/UPPER"),
        (["run", "--pull", "never", "crate.local/no-such-image", "true"], "no-such-image"),
        (["run", "crate.local/no-such-image", "true"], "no-such-image"),
        (["run", "--quiet", "127.0.0.1:1/image", "true"], "127.0.0.1:1"),
        (["exec", "no-such-container", "true"], "no-such-container"),
        (["start", "no-such-container"], "no-such-container"),
        (["no-such-command"], "no-such-command"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_refused_by_crate(crate: Crate, arguments: list[str], named: str) -> None:
    assert named in crate.fails(125, *arguments)
    assert crate.ok("ps", "--all", "--quiet") == ""


def test_from_a_directory_that_was_removed(crate: Crate) -> None:
    """Only what is relative to it cannot be."""
    gone = crate.place / "gone"

    def there(*arguments: str) -> tuple[int, str]:
        gone.mkdir(exist_ok=True)
        script = 'cd "$0" && rmdir "$0" && exec "$@"'
        words = ["sh", "-c", script, str(gone), *crate.command(*arguments)]
        done = subprocess.run(words, env=crate.environment, capture_output=True, text=True, timeout=30, check=False)
        told = [line for line in done.stderr.splitlines(True) if not line.startswith("sh: ")]  # the launcher's shell
        return done.returncode, done.stdout + "".join(told)

    assert there("ps", "-q") == (0, "")
    assert there("run", "--rm", "--network", "none", "-v", "vol:/v", IMAGE, "pwd") == (0, "/\n")
    assert there("volume", "rm", "vol") == (0, "vol\n")
    status, told = there("run", "--rm", "-v", "./x:/x", IMAGE, "true")
    assert status == 125 and told.startswith("Error: the working directory was removed (hint: ")
