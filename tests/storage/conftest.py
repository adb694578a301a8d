"""A store on a disk that an overlay's upper layer may lie on, and layers and containers in it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from abilities import disk_directory
from crate.storage import trash
from crate.storage.roots import open_roots
from descriptors import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crate.storage.roots import Roots


@pytest.fixture
def roots() -> Iterator[Roots]:
    """A fresh store; afterwards nothing may be mounted or staged in it."""
    place = Path(tempfile.mkdtemp(prefix="crate-store-", dir=disk_directory()))
    before = opened()
    try:
        made = open_roots(str(place / "graph"), str(place / "run"))
        yield made
        assert str(place) not in Path("/proc/mounts").read_text()
        assert os.listdir(f"{made.graphroot}/stage") == []
        assert trash.empty(made) == []
        assert not opened() - before
    finally:
        subprocess.run(["rm", "-rf", str(place)], check=True)
