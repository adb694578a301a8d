"""Users and groups by the image's own files, read beneath its root."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from crate.errors import UsageError
from crate.runtime.user import lookup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n77:x:1077:1078::/numeric:/bin/sh\nshort:x\n"
GROUP = "root:x:0:\nwww:x:34:\nlog:x:40:web,other\ndisk:x:6:root\n"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """A descriptor of a root with /etc/passwd and /etc/group."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("text", "uid", "gid", "extra", "home"),
    [
        ("web", 33, 34, [40], "/srv"),
        ("33", 33, 34, [40], "/srv"),
        ("web:log", 33, 40, [], "/srv"),
        ("web:99", 33, 99, [], "/srv"),
        ("77", 77, 0, [], "/"),  # a name of digits is none
        ("5000", 5000, 0, [], "/"),
        ("5000:log", 5000, 40, [], "/"),
        ("short:www", None, None, None, None),
    ],
)
def test_lookup(root: int, text: str, uid: int, gid: int, extra: list[int], home: str) -> None:
    if uid is None:
        with pytest.raises(UsageError, match="unable to find user short"):
            lookup(root, text, [])
        return
    user, found_home = lookup(root, text, [])
    assert (user["uid"], user["gid"], found_home) == (uid, gid, home)
    assert set(extra) <= set(user.get("additionalGids", []))


def test_root_has_its_groups(root: int) -> None:
    user, home = lookup(root, "", [])
    assert (user["uid"], user["gid"], home) == (0, 0, "/root")
    assert 6 in user["additionalGids"]


def test_more_groups(root: int) -> None:
    user, _ = lookup(root, "web", ["log", "4711"])
    assert {40, 4711} <= set(user["additionalGids"])


@pytest.mark.parametrize("text", ["nobody", "web:none", "99999999999", "web:99999999999"])
def test_unknown(root: int, text: str) -> None:
    with pytest.raises(UsageError, match=r"unable to find|not within"):
        lookup(root, text, [])


@pytest.mark.parametrize("kind", ["fifo", "link", "directory", "missing", "huge"])
def test_hostile_passwd(tmp_path: Path, kind: str) -> None:
    """Nothing hangs, and nothing of the host is read."""
    (tmp_path / "etc").mkdir()
    passwd = tmp_path / "etc/passwd"
    if kind == "fifo":
        os.mkfifo(passwd)
    elif kind == "link":
        passwd.symlink_to("/../../../../../../etc/passwd")
    elif kind == "directory":
        passwd.mkdir()
    elif kind == "huge":
        passwd.write_text("x:x:1:1::/:/\n" * 200_000)
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    try:
        with pytest.raises(UsageError, match="unable to find user daemon"):
            lookup(fd, "daemon", [])
        assert lookup(fd, "", [])[0]["uid"] == 0
    finally:
        os.close(fd)
