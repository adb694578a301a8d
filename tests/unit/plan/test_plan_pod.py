"""What a pod makes of the options of its sandbox and of its containers."""

from __future__ import annotations

from typing import Any

import pytest

from crate.errors import UsageError
from crate.plan import pod as planning

ID = "ab" * 32
BOX = "cd" * 32


def pod(**options: Any) -> dict[str, Any]:
    """The record of a pod with these options of `pod create`."""
    made: dict[str, Any] = {"id": ID, "name": "web", "cgroup": f"/crate/{ID}", "share_parent": True}
    made["share"] = planning.parse_share(options.get("share"))
    made["options"] = planning.lasting_options(options)
    made["sandbox"] = planning.sandbox_options(options, made)
    return made


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, ["ipc", "net", "uts"]),
        ("", []),
        ("none", []),
        ("pid", ["pid"]),
        ("+pid", ["ipc", "net", "pid", "uts"]),
        ("net,cgroup", ["cgroup", "net"]),
    ],
)
def test_what_is_shared(text: str | None, names: list[str]) -> None:
    assert planning.parse_share(text) == names


def test_container_joins_the_sandbox() -> None:
    made = planning.member_options({"image": "i", "pod": "web"}, pod(share="+pid"), BOX)
    assert made == {
        "image": "i", "pod_id": ID, "pod_hostname": "web", "cgroup_parent": f"/crate/{ID}",
        "network": [f"container:{BOX}"], "ipc": f"container:{BOX}", "uts": f"container:{BOX}",
        "pid": f"container:{BOX}", "userns": "host",
    }  # fmt: skip


def test_the_hosts_namespaces_are_joined_by_name() -> None:
    made = planning.member_options({"image": "i"}, pod(network=["host"], uts="host"), BOX)
    assert (made["network"], made["uts"], made["ipc"]) == (["host"], "host", f"container:{BOX}")
    assert "pod_hostname" not in made


def test_own_wishes_come_first() -> None:
    wishes = {"image": "i", "network": ["none"], "ipc": "private", "cgroup_parent": "/other", "restart": "always"}
    made = planning.member_options(wishes, pod(restart="no"), BOX)
    assert {key: made[key] for key in wishes} == wishes


def test_inherited() -> None:
    given = pod(device=["/dev/fuse"], security_opt=["label=disable"], volume=["/a:/b"], restart="always")
    made = planning.member_options({"image": "i", "device": ["/dev/null"], "volumes_from": ["x"]}, given, BOX)
    assert made["device"] == ["/dev/fuse", "/dev/null"] and made["security_opt"] == ["label=disable"]
    assert made["volumes_from"] == [BOX, "x"] and made["restart"] == "always"
    assert "restart" not in planning.member_options({"image": "i", "rm": True}, given, BOX)


@pytest.mark.parametrize("share", [None, "+pid,cgroup", "net", "none"])
@pytest.mark.parametrize(
    "options",
    [
        {"image": "i"},
        {"image": "i", "ipc": "private", "network": ["none"], "cgroup_parent": "/other"},
        {"image": "i", "device": ["/dev/null"], "volumes_from": ["x"], "restart": "on-failure"},
    ],
)
def test_joining_can_be_undone(options: dict[str, Any], share: str | None) -> None:
    given = pod(share=share, device=["/dev/fuse"], volume=["/a:/b"], restart="always")
    made = planning.unjoined_options(planning.member_options(options, given, BOX), given, BOX)
    assert {key: value for key, value in made.items() if value} == options


def test_sandbox_has_no_rights() -> None:
    made = planning.sandbox_options({"publish": ["80:80"], "hostname": "own", "memory": "1g"}, pod())
    assert made["cap_drop"] == ["ALL"] and made["read_only"] and made["security_opt"] == ["no-new-privileges"]
    assert made["publish"] == ["80:80"] and made["hostname"] == "own" and "memory" not in made


@pytest.mark.parametrize(
    "options",
    [{"userns": "auto", "infra": False, "share": "none"}, {"exit_policy": "x"}, {"infra": False, "publish": ["80"]}],
)
def test_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        planning.check_pod(options)
