"""Real control groups under a parent of the tests' own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import abilities
from cgroup.groups import Parent
from crate.cgroup.hierarchy import Hierarchy, discover

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def parent() -> Iterator[Parent]:
    """A parent cgroup on this host, v1, v2 or both; the test is skipped where it cannot be made."""
    if abilities.why_not("cgroup-v2"):
        abilities.need("root", "cgroup-v1")
    parent = Parent()
    yield parent
    parent.remove()


@pytest.fixture
def parent_without_v2() -> Iterator[Parent]:
    """The same on the v1 controllers alone, as on hosts without /sys/fs/cgroup/unified."""
    abilities.need("root", "cgroup-v1")
    hierarchy = discover()
    parent = Parent(Hierarchy(hierarchy.v1, None, hierarchy.own))
    yield parent
    parent.remove()
