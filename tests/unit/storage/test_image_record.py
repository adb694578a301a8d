"""References and image records: what a name means, and what is known of an image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from crate.errors import StateError, UsageError
from crate.oci import json
from crate.storage import content, image_record, images, layers, reference
from crate.storage.roots import Roots

ALPINE = "docker.io/library/alpine:latest"
REGISTRY = "[::1]:5000/a/b_c/d-e:T.1"


def manifest(roots: Roots, config: bytes, *layer_digests: str) -> tuple[str, str, dict[str, Any]]:
    """Stores configuration and manifest; gives the manifest's digest, the image id, the manifest."""
    config_digest = content.put(roots, config)
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "digest": config_digest,
            "size": len(config),
            "mediaType": "application/vnd.oci.image.config.v1+json",
        },
        "layers": [{"digest": digest, "size": 1, "mediaType": "x"} for digest in layer_digests],
    }
    return content.put(roots, json.dumps(document).encode()), config_digest[7:], document


def record(roots: Roots, config: bytes, *, chains: tuple[str, ...] = (), blobs: tuple[str, ...] = ()) -> Any:
    digest, image_id, document = manifest(roots, config, *blobs)
    return {
        "id": image_id,
        "digest": digest,
        "names": [],
        "config": json.loads(config),
        "layers": list(chains),
        "size": 0,
        "created": "",
        "manifest": document,
    }


def test_references(roots: Roots) -> None:
    digest = content.put(roots, b"{}")
    assert reference.resolve(roots, ALPINE) is None
    assert reference.list_all(roots) == {}
    reference.put(roots, ALPINE, digest)
    reference.put(roots, REGISTRY, digest)
    assert reference.resolve(roots, ALPINE) == digest
    assert reference.list_all(roots) == {REGISTRY: digest, ALPINE: digest}
    other = content.put(roots, b"[]")
    reference.put(roots, ALPINE, other)
    assert reference.resolve(roots, ALPINE) == other
    assert Path(roots.graphroot, "images/references/docker.io,library,alpine:latest").read_bytes() == b"[]"
    assert reference.remove(roots, ALPINE)
    assert not reference.remove(roots, ALPINE)
    assert reference.list_all(roots) == {REGISTRY: digest}


@pytest.mark.parametrize("name", ["", "../x", "a,b", "x" * 300, "a\0b", ".hidden"])
def test_what_cannot_be_kept(roots: Roots, name: str) -> None:
    with pytest.raises(UsageError):
        reference.put(roots, name, "sha256:" + "0" * 64)
    assert reference.resolve(roots, name) is None


def test_the_index_is_derived(roots: Roots) -> None:
    digest, _, document = manifest(roots, b"{}")
    reference.put(roots, ALPINE, digest)
    reference.put(roots, REGISTRY, "sha256:" + "0" * 64)  # its blob was lost
    reference.write_index(roots)
    index = json.loads(Path(roots.graphroot, "images/index.json").read_text())
    (descriptor,) = index["manifests"]
    assert descriptor["digest"] == digest
    assert descriptor["mediaType"] == document["mediaType"]
    assert descriptor["size"] == len(json.dumps(document))
    assert descriptor["annotations"]["org.opencontainers.image.ref.name"] == ALPINE


def test_records_are_found_by_all_their_names(roots: Roots) -> None:
    made = record(roots, b'{"a":1}')
    index_digest = content.put(roots, b'{"manifests":[]}')
    images.enroll(roots, made, [ALPINE], [index_digest])
    for text in (ALPINE, made["digest"], index_digest, made["id"], made["id"][:6], f"sha256:{made['id'][:20]}"):
        found = image_record.find(roots, text)
        assert found is not None, text
        assert found["id"] == made["id"]
        assert found["names"] == [ALPINE]
        assert found["config"] == {"a": 1}
    for text in ("", "alpine", "sha256:", "docker.io/library/alpine:3", "f" * 64):
        assert image_record.find(roots, text) is None
    assert [item["names"] for item in image_record.list_all(roots)] == [[ALPINE]]
    assert image_record.known_digests(roots, made["id"]) == sorted([made["digest"], index_digest])


def test_ambiguous_ids_are_told(roots: Roots) -> None:
    made = [record(roots, b'{"n":%d}' % number) for number in range(17)]
    for item in made:
        image_record.put(roots, item, durable=False)
    first = next(item["id"][0] for item in made if sum(other["id"][0] == item["id"][0] for other in made) > 1)
    with pytest.raises(UsageError, match=f"more than one image id begins with {first}: "):
        image_record.find(roots, first)


def test_a_torn_record_is_no_image(roots: Roots) -> None:
    made = record(roots, b"{}")
    images.enroll(roots, made, [ALPINE])
    Path(roots.graphroot, "images/records", f"{made['id']}.json").write_text("")
    assert image_record.find(roots, ALPINE) is None
    assert image_record.list_all(roots) == []


def test_enrolling_wants_the_layers(roots: Roots) -> None:
    with pytest.raises(StateError, match="layer 000000000000 was removed meanwhile"):
        images.enroll(roots, record(roots, b"{}", chains=("0" * 64,)), [ALPINE])
    assert image_record.find(roots, ALPINE) is None


def test_tags_come_and_go(roots: Roots) -> None:
    made = record(roots, b"{}")
    images.enroll(roots, made, [ALPINE])
    images.tag(roots, made["id"], REGISTRY)
    assert image_record.names(roots, made["id"]) == [REGISTRY, ALPINE]
    assert images.untag(roots, ALPINE)
    assert not images.untag(roots, ALPINE)
    assert image_record.names(roots, made["id"]) == [REGISTRY]
    with pytest.raises(StateError):
        images.tag(roots, "0" * 64, ALPINE)


def fake_layer(roots: Roots, chain: str) -> None:
    place = Path(roots.graphroot, "layers", chain)
    (place / "diff").mkdir(parents=True)
    (place / "layer.json").write_text("{}")
    layers.make_alias(f"{roots.graphroot}/layers", chain, str(place))


def test_removal_collects_what_nobody_else_needs(roots: Roots) -> None:
    shared, single, used = "1" * 64, "2" * 64, "3" * 64
    for chain in (shared, single, used):
        fake_layer(roots, chain)
    blob, other_blob = content.put(roots, b"shared layer"), content.put(roots, b"single layer")
    first = record(roots, b'{"n":1}', chains=(shared,), blobs=(blob,))
    second = record(roots, b'{"n":2}', chains=(shared, single, used), blobs=(blob, other_blob))
    images.enroll(roots, first, [ALPINE])
    images.enroll(roots, second, [REGISTRY])
    assert images.remove(roots, second["id"], lambda: [used]) > 0
    assert sorted(layers.list_ids(roots)) == [shared, used]
    assert sorted(content.list_digests(roots)) == sorted([blob, first["digest"], f"sha256:{first['id']}"])
    assert len(os.listdir(f"{roots.graphroot}/layers/l")) == 2
    assert image_record.find(roots, REGISTRY) is None
    assert image_record.find(roots, ALPINE) is not None
    images.collect(roots, lambda: [])
    assert layers.list_ids(roots) == [shared]


def test_nothing_is_collected_while_something_comes_in(roots: Roots) -> None:
    fake_layer(roots, "1" * 64)
    with images.bring_in(roots):
        assert images.collect(roots, lambda: []) == 0
        assert layers.list_ids(roots) == ["1" * 64]
    images.collect(roots, lambda: [])
    assert layers.list_ids(roots) == []


def test_a_removal_may_be_forbidden(roots: Roots) -> None:
    made = record(roots, b"{}")
    images.enroll(roots, made, [ALPINE])

    def forbid() -> list[str]:
        raise StateError("image is in use")

    with pytest.raises(StateError, match="in use"):
        images.remove(roots, made["id"], forbid)
    assert image_record.find(roots, ALPINE) is not None


def test_old_partials_are_collected(roots: Roots) -> None:
    content.prepare(roots)
    for name, age in (("old", 100_000), ("new", 0)):
        path = Path(roots.graphroot, "images/partial", name)
        path.touch()
        os.utime(path, (path.stat().st_atime - age, path.stat().st_mtime - age))
    images.collect(roots, lambda: [])
    assert os.listdir(f"{roots.graphroot}/images/partial") == ["new"]


def test_chain_ids() -> None:
    # image-spec config.md, "Layer ChainID": ChainID(L₀|...|Lₙ) = Digest(ChainID(L₀|...|Lₙ₋₁) + " " + DiffID(Lₙ))
    import hashlib

    one, two = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    second = hashlib.sha256(f"{one} {two}".encode()).hexdigest()
    third = hashlib.sha256(f"sha256:{second} {one}".encode()).hexdigest()
    assert layers.chain_ids([one, two, one]) == ["1" * 64, second, third]
    assert layers.chain_ids([]) == []
