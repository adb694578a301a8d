"""What the tests of builds share: contexts, and the images that come of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from build.building import Builder

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate


@pytest.fixture
def builder(crate: Crate, busybox: str, tmp_path: Path) -> Builder:
    """Builds with a crate that has the image of the host's busybox."""
    return Builder(crate, tmp_path)
