"""Log drivers: what each writes or sends, and what `logs` says of it."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from program import Crate, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from terminal import Spawn

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
BOTH = ("sh", "-c", "echo out; echo err >&2; printf 'no end'")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def test_attributes_and_tag(crate: Crate) -> None:
    options = ("labels=team", "labels-regex=^x-", "env=LEVEL", "env-regex=^OS_", "tag={{.Name}}/{{.ImageName}}")
    given = [word for option in options for word in ("--log-opt", option)]
    labels = ["--label", "team=red", "--label", "x-y=1", "--label", "other=2"]
    values = [*labels, "-e", "LEVEL=5", "-e", "OS_A=b", "-e", "C=d"]
    crate.ok("run", "--name", "one", *NONE, *given, *values, IMAGE, "echo", "hi")
    (entry,) = [json.loads(line) for line in Path(crate.inspect("one")["LogPath"]).read_text().splitlines()]
    attributes = {"team": "red", "x-y": "1", "LEVEL": "5", "OS_A": "b", "tag": f"one/{IMAGE}:latest"}
    assert entry["attrs"] == attributes and entry["log"] == "hi\n"
    shown = ",".join(f"{key}={value}" for key, value in sorted(attributes.items()))
    assert crate.ok("logs", "--details", "one") == f"{shown} hi"
    assert crate.ok("logs", "one") == "hi"
    assert crate.inspect("one")["HostConfig"]["LogConfig"]["Tag"] == "{{.Name}}/{{.ImageName}}"


def test_k8s_file(crate: Crate, tmp_path: Path) -> None:
    path = tmp_path / "the.log"
    script = "echo err >&2; echo out; sleep 0.2; printf '\\377\\n'; head -c 20000 /dev/zero | tr '\\0' x"
    driver = ("--log-driver", "k8s-file", "--log-opt", f"path={path}")
    crate.ok("run", "--name", "one", *NONE, *driver, IMAGE, "sh", "-c", script)
    lines = path.read_bytes().splitlines()
    form = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}[+-]\d\d:\d\d (stdout|stderr) ([FP]) (.*)$")
    found = [form.match(line) for line in lines]
    stdout = [match for match in found if match and match[1] == b"stdout"]
    assert [(match[1], match[2], match[3][:4], len(match[3])) for match in stdout] == [
        (b"stdout", b"F", b"out", 3), (b"stdout", b"F", b"\xff", 1),
        (b"stdout", b"P", b"xxxx", 16384), (b"stdout", b"P", b"xxxx", 3616),
    ]  # fmt: skip
    result = crate("logs", "one")
    assert result.err == "err\n" and result.out == "out\n\udcff\n" + "x" * 20000
    stamped = crate.ok("logs", "-t", "one").split("\n")
    assert len(stamped) == 3 and all(re.match(r"\d{4}-.*Z ", line) for line in stamped)
    assert crate.ok("logs", "--tail", "1", "one") == "x" * 20000
    assert crate.inspect("one")["LogPath"] == str(path)
    crate.ok("run", "--name", "two", *NONE, "--log-driver", "k8s-file", IMAGE, "echo", "hi")
    assert crate.inspect("two")["LogPath"].endswith("/ctr.log") and crate.ok("logs", "two") == "hi"


def test_compressed_parts(crate: Crate) -> None:
    script = "n=0; while [ $n -lt 3000 ]; do echo line $n of a log that is turned over; n=$((n + 1)); done; read end"
    options = ("--log-opt", "max-size=40k", "--log-opt", "max-file=6", "--log-opt", "compress=true")
    crate.ok("run", "-d", "-i", "--name", "long", *options, *NONE, IMAGE, "sh", "-c", script)
    following = crate.popen("logs", "-f", "long")
    path = Path(crate.inspect("long")["LogPath"])
    until(lambda: "2999 of" in crate.ok("logs", "--tail", "1", "long"), what="it has written all")
    expected = sorted([path.name, *(f"{path.name}.{number}.gz" for number in range(1, 6))])
    until(lambda: sorted(p.name for p in path.parent.glob("*.log*")) == expected, what="older parts are compressed")
    assert crate("attach", "long", input="end\n").status == 0
    shown = crate.ok("logs", "long").splitlines()
    numbers = [int(line.split()[1]) for line in shown]
    assert numbers == list(range(numbers[0], 3000)) and len(numbers) > 1000
    assert b"of a log" in gzip.decompress(Path(f"{path}.5.gz").read_bytes())
    assert crate.ok("logs", "--tail", "1700", "long").splitlines() == shown[-1700:]
    out, _ = following.communicate(timeout=60)
    assert out.splitlines()[-len(shown) :] == shown


def test_follow_over_rotations_loses_nothing(crate: Crate) -> None:
    script = "read go; seq 1 60000"
    options = ("--log-opt", "max-size=1m", "--log-opt", "max-file=30")
    crate.ok("run", "-d", "-i", "--rm", "--name", "long", *options, *NONE, IMAGE, "sh", "-c", script)
    following = crate.popen("logs", "-f", "long")
    until(lambda: _watches(following.pid), what="it follows")
    with subprocess.Popen(crate.command("attach", "long"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          env=crate.environment) as typing:  # fmt: skip
        assert typing.stdin
        typing.stdin.write(b"go\n")
        typing.stdin.flush()
        out, _ = following.communicate(timeout=60)
        typing.stdin.close()
    assert out.splitlines() == [str(number) for number in range(1, 60001)]


def _watches(pid: int) -> bool:
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            if "inotify" in os.readlink(fd):
                return True
    return False


def test_drivers_that_cannot_be_read(crate: Crate) -> None:
    crate.ok("run", "--name", "none", "--log-driver", "none", *NONE, IMAGE, "echo", "hi")
    assert "'none' log driver" in crate.fails(125, "logs", "none")
    assert crate.inspect("none")["LogPath"] == ""


def test_passthrough(crate: Crate, tmp_path: Path, spawn: Spawn) -> None:
    driver = ("--log-driver", "passthrough", *NONE)
    out, error = tmp_path / "out", tmp_path / "err"
    script = "cat; readlink /proc/self/fd/1; echo err >&2; exit 3"
    for words, status in ((["run", "--rm"], 3), (["run", "-d", "--name", "one"], 0)):
        command = crate.command(*words, *driver, IMAGE, "sh", "-c", script)
        with out.open("w") as stdout, error.open("w") as stderr:
            done = subprocess.run(command, input=b"typed\n", check=False, stdout=stdout, stderr=stderr,
                                  env=crate.environment, timeout=60)  # fmt: skip
        assert done.returncode == status
        until(lambda: error.read_text() == "err\n")
        assert "typed\n" in out.read_text() and str(out) in out.read_text()
    assert "'passthrough' log driver" in crate.fails(125, "logs", "one")
    status, shown = spawn("run", "--rm", *driver, IMAGE, "true").end()
    assert status == 125 and "not for a terminal" in shown


def test_wrong_options(crate: Crate) -> None:
    def refused(driver: str, *options: str) -> str:
        words = [word for option in options for word in ("--log-opt", option)]
        return crate.fails(125, "create", "--log-driver", driver, *words, IMAGE, "true")

    assert "unknown log opt 'color' for syslog" in refused("syslog", "color=red")
    assert "syslog-address" in refused("syslog", "syslog-address=carrier://pigeon")
    assert "facility" in refused("syslog", "syslog-facility=kitchen")
    assert "format" in refused("syslog", "syslog-format=prose")
    assert "compress" in refused("json-file", "compress=maybe")
    assert "max-file" in refused("json-file", "compress=true", "max-file=1")
    assert "{{.Nme}}" in refused("json-file", "tag={{.Nme}}")
    assert "env-regex" in refused("json-file", "env-regex=(")
    assert "absolute" in refused("k8s-file", "path=here.log")


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("", r"^<{}>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d {}\[\d+\]: {}\n?$"),
        ("rfc3164", r"^<{}>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d \S+ {}\[\d+\]: {}\n?$"),
        ("rfc5424", r"^<{}>1 \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d) \S+ {} \d+ \S+ - {}\n?$"),
        ("rfc5424micro", r"^<{}>1 \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{6}}(Z|[+-]\d\d:\d\d) \S+ {} \d+ \S+ - {}\n?$"),
    ],
)
def test_syslog_forms_over_udp(crate: Crate, form: str, pattern: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(60)
        address = f"syslog-address=udp://127.0.0.1:{server.getsockname()[1]}"
        options = [address, "tag=t/{{.Name}}", "syslog-facility=local3"]
        options += [f"syslog-format={form}"] if form else []
        words = [word for option in options for word in ("--log-opt", option)]
        crate.ok("run", "--name", "one", "--log-driver", "syslog", *words, *NONE, IMAGE, *BOTH)
        got = {server.recv(65536).decode() for _ in range(3)}
    expected = [(19 * 8 + 6, "out"), (19 * 8 + 3, "err"), (19 * 8 + 6, "no end")]
    for priority, text in expected:
        assert [line for line in got if re.match(pattern.format(priority, "t/one", text), line)], got
    assert "'syslog' log driver" in crate.fails(125, "logs", "one")


def test_syslog_over_tcp_and_unix(crate: Crate, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_INET) as tcp, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        tcp.settimeout(60)
        unix.bind(str(path))
        unix.settimeout(60)
        address = f"syslog-address=tcp://127.0.0.1:{tcp.getsockname()[1]}"
        crate.ok("run", "--log-driver", "syslog", "--log-opt", address, *NONE, IMAGE, *BOTH)
        got = b""
        while got.count(b"\n") < 3:  # a hand-over in between makes a new connection
            connection, _ = tcp.accept()
            with connection, connection.makefile("rb") as file:
                got += file.read()
        assert sorted(line.rpartition(b": ")[2] for line in got.splitlines()) == [b"err", b"no end", b"out"]
        crate.ok("run", "--log-driver", "syslog", "--log-opt", f"syslog-address=unix://{path}", *NONE, IMAGE, *BOTH)
        assert {unix.recv(65536).rpartition(b": ")[2].strip() for _ in range(3)} == {b"out", b"err", b"no end"}
    message = crate.fails(125, "run", "--log-driver", "syslog", "--log-opt", address, *NONE, IMAGE, "true")
    assert "cannot log to syslog at tcp://127.0.0.1" in message


@pytest.fixture
def journal(crate: Crate, tmp_path: Path) -> Iterator[tuple[socket.socket, list[str]]]:
    """A socket in the place of journald's, and the words before a command that sees it there."""
    directory = tmp_path / "journal"
    directory.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(directory / "socket"))
        server.settimeout(60)
        own = "mount -t tmpfs none /run/systemd && mkdir /run/systemd/journal"
        script = f'{own} && mount --bind {directory} /run/systemd/journal && exec "$@"'
        yield server, ["unshare", "-m", "sh", "-c", script, "sh"]


@pytest.mark.skipif(not os.path.isdir("/run/systemd"), reason="no /run/systemd to mount on")
def test_journald(crate: Crate, journal: tuple[socket.socket, list[str]]) -> None:
    server, before = journal
    options = ("--log-driver", "journald", "--log-opt", "tag=T{{.ID}}", "--log-opt", "labels=x-y", "--label", "x-y=z")
    command = crate.command("run", "--name", "one", *options, *NONE, IMAGE, *BOTH)
    subprocess.run([*before, *command], check=True, capture_output=True, env=crate.environment, timeout=60)
    entries = [dict(line.split(b"=", 1) for line in server.recv(65536).splitlines()) for _ in range(3)]
    container = crate.inspect("one")["Id"].encode()
    for entry in entries:
        assert entry[b"CONTAINER_ID_FULL"] == container and entry[b"CONTAINER_ID"] == container[:12]
        assert entry[b"CONTAINER_NAME"] == b"one" and entry[b"CONTAINER_TAG"] == b"T" + container[:12]
        assert entry[b"X_Y"] == b"z"
    found = {(e[b"MESSAGE"], e[b"PRIORITY"], e.get(b"CONTAINER_PARTIAL_MESSAGE")) for e in entries}
    assert found == {(b"out", b"6", None), (b"err", b"3", None), (b"no end", b"6", b"true")}


WITH_JOURNALD = """
mount -t tmpfs none /run/systemd && mkdir /run/systemd/journal && mount -t tmpfs none /run/log && mkdir /run/log/journal
/lib/systemd/systemd-journald 2>/dev/null &
journald=$!
until [ -S /run/systemd/journal/socket ]; do sleep 0.05; done
"$@" run --network none --log-driver journald --name one crate.local/busybox \\
    sh -c 'echo out; echo err >&2; sleep 0.2; printf "\\377\\n"; head -c 20000 /dev/zero | tr "\\0" x' >/dev/null 2>&1
journalctl --sync
"$@" logs one 2>/dev/null | tr x '\\n' | tr -s '\\n'
"$@" logs one 2>/dev/null | wc -c
"$@" logs --tail 1 one 2>/dev/null | wc -c
"$@" run -d --network none --log-driver journald --name two crate.local/busybox \\
    sh -c 'echo a; sleep 0.8; echo b' >/dev/null
"$@" logs -f two
kill $journald
"""


@pytest.mark.skipif(
    not os.access("/lib/systemd/systemd-journald", os.X_OK) or not shutil.which("journalctl")
    or not os.path.isdir("/run/log") or not os.path.isdir("/run/systemd"),
    reason="no systemd-journald",
)  # fmt: skip
def test_a_real_journald(crate: Crate) -> None:
    command = ["unshare", "-m", "sh", "-c", WITH_JOURNALD, "sh", *crate.command()]
    shown = subprocess.run(command, check=True, capture_output=True, env=crate.environment, timeout=60).stdout
    assert shown == b"out\n\xff\n20006\n20000\na\nb\n"


@pytest.mark.skipif(os.path.exists("/run/systemd/journal/socket"), reason="journald runs here")
def test_no_journald(crate: Crate) -> None:
    assert "/run/systemd/journal/socket" in crate.fails(125, "run", "--log-driver", "journald", *NONE, IMAGE, "true")


def test_full_disk_under_the_log(crate: Crate, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], check=True)
    try:
        script = "seq 1 5000; echo full >&2; read go; echo goes on; echo written >&2; read go"
        path = f"path={small}/log"
        running = crate.popen("run", "-i", "--name", "one", "--log-opt", path, *NONE, IMAGE, "sh", "-c", script)
        assert running.stderr and running.stderr.readline() == "full\n"
        (small / "log").write_text("")
        assert running.stdin
        running.stdin.write("go\n")
        running.stdin.flush()
        assert running.stderr.readline() == "written\n"
        out, _ = running.communicate("go\n", timeout=60)
        assert out.split()[:5000] == [str(number) for number in range(1, 5001)] and running.returncode == 0
        result = crate("logs", "one")
        assert "bytes of this log were lost: No space left on device" in result.err and "goes on" in result.out
    finally:
        crate("rm", "-f", "one")
        subprocess.run(["umount", str(small)], check=True)


def test_last_lines_of_much(crate: Crate) -> None:
    """100 MB/s without a final newline: the last line is there, whoever reads."""
    script = "yes 0123456789abcdefghijklmnopqrstuvwxyz | head -n 300000; printf last"
    running = crate.popen("run", "--name", "one", *NONE, IMAGE, "sh", "-c", script)
    out, _ = running.communicate(timeout=60)
    assert out.count("\n") == 300000 and out.endswith("\nlast")
    assert crate.ok("logs", "--tail", "1", "one") == "last"
    assert crate.ok("logs", "-f", "-n", "2", "one").endswith("xyz\nlast")
    full = subprocess.run(["sh", "-c", '"$@" > /dev/full', "sh", *crate.command("logs", "one")],
                          check=False, capture_output=True, text=True, env=crate.environment, timeout=60)  # fmt: skip
    assert full.returncode == 125 and "No space left" in full.stderr
    closed = subprocess.run(["sh", "-c", '"$@" | head -n 1', "sh", *crate.command("logs", "one")],
                            check=False, capture_output=True, text=True, env=crate.environment, timeout=60)  # fmt: skip
    assert closed.stdout == "0123456789abcdefghijklmnopqrstuvwxyz\n" and closed.stderr == ""
