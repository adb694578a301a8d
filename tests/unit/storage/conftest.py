"""Roots of the tests' own."""

from __future__ import annotations

from pathlib import Path

import pytest

from crate.storage.roots import Roots, open_roots


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A fresh store and run root."""
    return open_roots(str(tmp_path / "graph"), str(tmp_path / "run"))
