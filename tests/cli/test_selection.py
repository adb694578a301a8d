"""Which containers start, stop, kill, rm and ps mean: --all, --filter, --cidfile, --latest, --ignore, --depend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
SLEEP = (IMAGE, "sleep", "1000")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


@pytest.fixture
def four(crate: Crate, tmp_path: Path) -> dict[str, str]:
    """Containers "web" and "db" that run, "idle" and "spare" that were created: name -> id."""
    found = {}
    for name, command in {"web": "run", "db": "run", "idle": "create", "spare": "create"}.items():
        words = [command, *(["-d"] if command == "run" else []), "--name", name, "--label", f"tier={name}", *NONE]
        found[name] = crate.ok(*words, "--cidfile", str(tmp_path / name), *SLEEP)
    return found


def _states(crate: Crate) -> dict[str, str]:
    return dict(line.split() for line in crate.ok("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines())


def test_start(crate: Crate, four: dict[str, str], tmp_path: Path) -> None:
    assert crate.ok("start", "--filter", "label=tier=idle") == four["idle"]
    assert _states(crate)["idle"] == "running" and _states(crate)["spare"] == "created"
    assert crate.ok("start", "--all") == four["spare"], "those that run already are not named"
    assert set(_states(crate).values()) == {"running"}
    crate.ok("stop", "-t", "0", "web")
    assert "either start all containers" in crate.fails(125, "start", "--all", "web")
    assert "several" in crate.fails(125, "start", "--attach", "web", "db")
    crate.ok("create", "-i", "--name", "cat", *NONE, IMAGE, "cat")
    assert crate.ok("start", "--attach", "-i", "--latest", input="typed") == "typed"


def test_stop(crate: Crate, four: dict[str, str], tmp_path: Path) -> None:
    assert crate.ok("stop", "-t", "0", "--filter", "label=tier=web", "--filter", "label=tier") == four["web"]
    assert crate.ok("stop", "-t", "0", "--cidfile", str(tmp_path / "db")) == four["db"]
    assert _states(crate) == {"web": "exited", "db": "exited", "idle": "created", "spare": "created"}
    crate.ok("start", "web", "db")
    assert set(crate.ok("stop", "-t", "0", "--all").split()) == {four["web"], four["db"]}
    assert crate.ok("stop", "--ignore", "nobody", "--cidfile", str(tmp_path / "missing")) == ""
    assert "missing" in crate.fails(125, "stop", "--cidfile", str(tmp_path / "missing"))
    assert "cannot be used together" in crate.fails(125, "stop", "--all", "--latest")
    assert "cannot be used together" in crate.fails(125, "stop", "--all", "web")


def test_kill(crate: Crate, four: dict[str, str], tmp_path: Path) -> None:
    assert crate.ok("kill", "-s", "CONT", "--filter", "name=web") == four["web"]
    assert crate.ok("kill", "--cidfile", str(tmp_path / "web")) == four["web"]
    crate.ok("wait", "web")
    assert crate.ok("kill", "--all") == four["db"]
    crate.ok("wait", "db")
    assert crate.ok("kill", "--all") == "" and "not running" in crate.fails(125, "kill", "--latest")


def test_rm(crate: Crate, four: dict[str, str], tmp_path: Path) -> None:
    assert crate.ok("rm", "--filter", "label=tier=idle") == four["idle"]
    assert crate.ok("rm", "--cidfile", str(tmp_path / "spare")) == four["spare"]
    result = crate("rm", "--all")
    assert result.status == 2 and result.err.count("as it is running") == 2
    assert crate.ok("rm", "-f", "-t", "0", "--latest") == four["db"]
    assert crate.ok("rm", "--ignore", "nobody", "--cidfile", str(tmp_path / "missing")) == ""
    crate.ok("create", "--name", "guest", "--network", "container:web", *SLEEP)
    assert "dependent" in crate.fails(125, "rm", "-f", "web")
    assert len(crate.ok("rm", "--depend", "-f", "-t", "0", "web").split()) == 2
    assert _states(crate) == {}


def test_anonymous_volumes_go_with_v(crate: Crate) -> None:
    crate.ok("create", "--name", "one", *NONE, "-v", "/data", *SLEEP)
    crate.ok("create", "--name", "two", *NONE, "-v", "/data", "-v", "named:/named", *SLEEP)
    assert len(crate.ok("volume", "ls", "-q").split()) == 3
    crate.ok("rm", "one")
    assert len(crate.ok("volume", "ls", "-q").split()) == 3
    crate.ok("rm", "-v", "two")
    left = crate.ok("volume", "ls", "-q").split()
    assert len(left) == 2 and "named" in left


@pytest.mark.requires("nft")
def test_filters_of_ports_and_networks(crate: Crate, four: dict[str, str]) -> None:
    ports = ("-p", "127.0.0.1:0:80", "-p", "127.0.0.1::8000-8001", "--expose", "90/udp", "--expose", "100-102")
    crate.ok("run", "-d", "--name", "open", *ports, *SLEEP)

    def names(*filters: str) -> list[str]:
        words = [word for text in filters for word in ("--filter", text)]
        return crate.ok("ps", "-a", "--format", "{{.Names}}", "--sort", "names", *words).split()

    for text in ("publish=80", "publish=80/tcp", "publish=8000-8100", "expose=80", "expose=90/udp", "expose=101"):
        assert names(text) == ["open"], text
    for text in ("publish=81", "publish=80/udp", "publish=101", "expose=90", "expose=103"):
        assert names(text) == [], text
    assert "invalid port" in crate.fails(125, "ps", "--filter", "publish=http")
    network = crate.inspect("open")["NetworkSettings"]
    (name,) = network["Networks"]
    identifier = crate.ok("network", "inspect", "--format", "{{.Id}}", name)
    assert names(f"network={name}") == names(f"network={identifier}") == names(f"network={identifier[:12]}") == ["open"]
    assert names("network=none", "status=running") == ["db", "web"]


def test_filters_of_health_and_restart_policy(crate: Crate) -> None:
    crate.ok("create", "--name", "plain", *NONE, *SLEEP)
    crate.ok("create", "--name", "loyal", *NONE, "--restart", "on-failure:3", *SLEEP)
    crate.ok("create", "--name", "checked", *NONE, "--health-cmd", "true", *SLEEP)

    def names(text: str) -> list[str]:
        return crate.ok("ps", "-a", "--format", "{{.Names}}", "--sort", "names", "--filter", text).split()

    assert names("health=none") == ["loyal", "plain"] and names("health=starting") == ["checked"]
    assert names("restart-policy=on-failure") == ["loyal"] and names("restart-policy=no") == ["checked", "plain"]
    assert "restart policy" in crate.fails(125, "ps", "--filter", "restart-policy=sometimes")


def test_ps_watches(crate: Crate, four: dict[str, str]) -> None:
    process = crate.popen("ps", "--watch", "1", "--noheading", "--format", "{{.Names}}")
    assert process.stdout
    assert process.stdout.readline().endswith("db\n") and process.stdout.readline() == "web\n"
    crate.ok("stop", "-t", "0", "db")
    while not (line := process.stdout.readline()).endswith("web\n"):
        assert line.endswith("db\n")
    crate.ok("rm", "-f", "-t", "0", "web")
