"""Listing, filters, history and inspect, from records in a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from crate.errors import NotFoundError, UsageError
from crate.image import filters, history, listing
from crate.image.inspect import inspect
from crate.storage.roots import Roots
from unit.image.store import add_image, open_store

INDEX = "sha256:" + "e" * 64


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return open_store(tmp_path)


def names_of(roots: Roots, *texts: str, **options: object) -> list[str]:
    found = listing.images(roots, filters=texts, **options)  # type: ignore[arg-type]
    return [image["names"][0] if image["names"] else image["id"][:6] for image in found]


def test_there_is_a_row_a_name_newest_image_first(roots: Roots) -> None:
    add_image(roots, "docker.io/library/old:1", mark="a", created="2020-01-01T00:00:00Z")
    new = add_image(roots, "localhost/b:2", "localhost/a:1", mark="b", created="2024-01-01T00:00:00.5Z")
    bare = add_image(roots, mark="c", created="2022-01-01T00:00:00+02:00")
    add_image(roots, f"quay.io/d@{new['digest']}", mark="d", created="2010-01-01T00:00:00Z")
    rows = listing.rows(listing.images(roots))
    assert [(row["repository"], row["tag"]) for row in rows] == [
        ("localhost/a", "1"),
        ("localhost/b", "2"),
        ("<none>", "<none>"),
        ("docker.io/library/old", "1"),
        ("quay.io/d", "<none>"),
    ]
    assert rows[2]["image"]["id"] == bare["id"]
    assert [row["tag"] for row in listing.rows(listing.images(roots), "tag")] == ["1", "1", "2", "<none>", "<none>"]
    with pytest.raises(UsageError, match="invalid sort key"):
        listing.rows([], "color")


def test_a_name_by_digest_is_shown_where_there_is_no_tag() -> None:
    digest = "@sha256:" + "0" * 64
    assert listing.shown_names(["a.io/x:1", f"a.io/x{digest}", f"b.io/x{digest}"]) == ["a.io/x:1", f"b.io/x{digest}"]


def test_the_reference_filter_knows_all_forms_of_a_name(roots: Roots) -> None:
    add_image(roots, "docker.io/library/alpine:3.19", mark="a")
    add_image(roots, "quay.io/team/tool:1", mark="b")
    for pattern in (
        "alpine",
        "alpine:3.19",
        "alpine:3*",
        "al*",
        "library/alpine",
        "docker.io/library/alpine",
        "*:3.19",
    ):
        assert names_of(roots, f"reference={pattern}") == ["docker.io/library/alpine:3.19"], pattern
    for pattern in ("tool", "team/*", "quay.io/*/tool", "t??l:[0-9]", "quay.io/team/tool:1"):
        assert names_of(roots, f"reference={pattern}") == ["quay.io/team/tool:1"], pattern
    assert names_of(roots, "reference=alpine:3.18") == []
    assert names_of(roots, name="tool") == ["quay.io/team/tool:1"]
    assert names_of(roots, "reference!=tool") == ["docker.io/library/alpine:3.19"]
    with pytest.raises(UsageError, match="malformed pattern"):
        names_of(roots, "reference=[-x")


def test_filters_ask_for_labels_age_and_ids(roots: Roots) -> None:
    old = add_image(roots, "localhost/old:1", mark="a", created="2020-01-01T00:00:00Z", labels={"a": "1"})
    add_image(roots, "localhost/new:1", mark="b", created="2024-01-01T00:00:00Z", labels={"a": "2", "b": ""})
    assert names_of(roots, "label=a=1") == ["localhost/old:1"]
    assert names_of(roots, "label=b") == ["localhost/new:1"]
    assert names_of(roots, "label!=b") == ["localhost/old:1"]
    assert names_of(roots, "before=new:1") == names_of(roots, "until=2021-01-01") == ["localhost/old:1"]
    assert names_of(roots, "since=old:1") == names_of(roots, "after=old:1") == ["localhost/new:1"]
    assert names_of(roots, f"id={old['id'][:10]}") == ["localhost/old:1"]
    assert names_of(roots, f"digest={old['digest']}") == ["localhost/old:1"]
    assert len(names_of(roots, "until=24h")) == 2
    assert names_of(roots, "label=a", "label=b") == ["localhost/new:1"]
    assert names_of(roots, "readonly=true") == []


def test_untagged_images_are_dangling_or_intermediate(roots: Roots) -> None:
    base = add_image(roots, steps=1, mark="a")
    add_image(roots, "localhost/top:1", steps=3, mark="a")
    lone = add_image(roots, mark="b")
    assert base["id"][:6] not in names_of(roots)
    assert base["id"][:6] in names_of(roots, show_all=True)
    assert names_of(roots, "dangling=true") == [lone["id"][:6]]
    assert names_of(roots, "intermediate=true") == [base["id"][:6]]
    assert names_of(roots, "dangling=false") == ["localhost/top:1"]
    (top,) = (image for image in listing.images(roots) if image["names"])
    assert top["parent_id"] == base["id"]


def test_containers_are_counted_by_whoever_knows_them(roots: Roots) -> None:
    used = add_image(roots, "localhost/used:1", mark="a")
    add_image(roots, "localhost/unused:1", mark="b")

    def containers(image_id: str) -> list[str]:
        return ["c1", "c2"] if image_id == used["id"] else []

    assert names_of(roots, "containers=true", containers=containers) == ["localhost/used:1"]
    assert names_of(roots, "containers=false", containers=containers) == ["localhost/unused:1"]


@pytest.mark.parametrize("text", ["nonsense", "color=red", "dangling=maybe", "until=sometime"])
def test_a_wrong_filter_is_refused(roots: Roots, text: str) -> None:
    with pytest.raises(UsageError):
        names_of(roots, text)


def test_a_filter_that_names_no_image_says_so(roots: Roots) -> None:
    with pytest.raises(NotFoundError, match='"before=nosuch": nosuch: image not known'):
        names_of(roots, "before=nosuch")


def test_the_history_is_newest_first_and_names_other_images_on_the_way(roots: Roots) -> None:
    base = add_image(roots, "localhost/base:1", steps=1, mark="a")
    top = add_image(roots, "localhost/top:1", steps=3, mark="a")
    steps = history.steps(roots, top, [10, 20, 30])
    assert [(step["id"], step["size"], step["created_by"]) for step in steps] == [
        (top["id"], 30, "a 2"),
        ("<missing>", 20, "a 1"),
        (base["id"], 10, "a 0"),
    ]
    assert steps[0]["tags"] == ["localhost/top:1"]


def test_inspect_has_the_members_of_both_engines(roots: Roots) -> None:
    record = add_image(roots, "docker.io/library/a:1", steps=2, mark="a", labels={"k": "v"}, index_digest=INDEX)
    found = inspect(roots, record, "overlay", ["/lower", "/upper"])
    docker = (
        "Id RepoTags RepoDigests Parent Comment Created DockerVersion Author Config Architecture Os Size GraphDriver "
        "RootFS Metadata"
    )
    podman = "Digest VirtualSize Labels Annotations ManifestType User History NamesHistory Version"
    assert {*docker.split(), *podman.split()} <= set(found)
    assert found["RepoDigests"] == sorted(f"docker.io/library/a@{digest}" for digest in (record["digest"], INDEX))
    assert found["GraphDriver"] == {"Name": "overlay", "Data": {"UpperDir": "/upper", "LowerDir": "/lower"}}
    assert found["RootFS"]["Layers"] == record["config"]["rootfs"]["diff_ids"]
    assert found["Labels"] == {"k": "v"}


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("foo/**/ba[rz]", ["foo/a/bar", "foo/b/baz"], ["foo", "foo/any/bat", "foo/bar"]),
        ("foo/*/baz:tag", ["foo/c/baz:tag"], ["foo/c/d/baz:tag"]),
        ("a[^b]c", ["axc"], ["abc", "ac"]),
        ("a\\*", ["a*"], ["ab"]),
        ("a.c", ["a.c"], ["abc"]),
    ],
)
def test_patterns_are_gos(pattern: str, yes: list[str], no: list[str]) -> None:
    import re

    compiled = re.compile(filters.go_pattern(pattern))
    assert all(compiled.fullmatch(text) for text in yes)
    assert not any(compiled.fullmatch(text) for text in no)
