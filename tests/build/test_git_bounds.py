"""Git repositories that are large, slow, nested or hostile, from a real git server; and what a killed build leaves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from abilities import requires
from build.building import Builder
from claims import free_port
from crate.build.sources import git_process
from crate.build.sources.git_source import GitSource, fetch, parse_git
from crate.errors import RegistryError
from program import until

pytestmark = requires("git")

WHO = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always")


class Server:
    """`git daemon` with the repositories beneath `place`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._clean = {"PATH": os.environ["PATH"], "HOME": str(place), "GIT_CONFIG_NOSYSTEM": "1"}
        self.port = free_port()
        self._daemon = subprocess.Popen(
            ["git", "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={self.port}",
             f"--base-path={place}", str(place)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0,
        )  # fmt: skip
        until(self._answers, what="git daemon listens")

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return not probe.connect_ex(("127.0.0.1", self.port))

    def git(self, repository: str, *words: str, given: str = "") -> str:
        where = self.place / repository
        where.mkdir(exist_ok=True)
        return subprocess.check_output(
            ["git", *WHO, *words], cwd=where, env=self._clean, input=given, stderr=subprocess.DEVNULL, text=True
        ).strip()

    def make(self, name: str, files: dict[str, str], modules: dict[str, str] | None = None) -> str:
        """A repository with these files, and others (path -> name) as submodules; gives its URL."""
        self.git(name, "init", "--quiet", ".")
        for path, text in files.items():
            (self.place / name / path).write_text(text)
        for path, other in (modules or {}).items():
            self.git(name, "submodule", "--quiet", "add", f"../{other}", path)
            self.git(name, "config", "-f", ".gitmodules", f"submodule.{path}.url", f"../{other}")
        self.git(name, "add", "-A")
        self.git(name, "commit", "--quiet", "-m", "one")
        return f"git://127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        os.killpg(self._daemon.pid, signal.SIGKILL)
        self._daemon.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "served").mkdir()
    made = Server(tmp_path / "served")
    yield made
    made.stop()


@pytest.fixture
def fetched(tmp_path: Path) -> Callable[[str], list[str]]:
    """Fetches a URL into a fresh directory; gives the paths of the files there."""

    def get(url: str) -> list[str]:
        target = tmp_path / f"fetched{len(os.listdir(tmp_path))}"
        target.mkdir()
        source = parse_git(url)
        assert source is not None
        fetch(source, str(target))
        return sorted(str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir())

    return get


def test_submodules_come_along(server: Server, fetched: Callable[[str], list[str]]) -> None:
    server.make("inner", {"deep": "d"})
    server.make("middle", {"half": "h"}, {"in side": "inner"})
    url = server.make("outer", {"top": "t"}, {"sub": "middle"})
    assert fetched(url) == [".gitmodules", "sub/.gitmodules", "sub/half", "sub/in side/deep", "top"]
    assert fetched(f"{url}?submodules=false") == [".gitmodules", "top"]


@pytest.mark.parametrize("url", ["ext::sh -c touch% MARK", "file://INNER", "--upload-pack=touch MARK", "INNER"])
def test_submodules_run_nothing_and_read_no_files_of_the_host(
    server: Server, fetched: Callable[[str], list[str]], tmp_path: Path, url: str
) -> None:
    server.make("inner", {"deep": "d"})
    outer = server.make("outer", {"top": "t"}, {"sub": "inner"})
    mark = tmp_path / "ran"
    wicked = url.replace("MARK", str(mark)).replace("INNER", str(server.place / "inner"))
    server.git("outer", "config", "-f", ".gitmodules", "submodule.sub.url", wicked)
    server.git("outer", "config", "-f", ".gitmodules", "submodule.sub.update", f"!touch {mark}")
    server.git("outer", "commit", "--quiet", "-am", "two")
    with pytest.raises(RegistryError, match="cannot fetch"):
        fetched(outer)
    assert not mark.exists()


def test_a_tree_of_few_objects_and_many_files(
    server: Server, fetched: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten trees, each with ten times the next one: ten thousand million files in a pack of some hundred bytes."""
    url = server.make("bomb", {"one": "x"})
    inner = server.git("bomb", "hash-object", "-w", "one")
    kind, mode = "blob", "100644"
    for _ in range(10):
        lines = "".join(f"{mode} {kind} {inner}\tf{number}\n" for number in range(10))
        inner = server.git("bomb", "mktree", given=lines)
        kind, mode = "tree", "040000"
    server.git("bomb", "reset", "--quiet", "--soft", server.git("bomb", "commit-tree", "-m", "bomb", inner))
    monkeypatch.setattr(git_process, "ENTRIES_MAX", 100_000)
    begun = time.monotonic()
    with pytest.raises(RegistryError, match="more than 100000 files"):
        fetched(url)
    assert time.monotonic() - begun < 200


def test_too_many_bytes(server: Server, fetched: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.make("large", {"zeros": "0" * (3 << 20)})
    monkeypatch.setattr(git_process, "BYTES_MAX", 1 << 20)
    with pytest.raises(RegistryError, match="more than 1048576 bytes"):  # in the tree: its pack is small
        fetched(url)
    (server.place / "large/noise").write_bytes(os.urandom(3 << 20))
    server.git("large", "add", "-A")
    server.git("large", "commit", "--quiet", "-m", "two")
    with pytest.raises(RegistryError, match=r"File too large|more than 1048576 bytes"):
        fetched(url)


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield listening


def processes(words: str) -> list[str]:
    """Those with the words in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if words.encode() in Path(f"/proc/{pid}/cmdline").read_bytes() and int(pid) != os.getpid():
                found.append(pid)
        except OSError:
            continue
    return found


def test_a_server_that_says_nothing(silent: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"127.0.0.1:{silent.getsockname()[1]}/x.git"
    monkeypatch.setattr(git_process, "SECONDS_MAX", 1.5)
    with pytest.raises(RegistryError, match="git took longer than 2 s"):
        fetch(GitSource(f"http://{place}"), str(tmp_path))
    until(lambda: not processes(place), what="nor does what git had started go on")


@requires("root", "busybox", "overlay")
@pytest.mark.parametrize("as_context", [False, True])
def test_git_does_not_outlive_its_build(builder: Builder, silent: socket.socket, as_context: bool) -> None:
    place = f"127.0.0.1:{silent.getsockname()[1]}/x.git"
    builder.write("Dockerfile", f"FROM crate.local/busybox\nADD http://{place} /x\n")
    context = f"http://{place}" if as_context else str(builder.context)
    command = builder.crate.command("build", "--network", "none", context)
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=builder.crate.environment
    )
    mine = {str(process.pid)}
    until(lambda: len(set(processes(place)) - mine) >= 2, what="git and its helper run")
    process.kill()
    process.wait()
    until(lambda: not processes(place), what="they are gone")
