"""The store of an ordinary user, inside a user namespace: with many ids, and with one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from users import User

pytestmark = pytest.mark.requires("root", "subids", "unprivileged-user")

SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.mark.parametrize(
    ("maps", "owner"), [(["--map-root-user", "--map-auto"], [33, 42]), (["--map-root-user"], [0, 0])]
)
def test_layers_and_mounts(unprivileged_user: User, maps: list[str], owner: list[int]) -> None:
    place = unprivileged_user.home / f"store-{len(maps)}"
    script = str(Path(__file__).with_name("rootless_store.py"))
    words = ["unshare", "--user", "--mount", *maps, sys.executable, "-I", script]
    done = subprocess.run(
        [*unprivileged_user.become, *words, str(SOURCE), str(place / "graph"), str(place / "run")],
        check=False,
        capture_output=True,
        text=True,
        cwd=unprivileged_user.home,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "rootless": True,
        "uid": unprivileged_user.uid,
        "driver": "overlay",
        "names": ["d", "f"],
        "in d": ["new"],
        "owner": owner,
        "mode": "0o4755",
        "kept in trash": [],
    }
