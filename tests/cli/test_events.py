"""events: what is recorded of each thing that is done, how it is chosen and shown, and following it."""

from __future__ import annotations

import json
import os
import select
import time
from typing import TYPE_CHECKING, Any

import pytest

from program import until

if TYPE_CHECKING:
    import subprocess

    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def past(crate: Crate, *arguments: str) -> list[str]:
    """`TYPE ACTION NAME` of every event."""
    form = "{{.Type}} {{.Status}} {{.Name}}"
    return crate.ok("events", "--stream=false", "--format", form, *arguments).splitlines()


def actions(crate: Crate, *arguments: str) -> list[str]:
    """The actions alone."""
    return [line.split()[1] for line in past(crate, *arguments)]


def objects(crate: Crate, *arguments: str) -> list[dict[str, Any]]:
    """The events as JSON."""
    lines = crate.ok("events", "--stream=false", "--format", "json", *arguments).splitlines()
    return [json.loads(line) for line in lines]


def test_the_life_of_a_container(crate: Crate) -> None:
    assert crate("run", "--name", "job", *NONE, IMAGE, "sh", "-c", "exit 3").status == 3
    crate.ok("rename", "job", "work")
    crate.ok("rm", "work")
    assert crate("run", "--rm", *NONE, IMAGE, "true").status == 0
    crate.ok("run", "-d", "--name", "web", *NONE, IMAGE, "sleep", "1000")
    crate.ok("rename", "web", "site")
    crate.ok("rename", "site", "web")
    crate.ok("pause", "web")
    crate.ok("unpause", "web")
    assert crate("exec", "web", "sh", "-c", "exit 4").status == 4
    crate.ok("update", "--pids-limit", "50", "web")
    crate.ok("kill", "-s", "CONT", "web")
    crate.ok("stop", "-t", "0", "web")
    crate.ok("rm", "web")
    script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    crate.ok("run", "-d", "--name", "kind", *NONE, IMAGE, "sh", "-c", script)
    crate.await_line("kind", "ready")
    crate.ok("stop", "kind")
    assert actions(crate, "--filter", "container=kind") == ["create", "start", "died", "stop"]
    assert actions(crate, "--filter", "container=job") == ["create", "start", "attach", "died"]
    assert actions(crate, "--filter", "container=work") == ["rename", "remove"]
    expected = "create start rename pause unpause exec exec_died update kill died stop remove".split()
    assert actions(crate, "--filter", "container=web") == expected
    names = {line.split()[2] for line in past(crate, "--filter", "type=container")} - {
        "job",
        "work",
        "web",
        "site",
        "kind",
    }
    (own,) = names
    assert actions(crate, "--filter", f"container={own}") == ["create", "start", "attach", "died", "remove"]
    ends = objects(crate, "--filter", "event=died", "--filter", "event=exec_died")
    assert [end["ContainerExitCode"] for end in ends] == [3, 0, 4, 137, 0]


def test_the_life_of_other_things(crate: Crate) -> None:
    crate.ok("tag", IMAGE, "other")
    crate.ok("untag", IMAGE, "other")
    crate.ok("tag", IMAGE, "third")
    crate.ok("rmi", "third")
    crate.ok("volume", "create", "data")
    crate.ok("volume", "rm", "data")
    crate.ok("volume", "create", "unused")
    crate.ok("volume", "prune", "--force", "--all")
    crate.ok("pod", "create", "--name", "pod", "--infra=false")
    crate.ok("pod", "rm", "pod")
    assert past(crate, "--filter", "type=image") == [
        "image pull crate.local/busybox:latest",
        "image tag localhost/other:latest",
        "image untag localhost/other:latest",
        "image tag localhost/third:latest",
        "image untag localhost/third:latest",
    ]
    assert [line.strip() for line in past(crate, "--filter", "type=volume")] == [
        "volume create data", "volume remove data", "volume create unused", "volume remove unused", "volume prune",
    ]  # fmt: skip
    assert [line.split()[1] for line in past(crate, "--filter", "pod=pod")] == ["create", "remove"]


def test_which_are_wanted(crate: Crate) -> None:
    crate.ok("create", "--name", "one", "--label", "color=red", *NONE, IMAGE)
    crate.ok("create", "--name", "two", "--label", "color=blue", *NONE, IMAGE)
    (first,) = objects(crate, "--filter", "container=one")
    assert first["ID"] == crate.inspect("one")["Id"] and first["Attributes"]["color"] == "red"
    assert past(crate, "-f", f"container={first['ID'][:12]}") == ["container create one"]
    assert past(crate, "-f", "label=color=blue") == ["container create two"]
    assert len(past(crate, "-f", "label=color", "-f", "event=create")) == 2
    assert past(crate, "-f", "container=one", "-f", "event=died") == []
    assert len(past(crate, "-f", "image=busybox", "-f", "type=container")) == 2
    assert past(crate, "--since", first["Time"], "-f", "type=container") == past(crate, "-f", "type=container")
    after = f"{first['timeNano'] // 10**9}.{first['timeNano'] % 10**9 + 1:09d}"
    assert past(crate, "--since", after) == ["container create two"]
    assert past(crate, "--until", first["Time"], "-f", "type=container") == ["container create one"]
    assert "invalid filter" in crate.fails(125, "events", "-f", "size=3")
    assert "invalid filter" in crate.fails(125, "events", "-f", "type=cat")
    assert "invalid time" in crate.fails(125, "events", "--since", "yesterday")


def test_how_they_are_shown(crate: Crate) -> None:
    container = crate.ok("create", "--name", "one", "--label", "a=b", *NONE, IMAGE)
    (event,) = objects(crate, "-f", "container=one")
    assert event["Action"] == "create" and event["Actor"]["Attributes"]["name"] == "one"
    assert event["Actor"]["ID"] == container and event["scope"] == "local"
    assert event["timeNano"] // 10**9 == event["time"] and event["Type"] == "container"
    line = crate.ok("events", "--stream=false", "-f", "container=one")
    day, clock, zone, utc, *words = line.split()
    assert f"{day}T{clock}Z" == event["Time"] and (zone, utc) == ("+0000", "UTC")
    assert words[:5] == ["container", "create", container, "(image=crate.local/busybox:latest,", "name=one,"]
    assert "a=b" in words[5] and line.endswith(")")
    assert f" {container[:12]} (" in crate.ok("events", "--no-stream", "--no-trunc=false", "-f", "container=one")
    assert (
        json.loads(crate.ok("system", "events", "--stream=false", "--format", "{{json .}}").splitlines()[-1]) == event
    )


def follow(crate: Crate, *arguments: str) -> subprocess.Popen[str]:
    """A follower that has begun, which a first event shows."""
    process = crate.popen("events", "--format", "{{.Status}} {{.Name}}", *arguments)
    assert process.stdout

    def begun() -> bool:
        crate.ok("tag", IMAGE, "probe")
        assert process.stdout
        return bool(select.select([process.stdout], [], [], 0.1)[0])

    until(begun)
    return process


def read_until(process: subprocess.Popen[str], last: str) -> list[str]:
    """The lines up to `last`, without those of `follow`."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        if "probe" not in line:
            lines.append(line.strip())
        if line.strip() == last:
            return lines
    raise AssertionError(f"{last} never came: {lines}")


def test_following_over_a_rotation(crate: Crate) -> None:
    followers = [follow(crate), follow(crate)]
    expected = []
    for number in range(4):
        crate.ok("volume", "create", f"v{number}")
        expected.append(f"create v{number}")
        if number == 1:  # as the writer does it when the part is full
            os.rename(crate.root / "events/journal", crate.root / "events/journal.1")
    for follower in followers:
        assert read_until(follower, "create v3") == expected
    assert [f"{event['Status']} {event['Name']}" for event in objects(crate, "-f", "type=volume")] == expected


def test_a_full_journal_begins_a_new_part(crate: Crate) -> None:
    journal = crate.root / "events/journal"
    line = (
        json.dumps({"time": time.time_ns(), "type": "system", "action": "filler", "id": "", "name": "x" * 900}) + "\n"
    )
    with journal.open("a") as file:
        file.write(line * 1200)
    crate.ok("volume", "create", "last")
    assert crate.ok("volume", "create", "next") == "next"
    assert journal.stat().st_size < 10_000 and (journal.parent / "journal.1").stat().st_size > 1 << 20
    assert past(crate, "-f", "type=volume") == ["volume create last", "volume create next"]


def test_an_end_is_set(crate: Crate) -> None:
    assert crate.ok("events", "--until", "300ms", "-f", "type=image", "--format", "{{.Status}}") == "pull"


def test_a_journal_that_cannot_be_written_fails_no_command(crate: Crate) -> None:
    journal = crate.root / "events/journal"
    journal.unlink()
    journal.mkdir()
    assert crate.ok("run", "--rm", *NONE, IMAGE, "echo", "fine") == "fine"
    journal.rmdir()
    journal.parent.rmdir()
    crate.ok("volume", "create", "data")
    assert past(crate) == ["volume create data"], "the directory is made again"
    with journal.open("a") as file:
        file.write('{"half')
    assert past(crate) == ["volume create data"]
