"""What `ps` shows of containers, which of them it chooses, and what filters mean."""

from __future__ import annotations

import re
from typing import Any

import pytest

from crate.cli import filters
from crate.cli.container import listing
from crate.engine import containers as engine_containers
from crate.errors import UsageError

SECOND = 10**9
NOW = 1_700_000_000 * SECOND


class Known:
    """A container as the engine gives it."""

    def __init__(self, name: str, container_id: str, status: str, **facts: Any) -> None:
        self.name = name
        self.id = container_id.ljust(64, "0")
        self._state = {
            "status": status, "pid": 0, "exit_code": facts.pop("exit_code", 0),
            "started_at": NOW - 90 * SECOND, "finished_at": NOW - 5 * SECOND, **facts.pop("state", {}),
        }  # fmt: skip
        self.record = {
            "created": NOW - 7200 * SECOND,
            "options": {"image": "busybox"}, "image_name": "docker.io/library/busybox:latest", "image": "f" * 64,
            "entrypoint": [], "command": ["sleep", "a long while", "and longer"], "labels": {}, "mounts": [],
            "remove": False, "network": {"mode": "bridge", "networks": [{"network": "crate0"}]}, **facts,
        }  # fmt: skip

    def state(self, engine: Any, fresh: bool = False) -> dict[str, Any]:
        return self._state


PORTS = [
    {"host_ip": "", "host_port": 8080, "container_port": 80, "protocol": "tcp"},
    {"host_ip": "", "host_port": 8081, "container_port": 81, "protocol": "tcp"},
    {"host_ip": "::1", "host_port": 53, "container_port": 53, "protocol": "udp"},
]
WEB = Known("web", "aaa1", "running", labels={"tier": "web", "b": "2"}, state={"pid": 42, "lease": {"ports": PORTS}})
JOB = Known("job", "bbb2", "exited", exit_code=3, created=NOW - 60 * SECOND)
NEW = Known("new", "ccc3", "created", mounts=[{"name": "data", "source": "/v/data", "destination": "/data"}])


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three containers, and a clock that stands."""
    listed = [WEB, JOB, NEW]
    monkeypatch.setattr(engine_containers, "listing", lambda engine, live=False: list(listed))
    monkeypatch.setattr(engine_containers, "find", lambda engine, text: next(c for c in listed if c.name == text))
    monkeypatch.setattr("time.time_ns", lambda: NOW)


def ps(**options: Any) -> str:
    """The output of `crate ps` with these options."""
    from crate.cli import table

    every = dict.fromkeys(table.OPTIONS["container.ps"][2].split())
    return listing.text(None, {**every, **options})  # type: ignore[arg-type]


def names(**options: Any) -> list[str]:
    """The containers that `crate ps` shows with these options."""
    return ps(format="{{.Names}}", **options).split()


def test_default_table() -> None:
    heading, web = (re.split(" {2,}", line) for line in ps().splitlines())
    columns = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert [cell.strip() for cell in heading if cell.strip()] == columns
    ports = "0.0.0.0:8080-8081->80-81/tcp, [::1]:53->53/udp"
    wanted = ["aaa100000000", "busybox", "sleep a long while …", "2 hours ago", "Up About a minute", ports, "web"]
    assert [cell.strip() for cell in web if cell.strip()] == wanted


def test_choice() -> None:
    assert names() == ["web"]
    assert names(all=True) == ["web", "job", "new"]
    assert names(latest=True) == ["web"]
    assert names(last=2) == ["web", "job"]
    assert names(filter=["status=exited"]) == ["job"]
    assert names(all=True, sort="names") == ["job", "new", "web"]
    with pytest.raises(UsageError, match="invalid option for --sort"):
        names(sort="colour")


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("ID", "aaa100000000"),
        ("Command", "sleep a long while …"),
        ("Status", "Up About a minute"),
        ("State", "running"),
        ("RunningFor", "2 hours ago"),
        ("Labels", "b=2,tier=web"),
        ("Ports", "0.0.0.0:8080-8081->80-81/tcp, [::1]:53->53/udp"),
        ("Networks", "crate0"),
        ("Pid", "42"),
        ("ExitCode", "0"),
        ("LocalVolumes", "0"),
        ("AutoRemove", "false"),
    ],
)
def test_field(field: str, wanted: str) -> None:
    assert ps(format=f"{{{{.{field}}}}}") == wanted + "\n"


def test_label_and_no_trunc() -> None:
    assert ps(format='{{.Label "tier"}}/{{.Label "none"}}') == "web/\n"
    assert ps(format="{{.ID}}", no_trunc=True) == WEB.id + "\n"
    assert ps(format="{{.Command}}", no_trunc=True) == "sleep a long while and longer\n"


def test_status_of_others() -> None:
    shown = ps(all=True, format="{{.Status}}").splitlines()
    assert shown == ["Up About a minute", "Exited (3) 5 seconds ago", "Created"]
    paused = {"status": "paused", "started_at": NOW}
    assert listing.status(paused, NOW) == "Paused"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["name=e"], ["web", "new"]),
        (["name=^web$"], ["web"]),
        (["name=/web"], ["web"]),
        (["name=web", "name=job"], ["web", "job"]),
        (["name=w.b"], ["web"]),
        (["id=aaa1"], ["web"]),
        (["id=AAA1"], ["web"]),
        (["id=^[ab]"], ["web", "job"]),
        (["label=tier"], ["web"]),
        (["label=tier=web"], ["web"]),
        (["label=tier=db"], []),
        (["label=tier", "label=b=2"], ["web"]),
        (["label=tier", "label=c"], []),
        (["label!=tier"], ["job", "new"]),
        (["status=running"], ["web"]),
        (["status=stopped"], ["job"]),
        (["status=exited", "status=created"], ["job", "new"]),
        (["exited=3"], ["job"]),
        (["exited=0"], []),
        (["before=job"], ["web", "new"]),
        (["since=web"], ["job"]),
        (["until=10m"], ["web", "new"]),
        (["ancestor=busybox"], ["web", "job", "new"]),
        (["ancestor=docker.io/library/busybox:latest"], ["web", "job", "new"]),
        (["ancestor=ffff"], ["web", "job", "new"]),
        (["ancestor=alpine"], []),
        (["volume=data"], ["new"]),
        (["volume=/data"], ["new"]),
        (["network=crate0"], ["web", "job", "new"]),
        (["publish=80"], ["web"]),
        (["publish=53/udp"], ["web"]),
        (["publish=53"], []),
        (["name=e", "status=created"], ["new"]),
    ],
)
def test_filter(given: list[str], wanted: list[str]) -> None:
    assert names(all=True, filter=given) == wanted


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("name", 'invalid argument "name" for "-f, --filter" flag: bad format of filter'),
        ("=x", "bad format of filter"),
        ("colour=red", 'invalid filter "colour"'),
        ("status=happy", 'invalid filter "status=happy"'),
        ("exited=many", 'invalid filter "exited=many"'),
        ("name=[", "invalid pattern"),
    ],
)
def test_wrong_filter(given: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        names(all=True, filter=[given])
    assert message in caught.value.message


def test_filters_of_networks_and_volumes() -> None:
    networks = [{"id": "1a", "name": "crate0", "labels": {}}, {"id": "2b", "name": "back", "labels": {"x": "1"}}]
    assert [n["name"] for n in filters.networks(None, ["label=x"], networks)] == ["back"]  # type: ignore[arg-type]
    found = filters.networks(None, ["name=a", "driver=bridge"], networks)  # type: ignore[arg-type]
    assert [n["name"] for n in found] == ["crate0", "back"]
    volumes = [{"name": "data", "labels": {"x": "1"}}, {"name": "other", "labels": {}}]
    assert [v["name"] for v in filters.volumes(None, ["dangling=false"], volumes)] == ["data"]  # type: ignore[arg-type]
    assert [v["name"] for v in filters.volumes(None, ["dangling=true"], volumes)] == ["other"]  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="true or false"):
        filters.volumes(None, ["dangling=perhaps"], volumes)  # type: ignore[arg-type]
