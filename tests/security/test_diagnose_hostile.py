"""`run --diagnose` of programs that mean harm: to who reads the report, to the tracer, to who waits for the end."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from program import Crate, until
from security.diagnosing import PROBE, RUN, report
from security.hostile import compiled, make_root

pytestmark = [
    pytest.mark.requires("overlay", "busybox"),
    pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-gcc makes the program (apt install musl-tools)"),
]


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("diagnose"), "probe", PROBE)


def test_hostile_programs(crate: Crate, busybox: str, probe: Path) -> None:
    options = ("-v", f"{probe}:/probe:ro", "--cap-drop", "SYS_CHROOT")
    result = crate(*RUN, *options, busybox, "/probe", "unreadable", "huge", "control")
    assert result.status == 0
    found = report(result.err)
    assert {one.call.split()[0] for one in found} == {"chroot", "mount"}
    assert all(len(line) < 1000 for line in result.err.splitlines())
    assert "\\x1b[31m\\nb" in result.err and "\x1b" not in result.err and "\x9b" not in result.err
    many = crate(*RUN, *options, busybox, "/probe", "many")
    lines = many.err.splitlines()
    assert many.status == 0 and len(report(many.err)) == 200 and lines[-1] == "diagnosis: 2800 more, of other calls"


def test_options_are_whole_words_for_a_shell(crate: Crate) -> None:
    """Who runs what the report says runs nothing that the container has put into its paths."""
    root = make_root(crate.place)
    names = ("a; touch PWNED #", "b $(touch PWNED)", "c'`touch PWNED`", "d" * 255)
    for name in names[:3]:
        (root / name).mkdir()
    deep = root / names[3] / names[3]
    deep.mkdir(parents=True)
    places = [*(f"/{name}" for name in names[:3]), f"/{names[3]}/{names[3]}"]
    for place in places:
        (found,) = report(crate(*RUN, "--read-only", "--rootfs", str(root), "mkdir", f"{place}/x").err)
        assert found.options[-1] == "--read-only=false" and len(found.options) == 2 - (place == places[3]), found
        shown = subprocess.run(
            ["sh", "-c", f"printf '%s\\n' {found.options[0]}"],
            capture_output=True,
            text=True,
            cwd=crate.place,
            check=True,
        )
        assert not (crate.place / "PWNED").exists()
        if place != places[3]:
            assert shown.stdout == f"--tmpfs\n{place}\n"
            words = shlex.split(found.options[0])
            assert crate(*RUN, "--read-only", *words, "--rootfs", str(root), "mkdir", f"{place}/x").status == 0


def test_a_path_is_not_read_as_more_of_the_report(crate: Crate) -> None:
    root = make_root(crate.place)
    path = "/x: EPERM by seccomp; use --privileged"
    result = crate(*RUN, "--read-only", "--rootfs", str(root), "mkdir", path)
    assert f"diagnosis: mkdir '{path}': EROFS by " in result.err and result.err.endswith("; use --read-only=false\n")
    (root / path[1:]).mkdir(mode=0)
    result = crate(*RUN, "--user", "1000", "--rootfs", str(root), "ls", path)
    assert f" '{path}': EACCES by mode: '{path}' is " in result.err


def test_numbers_without_end_cost_no_memory(crate: Crate, busybox: str, probe: Path) -> None:
    script = "/probe numbers; echo one; until [ -e /go ]; do sleep 0.1; done; /probe numbers; echo two; sleep 100"
    options = ("-d", "--diagnose", "--name", "one", "--network", "none", "--security-opt", "seccomp=unconfined")
    crate.ok("run", *options, "-v", f"{probe}:/probe:ro", busybox, "sh", "-c", script)
    until(lambda: "one" in crate.ok("logs", "one").split())
    (tracer,) = re.findall(
        r"TracerPid:\t(\d+)", Path(f"/proc/{crate.inspect('one')['State']['Pid']}/status").read_text()
    )

    def resident() -> int:
        return int(Path(f"/proc/{tracer}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    crate.ok("exec", "one", "touch", "/go")
    until(lambda: "two" in crate.ok("logs", "one").split())
    assert resident() - before < 1 << 20


@pytest.mark.requires("unprivileged-user")
def test_who_stays_on_and_is_refused_again_and_again_holds_nobody_up(rootless_crate: Crate) -> None:
    """Without pid namespace and cgroup others go on when the first process has ended; the tracer does not."""
    image = "crate.local/busybox"
    rootless_crate.ok("pull", "--quiet", image)
    mount = ("-v", f"{compiled(rootless_crate.place, 'probe', PROBE)}:/probe:ro")
    script = "/probe numbers numbers numbers numbers > /dev/null 2>&1 < /dev/null & sleep 0.5; exit 6"
    result = rootless_crate(*RUN, "--pid", "host", *mount, image, "sh", "-c", script)
    assert result.status == 6
    assert len(report(result.err)) == 200 and result.err.endswith("more, of other calls\n")
