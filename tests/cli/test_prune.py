"""prune of every kind and system df: what goes, what stays, what is asked, what is said of the space."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate
    from terminal import Spawn

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
SLEEP = (IMAGE, "sleep", "1000")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def _names(crate: Crate) -> list[str]:
    return crate.ok("ps", "-a", "--format", "{{.Names}}", "--sort", "names").split()


@pytest.fixture
def mixed(crate: Crate) -> dict[str, str]:
    """Containers that run, are paused, were created and have ended, which wrote a megabyte: name -> id."""
    write = (IMAGE, "dd", "if=/dev/zero", "of=/file", "bs=1000000", "count=1")
    found = {
        "runs": crate.ok("run", "-d", "--name", "runs", *NONE, "-v", "kept:/kept", *SLEEP),
        "paused": crate.ok("run", "-d", "--name", "paused", *NONE, *SLEEP),
        "idle": crate.ok("create", "--name", "idle", "-l", "tier=test", *NONE, "-v", "/anonymous", *SLEEP),
    }
    crate.ok("pause", "paused")
    crate.ok("run", "--name", "done", *NONE, *write)
    found["done"] = crate.inspect("done")["Id"]
    return found


def test_containers(crate: Crate, mixed: dict[str, str]) -> None:
    assert crate.ok("container", "prune", "-f", "--filter", "until=1h") == "Total reclaimed space: 0B"
    said = crate.ok("container", "prune", "-f", "--filter", "label!=tier=test")
    assert said == f"Deleted Containers:\n{mixed['done']}\n\nTotal reclaimed space: 1MB"
    assert _names(crate) == ["idle", "paused", "runs"]
    assert mixed["idle"] in crate.ok("container", "prune", "--force", "--filter", "label=tier")
    assert _names(crate) == ["paused", "runs"]
    assert len(crate.ok("volume", "ls", "-q").split()) == 2, "volumes stay"
    assert "invalid filter" in crate.fails(125, "container", "prune", "-f", "--filter", "name=runs")


def test_those_that_depend_on_others(crate: Crate) -> None:
    """Whichever comes first: the last of the chain goes first; one that stays keeps what it stands on."""
    crate.ok("create", "--name", "host", *NONE, *SLEEP)
    crate.ok("create", "--name", "guest", "--network", "container:host", *SLEEP)
    crate.ok("create", "--name", "base", *NONE, *SLEEP)
    crate.ok("start", "base")
    crate.ok("run", "-d", "--name", "user", "--network", "container:base", *SLEEP)
    crate.ok("stop", "-t", "0", "base")
    crate.ok("container", "prune", "-f")
    assert _names(crate) == ["base", "user"]


def test_it_asks(crate: Crate, mixed: dict[str, str], spawn: Spawn) -> None:
    result = crate("container", "prune", input="n\n")
    assert result.status == 0 and "[y/N]" in result.out and len(_names(crate)) == 4
    result = crate("container", "prune", input="")
    assert result.status == 125 and "--force" in result.err and len(_names(crate)) == 4
    terminal = spawn("container", "prune")
    terminal.expect("remove all non running containers")
    terminal.expect("[y/N] ")
    terminal.type("y\n")
    status, seen = terminal.end()
    assert status == 0 and "Total reclaimed space: 1MB" in seen and _names(crate) == ["paused", "runs"]


def test_images(crate: Crate) -> None:
    """Without --all only what has no name; never what a container uses."""
    crate.ok("run", "--name", "maker", *NONE, IMAGE, "dd", "if=/dev/zero", "of=/file", "bs=1000000", "count=2")
    dangling = crate.ok("commit", "--quiet", "maker").splitlines()[-1].removeprefix("sha256:")
    named = crate.ok("commit", "--quiet", "-m", "more", "maker", "localhost/named").splitlines()[-1]
    assert crate.ok("image", "prune", "-f", "--filter", "until=1h") == "Total reclaimed space: 0B"
    assert (
        crate.ok("image", "prune", "-f") == f"Deleted Images:\ndeleted: sha256:{dangling}\n\nTotal reclaimed space: 0B"
    )
    said = crate.ok("image", "prune", "--all", "-f")
    assert "untagged: localhost/named" in said and f"deleted: sha256:{named.removeprefix('sha256:')}" in said
    assert said.endswith("Total reclaimed space: 2MB")
    assert crate.ok("images", "--format", "{{.Repository}}") == IMAGE, "a container stands on it"
    crate.ok("rm", "maker")
    assert f"untagged: {IMAGE}:latest" in crate.ok("image", "prune", "-a", "-f") and crate.ok("images", "-q") == ""


def test_volumes(crate: Crate, mixed: dict[str, str]) -> None:
    crate.ok("volume", "create", "--label", "tier=test", "named")
    crate.ok("volume", "create", "other")
    anonymous = crate.ok("volume", "create")
    said = crate.ok("volume", "prune", "-f")
    assert said.startswith(f"Deleted Volumes:\n{anonymous}\n\nTotal"), "only anonymous ones that nobody uses"
    assert "named" in crate.ok("volume", "prune", "-f", "--all", "--filter", "label=tier=test")
    assert sorted(crate.ok("volume", "ls", "-q").split())[-2:] == ["kept", "other"]
    crate.ok("container", "prune", "-f")
    crate.ok("volume", "prune", "-f", "--filter", "all=true")
    assert crate.ok("volume", "ls", "-q") == "kept"


def test_networks(crate: Crate) -> None:
    """The networks that are there anyway stay."""
    before = crate.ok("network", "ls", "-q")
    assert crate.ok("network", "prune", "-f") == "" and crate.ok("network", "ls", "-q") == before


def test_the_whole_system(crate: Crate, mixed: dict[str, str]) -> None:
    crate.ok("volume", "create", "named")
    result = crate("system", "prune", "--volumes", "--filter", "label=x", input="no\n")
    assert result.status == 0 and len(_names(crate)) == 4
    for line in ("all stopped containers", "all networks", "all anonymous volumes", "dangling images", "label=x"):
        assert line in result.out
    said = crate.ok("system", "prune", "-f")
    assert mixed["done"] in said and mixed["idle"] in said and said.endswith("Total reclaimed space: 1MB")
    assert _names(crate) == ["paused", "runs"] and len(crate.ok("volume", "ls", "-q").split()) == 3
    assert crate.ok("system", "prune", "-f", "--volumes").startswith("Deleted Volumes:\n")
    assert crate.ok("volume", "ls", "-q").split() == ["kept", "named"]
    crate.ok("rm", "-f", "-t", "0", "runs", "paused")
    assert "Deleted Images" in crate.ok("system", "prune", "-af") and crate.ok("images", "-q") == ""
    assert "not supported" in crate.fails(125, "system", "prune", "--volumes", "--filter", "until=1h")


def test_df(crate: Crate, mixed: dict[str, str]) -> None:
    crate.ok("volume", "create", "named")
    crate.ok("exec", "runs", "dd", "if=/dev/zero", "of=/kept/file", "bs=1000000", "count=3")
    rows = {row["Type"]: row for row in json.loads(crate.ok("system", "df", "--format", "json"))}
    assert [(rows[kind]["Total"], rows[kind]["Active"]) for kind in ("Images", "Containers", "Local Volumes")] == [
        (1, 1), (4, 2), (3, 2),
    ]  # fmt: skip
    assert rows["Images"]["RawSize"] > 1_000_000 and rows["Images"]["RawReclaimable"] == 0
    assert rows["Containers"]["Reclaimable"] == "1MB (100%)" and rows["Local Volumes"]["Size"] == "3MB"
    heading, *lines = crate.ok("system", "df").splitlines()
    assert heading.split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"] and len(lines) == 3
    assert crate.ok("system", "df", "--format", "{{.Type}}={{.TotalCount}}").splitlines()[1] == "Containers=4"
    verbose = crate.ok("system", "df", "-v")
    assert re.search(r"done +0 +1MB +|1MB .* done", verbose) and re.search(r"^kept +1 +3MB$", verbose, re.MULTILINE)
    assert re.search(rf"^{IMAGE} +latest +\w+ .* 0B +\S+ +4$", verbose, re.MULTILINE)
    assert "cannot combine" in crate.fails(125, "system", "df", "-v", "--format", "json")
