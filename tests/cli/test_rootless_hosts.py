"""What an ordinary user is told on a host where something is missing: one line that names it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from crate.ns.idmap import open_namespace
from program import Crate, Result
from users import etc_with

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = "crate.local/busybox"
RUN = ("run", "--rm", "--network", "none", IMAGE)
SINGLE = etc_with(subuid="", subgid="")
ALL = [{"containerID": 0, "hostID": 0, "size": (1 << 32) - 1}]

# The changes are made in a mount namespace of the test's own.
pytestmark = pytest.mark.requires("root", "unprivileged-user", "busybox")


def on_host(crate: Crate, change: str, *arguments: str, enter: tuple[str, ...] = ()) -> Result:
    """Runs crate where `change`, a line of shell, has been done to the host."""
    words = [*enter, "unshare", "--mount", "sh", "-c", f'{change} && exec "$@"', "sh", *crate.command(*arguments)]
    done = subprocess.run(
        words, check=False, env=crate.environment, cwd=crate.place, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    return Result(done.returncode, done.stdout.removesuffix("\n"), done.stderr)


def refused(result: Result) -> str:
    assert result.status == 125, result
    assert result.err.startswith("Error: ") and result.err.count("\n") == 1, result.err
    return result.err


@pytest.fixture
def user_crate(rootless_crate: Crate, rootless_busybox: str) -> Crate:
    """With the image in its store."""
    return rootless_crate


@pytest.mark.parametrize(
    ("change", "network", "words"),
    [
        ("mount --bind /dev/null $(command -v newuidmap)", "none", "no program newuidmap (hint: install the package"),
        ("mount --bind /dev/null $(command -v pasta)", "pasta", "no program pasta (hint: install the package passt"),
        ("mount -t tmpfs none /dev/net", "pasta", "/dev/net/tun cannot be opened"),
    ],
)
def test_what_is_missing_is_named(user_crate: Crate, change: str, network: str, words: str) -> None:
    assert words in refused(on_host(user_crate, change, "run", "--rm", "--network", network, IMAGE, "true"))


def test_newuidmap_without_its_right(user_crate: Crate, tmp_path: Path) -> None:
    change = f"cp $(command -v newuidmap) {tmp_path}/plain && mount --bind {tmp_path}/plain $(command -v newuidmap)"
    error = refused(on_host(user_crate, change, *RUN, "true"))
    assert "newuidmap: " in error and "must be setuid root" in error


def test_ranges_that_are_not_the_user_s(user_crate: Crate) -> None:
    change = etc_with(subuid=f"{user_crate.user.name if user_crate.user else ''}:0:65536\n")
    assert "/etc/subuid and /etc/subgid must give this user ranges" in refused(
        on_host(user_crate, change, *RUN, "true")
    )


def test_user_namespaces_are_forbidden(user_crate: Crate) -> None:
    fd = open_namespace(ALL, ALL)  # type: ignore[arg-type]
    enter = ("nsenter", f"--user=/proc/{os.getpid()}/fd/{fd}")
    done = on_host(user_crate, "echo 0 > /proc/sys/user/max_user_namespaces", *RUN, "true", enter=enter)
    assert "user.max_user_namespaces" in refused(done)


class TestSingleId:
    """A user to whom /etc/subuid gives nothing has one id in containers: root, which is the user."""

    def test_root_works(self, rootless_crate: Crate) -> None:
        done = on_host(rootless_crate, SINGLE, *RUN, "sh", "-c", "id -u; wc -l < /proc/self/uid_map; ls -ln /bin/sh")
        assert done.status == 0, done.err
        uid, lines, listed = done.out.splitlines()
        assert (uid, lines, listed.split()[2:4]) == ("0", "1", ["0", "0"])

    def test_life_of_a_container(self, rootless_crate: Crate) -> None:
        started = on_host(rootless_crate, SINGLE, "run", "-d", "--name", "one", *RUN[2:], "sleep", "1000")
        assert started.status == 0, started.err
        assert on_host(rootless_crate, SINGLE, "exec", "-t", "one", "tty").out.strip() == "/dev/pts/0"
        assert on_host(rootless_crate, SINGLE, "rm", "-f", "-t", "0", "one").status == 0

    @pytest.mark.parametrize(
        ("option", "words"),
        [
            (("--user", "1000"), "cannot run as uid 1000: not mapped"),
            (("--tty", "--user", "1000"), "cannot run as uid 1000: not mapped"),
            (("--user", "0:5"), "cannot run as gid 5: not mapped"),
            (("--group-add", "5"), "cannot add group 5"),
        ],
    )
    def test_other_ids_are_refused(self, rootless_crate: Crate, option: tuple[str, ...], words: str) -> None:
        on_host(rootless_crate, SINGLE, "pull", "--quiet", IMAGE)
        error = refused(on_host(rootless_crate, SINGLE, "run", "--rm", "--network", "none", *option, IMAGE, "true"))
        assert words in error and "add-subuids" in error

    def test_info_shows_it(self, rootless_crate: Crate) -> None:
        shown = on_host(rootless_crate, SINGLE, "info", "--format", "{{len .host.idMappings.uidmap}}")
        assert shown.out == "1", shown
        assert rootless_crate.ok("info", "--format", "{{len .host.idMappings.uidmap}}") == "2"


def test_run_root_of_somebody_else(rootless_crate: Crate) -> None:
    rootless_crate.runroot.mkdir()
    assert "is not a directory of this user" in rootless_crate.fails(125, *RUN, "true")
    rootless_crate.runroot.rmdir()
    rootless_crate.runroot.symlink_to("/tmp")
    assert "is not a directory of this user" in rootless_crate.fails(125, *RUN, "true")
    rootless_crate.runroot.unlink()


@pytest.mark.requires("cgroup-v1")
@pytest.mark.parametrize("limit", [["-m", "64m"], ["--pids-limit", "10"], ["--cpus", "1"], ["--cpuset-cpus", "0"]])
def test_limits_without_delegation(user_crate: Crate, limit: list[str]) -> None:
    error = user_crate.fails(125, "run", "--rm", "--network", "none", *limit, IMAGE, "true")
    assert "is not delegated to this user" in error and "cgroup v2" in error and "--limits=best-effort" in error
    result = user_crate("run", "--rm", "--network", "none", "--limits=best-effort", *limit, IMAGE, "echo", "done")
    assert result.out == "done\n" and result.err.startswith("WARNING: no limit of ") and result.err.count("\n") == 1


def test_environment_of_a_cron_job(rootless_crate: Crate) -> None:
    rootless_crate.environment = {"CRATE_TEST": rootless_crate.mark}
    assert rootless_crate.ok(*RUN, "echo", "done") == "done"
