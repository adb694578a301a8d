"""spec.process: arguments, environment, directory, ids, limits, capabilities, no_new_privs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundles import Bundle, Ran

    Run = Callable[[], Ran]

pytestmark = pytest.mark.requires("root", "runc", "busybox")


def test_exit_status(bundle: Bundle, run: Run) -> None:
    bundle.shell("exit 32")
    assert run().status == 32


def test_killed_by_signal(bundle: Bundle, run: Run) -> None:
    bundle.shell("kill -9 $$")  # pid 1 of a namespace ignores it from inside
    bundle.linux["namespaces"] = [entry for entry in bundle.linux["namespaces"] if entry["type"] != "pid"]
    assert run().status == 137


def test_environment_is_only_that_of_the_spec(bundle: Bundle, crate_run: Run) -> None:
    bundle.process["env"] = ["PATH=/bin", "EMPTY=", "TWO=a=b", "SPACE=a b"]
    bundle.process["args"] = ["env"]  # runc adds HOME
    assert sorted(crate_run().out.splitlines()) == ["EMPTY=", "PATH=/bin", "SPACE=a b", "TWO=a=b"]


def test_missing_directory_is_made(bundle: Bundle, run: Run) -> None:
    bundle.process["cwd"] = "/not/yet"
    bundle.process["args"] = ["pwd"]
    assert run().out == "/not/yet\n"


def test_user_and_groups(bundle: Bundle, run: Run) -> None:
    bundle.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 1002], "umask": 0o027}
    bundle.shell("id -u; id -g; id -G; umask")
    assert run().out.split() == ["1000", "1001", "1001", "5", "1002", "0027"]


def test_rlimits(bundle: Bundle, run: Run) -> None:
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    bundle.shell("ulimit -Sn; ulimit -Hn")
    assert run().out.split() == ["100", "200"]


def status_field(text: str, name: str) -> str:
    """A field of /proc/PID/status."""
    return next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name}:"))


@pytest.mark.parametrize(
    ("uid", "sets"),
    [
        (0, {"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]}),
        (1000, {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]}),
        (
            1000,
            {name: ["CAP_NET_RAW"] for name in ("bounding", "effective", "permitted", "inheritable", "ambient")},
        ),
    ],
)
def test_capabilities(bundle: Bundle, run: Run, uid: int, sets: dict[str, list[str]]) -> None:
    bundle.process["user"] = {"uid": uid, "gid": uid}
    bundle.process["capabilities"] = sets
    bundle.process["noNewPrivileges"] = False
    bundle.process["args"] = ["cat", "/proc/self/status"]
    out = run().out
    numbers = {"CAP_CHOWN": 0, "CAP_KILL": 5, "CAP_NET_RAW": 13}
    bits = {name: sum(1 << numbers[cap] for cap in caps) for name, caps in sets.items()}
    assert int(status_field(out, "CapBnd"), 16) == bits["bounding"]
    ambient = bits.get("ambient", 0)
    assert int(status_field(out, "CapAmb"), 16) == ambient
    # execve(2) gives root its bounding and inheritable sets, and everybody else the ambient one
    assert int(status_field(out, "CapEff"), 16) == (bits["bounding"] if uid == 0 else ambient)


@pytest.mark.parametrize("wanted", [True, False])
def test_no_new_privileges(bundle: Bundle, run: Run, wanted: bool) -> None:
    bundle.process["noNewPrivileges"] = wanted
    bundle.process["args"] = ["cat", "/proc/self/status"]
    assert status_field(run().out, "NoNewPrivs") == str(int(wanted))


def test_oom_score(bundle: Bundle, run: Run) -> None:
    bundle.process["oomScoreAdj"] = 321
    bundle.process["args"] = ["cat", "/proc/self/oom_score_adj"]
    assert run().out == "321\n"


def test_limit_that_linux_does_not_have_is_told(bundle: Bundle, crate_run: Run) -> None:
    bundle.linux["resources"] = {"memory": {"kernel": 50 << 20}}
    done = crate_run()
    assert (done.status, done.err.partition(":")[0]) == (0, "WARNING") and "memory.kernel has no effect" in done.err


def test_no_descriptor_of_the_host(bundle: Bundle, run: Run) -> None:
    bundle.shell("ls /proc/$$/fd; true")
    assert set(run().out.split()) <= {"0", "1", "2", "10"}  # 10: the shell's own


def test_signals_are_at_their_defaults(bundle: Bundle, run: Run) -> None:
    bundle.process["args"] = ["cat", "/proc/self/status"]
    out = run().out
    assert int(status_field(out, "SigBlk"), 16) == 0
    assert int(status_field(out, "SigIgn"), 16) == 0


@pytest.mark.parametrize(
    ("args", "status"), [(["no-such-program"], 127), (["/no/such/program"], 127), (["/tmp"], 126), (["/empty"], 126)]
)
def test_program_that_cannot_run(bundle: Bundle, crate_run: Run, args: list[str], status: int) -> None:
    (bundle.rootfs / "empty").touch()
    bundle.process["args"] = args
    ran = crate_run()
    assert ran.status == status
    assert ran.err.count("\n") == 1
    assert args[0] in ran.err


def test_terminal(bundle: Bundle, crate_run: Run) -> None:
    bundle.process["terminal"] = True
    bundle.process["consoleSize"] = {"height": 33, "width": 77}
    bundle.shell("tty; ls -l /dev/console | cut -c1; stty size </dev/tty")
    assert crate_run().out.split() == ["/dev/pts/0", "c", "33", "77"]


def test_relative_program_is_meant_from_the_working_directory(bundle: Bundle, run: Run) -> None:
    bundle.process["cwd"] = "/bin"
    bundle.process["args"] = ["./busybox", "echo", "here"]
    assert run().out == "here\n"


def test_root_enters_a_working_directory_that_the_user_may_not(bundle: Bundle, run: Run) -> None:
    (bundle.rootfs / "root").mkdir(mode=0o700)
    bundle.process["cwd"] = "/root"
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    bundle.shell("pwd")
    assert run().out == "/root\n"
