"""Names that crate makes up, and the beginnings of ids in the place of names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]

COMMANDS = [
    "attach", "logs", "inspect", "container inspect", "start", "stop", "restart", "kill", "pause", "wait", "port",
    "rename {} other", "exec {} true", "rm", "container exists",
]  # fmt: skip


def test_beginnings_of_ids(crate: Crate) -> None:
    ids: list[str] = []
    first: dict[str, str] = {}
    while len(ids) == len(first):  # until two begin with the same digit, after 17 at the latest
        ids.append(crate.ok("create", IMAGE, "true"))
        first.setdefault(ids[-1][0], ids[-1])
    made = crate.ok("ps", "-a", "--format", "{{.Names}}").splitlines()
    assert len(set(made)) == len(ids) and all(re.match(r"^[a-z]+_[a-z]+$", name) for name in made)
    shared, pair = ids[-1][0], sorted([first[ids[-1][0]], ids[-1]])
    for words in COMMANDS:
        line = words if "{}" in words else f"{words} {{}}"
        message = crate(*line.format(shared).split()).err
        assert f"begins with {shared}: {pair[0][:12]}, {pair[1][:12]}" in message, (words, message)
    assert sorted(crate.ok("ps", "-aq", "--no-trunc").splitlines()) == sorted(ids)
    length = next(n for n in range(1, 65) if pair[0][:n] != pair[1][:n])
    assert crate.inspect(pair[0][:length])["Id"] == pair[0]
    assert crate.ok("rm", pair[1][:length]) == pair[1][:length]
    assert crate.inspect(shared)["Id"] == pair[0]


def test_a_name_goes_before_a_beginning(crate: Crate) -> None:
    one = crate.ok("create", IMAGE, "true")
    other = crate.ok("create", "--name", one[:6], IMAGE, "true")
    assert crate.inspect(one[:6])["Id"] == other and crate.inspect(one)["Id"] == one
    assert "already in use" in crate.fails(125, "create", "--name", one[:6], IMAGE, "true")
    assert "invalid" in crate.fails(125, "create", "--name", "two words", IMAGE, "true")
