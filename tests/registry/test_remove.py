"""Removing images: names first, then the image, its layers and its blobs; podman's errors and statuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crate.image import load, local, remove, tag
from crate.image.remove import Users
from crate.storage import content, image_record, layers
from crate.storage.roots import Roots
from registry.made import docker_archive, layer_tar

pytestmark = pytest.mark.requires("root")

BASE, TOP = layer_tar(base="1"), layer_tar(top="2")
NOBODY = Users(lambda _: [], lambda: [], lambda _: None)


def put(roots: Roots, tmp_path: Path, *images: tuple[list[str], list[bytes]]) -> list[str]:
    """Loads images; gives their ids."""
    (tmp_path / "archive").write_bytes(docker_archive(*images))
    return [loaded.record["id"] for loaded in load.load(roots, str(tmp_path / "archive"))]


def assert_empty(roots: Roots) -> None:
    assert image_record.list_ids(roots) == []
    assert layers.list_ids(roots) == []
    assert content.list_digests(roots) == []
    assert os.listdir(f"{roots.graphroot}/images/references") == []


def used_by(image_id: str, *containers: str, removed: list[str] | None = None) -> Users:
    """Containers of an image, until they are removed."""
    gone = removed if removed is not None else []

    def of(asked: str) -> list[str]:
        return [c for c in containers if asked == image_id and image_id not in gone]

    return Users(of, lambda: [], gone.append)


def test_the_last_name_takes_everything_with_it(roots: Roots, tmp_path: Path) -> None:
    (image_id,) = put(roots, tmp_path, (["a:1"], [BASE, TOP]))
    (removal,), failures = remove.remove(roots, ["a:1"], NOBODY)
    assert (removal.id, removal.untagged, removal.deleted) == (image_id, ["localhost/a:1"], True)
    assert removal.freed > 0
    assert failures == []
    assert_empty(roots)


def test_one_name_of_several_is_only_untagged(roots: Roots, tmp_path: Path) -> None:
    put(roots, tmp_path, (["a:1", "b:1"], [BASE]))
    (removal,), failures = remove.remove(roots, ["b:1"], NOBODY)
    assert (removal.untagged, removal.deleted, failures) == (["localhost/b:1"], False, [])
    assert local.get(roots, "a:1")["names"] == ["localhost/a:1"]


def test_all_names_in_one_call_delete_the_image(roots: Roots, tmp_path: Path) -> None:
    put(roots, tmp_path, (["a:1", "b:1"], [BASE]))
    (removal,), failures = remove.remove(roots, ["a:1", "b:1"], NOBODY)
    assert (removal.untagged, removal.deleted, failures) == (["localhost/a:1", "localhost/b:1"], True, [])
    assert_empty(roots)


def test_an_id_with_several_names_wants_force(roots: Roots, tmp_path: Path) -> None:
    (image_id,) = put(roots, tmp_path, (["a:1", "b:1"], [BASE]))
    _, failures = remove.remove(roots, [image_id[:12]], NOBODY)
    assert "unable to delete image" in failures[0].message
    assert "more than one tag (localhost/a:1, localhost/b:1)" in failures[0].message
    assert remove.exit_status(failures) == 125
    _, failures = remove.remove(roots, [image_id[:12]], NOBODY, force=True)
    assert failures == []
    assert_empty(roots)


def test_shared_layers_and_blobs_stay(roots: Roots, tmp_path: Path) -> None:
    first, second = put(roots, tmp_path, (["a:1"], [BASE]), (["b:1"], [BASE, TOP]))
    remove.remove(roots, ["b:1"], NOBODY)
    record = local.get(roots, first)
    assert layers.missing(roots, record["layers"]) == []
    assert len(layers.list_ids(roots)) == 1
    assert all(content.has(roots, layer["digest"]) for layer in record["manifest"]["layers"])
    assert local.find(roots, second) is None


def test_what_containers_use_is_refused_with_status_2(roots: Roots, tmp_path: Path) -> None:
    (image_id,) = put(roots, tmp_path, (["a:1"], [BASE]))
    _, failures = remove.remove(roots, ["a:1"], used_by(image_id, "c" * 64))
    assert failures[0].message == (
        f"image used by {'c' * 12}: image is in use by a container: consider listing external containers and "
        "force-removing image"
    )
    assert remove.exit_status(failures) == 2
    assert local.get(roots, "a:1")["id"] == image_id


def test_force_removes_the_containers_first(roots: Roots, tmp_path: Path) -> None:
    (image_id,) = put(roots, tmp_path, (["a:1"], [BASE]))
    removed: list[str] = []
    _, failures = remove.remove(roots, ["a:1"], used_by(image_id, "c" * 64, removed=removed), force=True)
    assert (removed, failures) == ([image_id], [])
    assert_empty(roots)


def test_layers_of_containers_stay_when_their_image_goes(roots: Roots, tmp_path: Path) -> None:
    put(roots, tmp_path, (["a:1"], [BASE, TOP]))
    chains = local.get(roots, "a:1")["layers"]
    remove.remove(roots, ["a:1"], Users(lambda _: [], lambda: chains, lambda _: None))
    assert layers.missing(roots, chains) == []
    assert content.list_digests(roots) == []


def test_what_does_not_exist_is_status_1_and_the_rest_is_done(roots: Roots, tmp_path: Path) -> None:
    put(roots, tmp_path, (["a:1"], [BASE]))
    removals, failures = remove.remove(roots, ["nosuch", "a:1"], NOBODY)
    assert [removal.deleted for removal in removals] == [True]
    assert [failure.message for failure in failures] == ["nosuch: image not known"]
    assert remove.exit_status(failures) == 1
    assert remove.remove(roots, ["nosuch"], NOBODY, ignore=True) == ([], [])


def test_an_image_named_twice_by_id_is_no_failure(roots: Roots, tmp_path: Path) -> None:
    (image_id,) = put(roots, tmp_path, (["a:1"], [BASE]))
    removals, failures = remove.remove(roots, [image_id, image_id[:12]], NOBODY)
    assert len(removals) == 1
    assert failures == []


def test_untagged_parents_go_too_unless_kept_or_needed(roots: Roots, tmp_path: Path) -> None:
    other = layer_tar(other="3")
    parent, child, sibling = put(
        roots, tmp_path, ([], [BASE]), (["child:1"], [BASE, TOP]), (["sibling:1"], [BASE, other])
    )
    removals, _ = remove.remove(roots, ["child:1"], NOBODY)
    assert [removal.id for removal in removals] == [child]
    removals, _ = remove.remove(roots, ["sibling:1"], NOBODY, prune=False)
    assert [removal.id for removal in removals] == [sibling]
    assert local.find(roots, parent)
    (child,) = put(roots, tmp_path, (["child:1"], [BASE, TOP]))
    removals, _ = remove.remove(roots, ["child:1"], NOBODY)
    assert [removal.id for removal in removals] == [child, parent]
    assert_empty(roots)


def test_all_are_removed_children_first_and_those_in_use_stay(roots: Roots, tmp_path: Path) -> None:
    parent, child, lone = put(roots, tmp_path, (["p:1"], [BASE]), (["c:1", "d:1"], [BASE, TOP]), ([], [TOP]))
    removals, failures = remove.remove_all(roots, used_by(parent, "c" * 64))
    assert {removal.id for removal in removals} == {child, lone}
    assert remove.exit_status(failures) == 2
    removals, failures = remove.remove_all(roots, NOBODY)
    assert failures == []
    assert_empty(roots)


def test_dangling_ones_alone(roots: Roots, tmp_path: Path) -> None:
    _, lone = put(roots, tmp_path, (["a:1"], [BASE]), ([], [TOP]))
    removals, _ = remove.remove_all(roots, NOBODY, only_dangling=True)
    assert [removal.id for removal in removals] == [lone]


def test_a_name_taken_away_leaves_an_image_that_ids_find(roots: Roots, tmp_path: Path) -> None:
    (image_id,) = put(roots, tmp_path, (["a:1"], [BASE]))
    tag.untag(roots, "a:1")
    (removal,), failures = remove.remove(roots, [image_id[:8]], NOBODY)
    assert (removal.untagged, removal.deleted, failures) == ([], True, [])
    assert_empty(roots)
