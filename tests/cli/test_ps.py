"""`ps`: columns, filters, formats, order."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def _names(crate: Crate, *options: str) -> list[str]:
    return crate.ok("ps", "--format", "{{.Names}}", *options).split()


@pytest.fixture
def zoo(crate: Crate) -> dict[str, str]:
    """Containers of every state: name -> id, in the order in which they were made."""
    made = {}
    made["runner"] = crate.ok(
        "run", "-d", "--name", "runner", "-l", "tier=web", "-v", "data:/data", *NONE, IMAGE, "sleep", "1000"
    )
    made["failed"] = crate.ok("run", "-d", "--name", "failed", "-l", "tier=db", *NONE, IMAGE, "sh", "-c", "exit 3")
    made["done"] = crate.ok("run", "-d", "--name", "done", "-l", "tier=db", "-l", "bare", *NONE, IMAGE, "true")
    made["fresh"] = crate.ok(
        "create", "--name", "fresh", "-v", "/tmp:/mnt", IMAGE, "echo", "a rather long command line"
    )
    crate.ok("wait", "failed", "done")
    return made


def test_table(crate: Crate, zoo: dict[str, str]) -> None:
    heading, *lines = crate.ok("ps", "-a").splitlines()
    assert re.split(r" {2,}", heading) == ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert [line.split()[0] for line in lines] == [zoo[name][:12] for name in ("fresh", "done", "failed", "runner")]
    columns = {line.split()[-1]: re.split(r" {2,}", line) for line in lines}
    assert columns["fresh"][1:3] == [IMAGE, "echo a rather long …"] and columns["fresh"][4] == "Created"
    assert re.match(r"Exited \(3\) .* ago$", columns["failed"][4])
    assert re.match(r"Up (Less than a|\d+) second", columns["runner"][4])
    only = crate.ok("ps", "--no-trunc", "--noheading")
    assert zoo["runner"] in only and "\n" not in only
    assert "0B (virtual" in crate.ok("ps", "-s")
    assert crate.ok("ps", "-aq", "--no-trunc").split() == [zoo[name] for name in ("fresh", "done", "failed", "runner")]


def test_which_are_shown(crate: Crate, zoo: dict[str, str]) -> None:
    assert _names(crate) == ["runner"]
    assert _names(crate, "--latest") == ["fresh"] and _names(crate, "-n", "2") == ["fresh", "done"]
    assert _names(crate, "-a", "--sort", "names") == ["done", "failed", "fresh", "runner"]
    for filters, expected in {
        "name=r": "runner", "id=" + zoo["runner"][:6]: "runner", "label=tier": "runner", "label=tier=db": "",
    }.items():  # fmt: skip
        assert _names(crate, "-f", filters) == expected.split(), filters
    for filters, expected in {
        "status=exited": "done failed", "status=created": "fresh", "exited=3": "failed", "exited=0": "done",
        "label=tier=db": "done failed", "label=bare": "done", f"ancestor={IMAGE}": "fresh done failed runner",
        "ancestor=busybox": "fresh done failed runner", "ancestor=other": "", "before=done": "failed runner",
        "since=failed": "fresh done", "volume=data": "runner", "volume=/mnt": "fresh", "name=^d": "done",
        "network=none": "done failed runner", "until=1h": "", "until=0s": "fresh done failed runner",
    }.items():  # fmt: skip
        assert _names(crate, "-a", "--filter", filters) == expected.split(), filters
    assert _names(crate, "-a", "-f", "status=exited", "-f", "status=running", "-f", "label=tier=db") == [
        "done",
        "failed",
    ]
    for wrong in ("nonsense", "colour=red", "status=asleep", "exited=x", "before=gone"):
        assert wrong.partition("=")[2 if "=" in wrong and wrong[0] not in "cs" else 0] in crate.fails(
            125, "ps", "-f", wrong
        )


def test_templates(crate: Crate, zoo: dict[str, str]) -> None:
    assert (
        crate.ok("ps", "--format", "{{.ID}} {{.Image}} {{.Command}} {{.State}}")
        == f"{zoo['runner'][:12]} {IMAGE} sleep 1000 running"
    )
    table = crate.ok("ps", "-a", "--format", r"table {{.Names}}\t{{.Status}}", "--filter", "name=fresh").splitlines()
    assert [re.split(r" {2,}", line) for line in table] == [["NAMES", "STATUS"], ["fresh", "Created"]]
    assert crate.ok("ps", "--format", '{{.Label "tier"}}/{{.Labels}}').startswith("web/")
    assert crate.ok("ps", "--format", '{{upper .Names}} {{len .ID}} {{printf "%.3s" .Image}}') == "RUNNER 12 cra"
    shown = [
        re.split(r" {2,}", line) for line in crate.ok("ps", "-a", "--format", "table {{.Names}} {{.ID}}").splitlines()
    ]
    assert shown[0] == ["NAMES", "CONTAINER ID"] and ["failed", zoo["failed"][:12]] in shown
    (found,) = json.loads(crate.ok("ps", "--format", "json"))
    assert found["Names"] == ["runner"] and found["State"] == "running" and found["Mounts"] == ["/data"]
    assert found["Id"] == zoo["runner"] and found["Command"] == ["sleep", "1000"] and found["Labels"]["tier"] == "web"
    assert found["Created"] <= found["StartedAt"] and found["Pid"] > 1 and found["Exited"] is False
    assert json.loads(crate.ok("ps", "-f", "name=nobody", "--format", "json")) == []
    assert json.loads(crate.ok("ps", "--format", "{{json .}}")).keys() >= {
        "ID",
        "Ports",
        "CreatedAt",
        "RunningFor",
        "Networks",
    }
    assert "Nonsense" in crate.fails(125, "ps", "--format", "{{.Nonsense}}")
    assert "unclosed" in crate.fails(125, "ps", "--format", "{{.Names")
