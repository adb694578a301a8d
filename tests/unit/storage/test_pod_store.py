"""Pods on disk: made whole or not at all, one to a name, found by what users type."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from crate.errors import NameInUseError, NotFoundError, StateError, UsageError
from crate.storage import pods
from crate.storage.roots import Roots


def record(name: str, identifier: str = "", created: int = 0) -> dict[str, Any]:
    return {"version": 1, "id": identifier or os.urandom(32).hex(), "name": name, "created": created}


def test_made_found_and_gone(roots: Roots) -> None:
    made = record("web", "ab" + "0" * 62)
    pods.create(roots, made)
    for text in ("web", made["id"], "ab0"):
        assert pods.find(roots, text) == made
    with pytest.raises(NotFoundError, match="no pod with name or ID we found: no such pod"):
        pods.find(roots, "we")
    pods.release(roots, made["id"])
    pods.release(roots, made["id"])
    assert pods.listing(roots) == [] and pods.read(roots, made["id"]) is None
    assert os.listdir(f"{roots.graphroot}/stage") == []


def test_one_to_a_name(roots: Roots) -> None:
    pods.create(roots, record("web"))
    with pytest.raises(NameInUseError, match='name "web" is in use: pod already exists'):
        pods.create(roots, record("web"))
    assert os.listdir(f"{roots.graphroot}/stage") == [] and len(pods.listing(roots)) == 1


def test_newest_first_and_ambiguous(roots: Roots) -> None:
    for number, name in enumerate(("one", "two", "three")):
        pods.create(roots, record(name, f"abc{number}" + "0" * 60, number))
    assert [found["name"] for found in pods.listing(roots)] == ["three", "two", "one"]
    with pytest.raises(UsageError, match="more than one pod id begins with abc"):
        pods.find(roots, "abc")


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "x" * 256])
def test_names_that_are_none(roots: Roots, name: str) -> None:
    with pytest.raises(UsageError, match="invalid pod name"):
        pods.create(roots, record(name))


def test_damaged_and_newer_records(roots: Roots) -> None:
    made = record("web")
    pods.create(roots, made)
    path = Path(f"{roots.graphroot}/pods/{made['id']}/pod.json")
    path.write_text('{"version": 2}')
    with pytest.raises(StateError, match="its version is 2"):
        pods.listing(roots)
    path.write_text("{")
    with pytest.raises(StateError, match="it is damaged"):
        pods.listing(roots)


def test_a_store_that_had_no_pods(roots: Roots) -> None:
    """Stores of older versions have no such directory."""
    if os.path.isdir(f"{roots.graphroot}/pods"):
        os.rmdir(f"{roots.graphroot}/pods")
    assert pods.listing(roots) == []
    pods.create(roots, record("web"))
    assert len(pods.listing(roots)) == 1
