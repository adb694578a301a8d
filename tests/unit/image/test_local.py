"""Finding local images by everything a user may call them."""

from __future__ import annotations

from pathlib import Path

import pytest

from crate.errors import NotFoundError, UsageError
from crate.image import find, local, tag
from crate.storage.roots import Roots
from unit.image.store import add_image, open_store

INDEX = "sha256:" + "e" * 64


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return open_store(tmp_path)


def found_id(roots: Roots, text: str) -> str:
    record = find(roots, text)
    return record["id"] if record else ""


def test_an_empty_store_has_nothing(roots: Roots) -> None:
    for text in ("alpine", "sha256:" + "0" * 64, "0" * 64, "abc", "Not A Name", "", "quay.io/x/y:z"):
        assert find(roots, text) is None
    with pytest.raises(NotFoundError, match="alpine: image not known"):
        local.get(roots, "alpine")


@pytest.mark.parametrize(
    "text", ["alpine", "alpine:latest", "library/alpine", "docker.io/alpine", "docker.io/library/alpine:latest"]
)
def test_a_name_is_found_however_it_is_written(roots: Roots, text: str) -> None:
    record = add_image(roots, "docker.io/library/alpine:latest")
    found = local.find_named(roots, text)
    assert found
    assert (found[0]["id"], found[1]) == (record["id"], "docker.io/library/alpine:latest")
    assert find(roots, "alpine:3") is None


def test_an_id_a_beginning_and_digests_are_found(roots: Roots) -> None:
    record = add_image(roots, "docker.io/library/alpine:latest", index_digest=INDEX)
    for text in (
        record["id"],
        f"sha256:{record['id']}",
        record["id"][:12],
        record["id"][:5],
        record["digest"],
        INDEX,
        f"alpine@{record['digest']}",
        f"alpine:3@{INDEX}",
        f"quay.io/elsewhere@{INDEX}",
    ):
        found = find(roots, text)
        assert found, text
        assert found["id"] == record["id"]
    assert find(roots, f"alpine@sha256:{'0' * 64}") is None


def test_localhost_comes_before_docker_hub_and_any_registry_comes_last(roots: Roots) -> None:
    elsewhere = add_image(roots, "quay.io/team/tool:latest", mark="a")
    assert found_id(roots, "team/tool") == elsewhere["id"]
    assert found_id(roots, "tool") == elsewhere["id"]
    assert find(roots, "ool") is None
    hub = add_image(roots, "docker.io/team/tool:latest", mark="b")
    assert found_id(roots, "team/tool") == hub["id"]
    mine = add_image(roots, "localhost/team/tool:latest", mark="c")
    assert found_id(roots, "team/tool") == mine["id"]
    assert found_id(roots, "quay.io/team/tool") == elsewhere["id"]


def test_a_name_goes_before_an_id_that_begins_so(roots: Roots) -> None:
    record = add_image(roots, mark="x")
    beginning = record["id"][:6]
    named = add_image(roots, f"localhost/{beginning}:latest", mark="y")
    assert found_id(roots, beginning) == named["id"]


def test_an_ambiguous_beginning_is_refused_unless_it_is_rather_a_name(roots: Roots) -> None:
    ids = [add_image(roots, mark=str(n))["id"] for n in range(40)]
    first = next(digit for digit in "0123456789abcdef" if sum(i.startswith(digit) for i in ids) > 1)
    assert find(roots, first) is None
    twins = [add_image(roots, mark="twin")["id"], *ids]
    assert all(find(roots, image_id[:12]) for image_id in twins)


def test_tags_are_given_and_taken(roots: Roots) -> None:
    record = add_image(roots, "docker.io/library/alpine:latest")
    assert tag.tag(roots, "alpine", ["mine", "quay.io/x/y:1"]) == ["localhost/mine:latest", "quay.io/x/y:1"]
    assert local.get(roots, "mine")["names"] == [
        "docker.io/library/alpine:latest",
        "localhost/mine:latest",
        "quay.io/x/y:1",
    ]
    assert tag.untag(roots, "mine", ["mine"]) == ["localhost/mine:latest"]
    with pytest.raises(NotFoundError, match="mine: tag not known"):
        tag.untag(roots, "alpine", ["mine"])
    tag.untag(roots, record["id"])
    assert local.get(roots, record["id"])["names"] == []


def test_a_tag_moves_to_another_image(roots: Roots) -> None:
    add_image(roots, "localhost/a:latest", mark="a")
    other = add_image(roots, "localhost/b:latest", mark="b")
    tag.tag(roots, "b", ["a"])
    assert local.get(roots, "a")["id"] == other["id"]


@pytest.mark.parametrize("name", ["UPPER", "a@sha256:" + "0" * 64, "", "a b"])
def test_a_wrong_tag_is_refused(roots: Roots, name: str) -> None:
    add_image(roots, "docker.io/library/alpine:latest")
    with pytest.raises(UsageError):
        tag.tag(roots, "alpine", [name])
