"""Manifests, indexes and configs from strangers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.errors import ImageError
from crate.oci import document, image_spec

DIGEST = "sha256:" + "0" * 64
CONFIG = {"mediaType": image_spec.OCI_CONFIG, "digest": DIGEST, "size": 2}
LAYER = {"mediaType": image_spec.OCI_LAYER_GZIP, "digest": DIGEST, "size": 2}


def read(value: Any, kind: str = image_spec.OCI_MANIFEST) -> document.Document:
    return document.read_document(json.dumps(value).encode(), DIGEST, kind, "test")


def manifest(**changes: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": image_spec.OCI_MANIFEST, "config": CONFIG, "layers": [LAYER], **changes}


def test_what_a_document_is_it_says_itself_or_shows() -> None:
    assert not read(manifest(), "application/octet-stream").is_index
    assert read({"schemaVersion": 2, "manifests": []}, "application/octet-stream").is_index
    assert read({"schemaVersion": 2, "mediaType": image_spec.DOCKER_LIST, "manifests": []}).is_index
    assert not read({"schemaVersion": 2, "config": CONFIG}, "").is_index
    assert read(manifest(mediaType=image_spec.DOCKER_MANIFEST)).media_type == image_spec.DOCKER_MANIFEST


@pytest.mark.parametrize(
    "value",
    [
        manifest(manifests=[]),
        manifest(layers={}),
        manifest(layers=[1]),
        manifest(config=1),
        {"mediaType": image_spec.OCI_INDEX, "manifests": [], "layers": []},
        {"mediaType": image_spec.OCI_INDEX, "manifests": {}},
        {"mediaType": image_spec.OCI_INDEX},
        {"mediaType": 7},
        {},
        [],
        "text",
        None,
    ],
)
def test_contradictions_are_refused(value: Any) -> None:
    with pytest.raises(ImageError, match="cannot test: "):
        read(value, "")


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({**LAYER, "digest": "sha256:../../etc/passwd"}, "without a valid digest"),
        ({**LAYER, "digest": None}, "without a valid digest"),
        ({**LAYER, "size": -1}, "without a valid size"),
        ({**LAYER, "size": "2"}, "without a valid size"),
        ({**LAYER, "size": True}, "without a valid size"),
        ({**LAYER, "size": 1 << 60}, "without a valid size"),
        ({**LAYER, "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip"}, "no container image"),
        ({**LAYER, "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"}, "no container image"),
    ],
)
def test_descriptors_are_looked_at(layer: dict[str, Any], words: str) -> None:
    with pytest.raises(ImageError, match=words):
        document.check_image(read(manifest(layers=[layer])), "test")


def test_kinds_of_layers_are_known() -> None:
    kinds = ("", image_spec.OCI_LAYER, image_spec.OCI_LAYER_ZSTD, image_spec.DOCKER_LAYER_GZIP)
    layers = [{**LAYER, "mediaType": kind} for kind in kinds]
    assert len(document.check_image(read(manifest(layers=layers)), "test")) == 4


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "disagree about the layers"),
        ({"rootfs": {"diff_ids": []}}, "disagree about the layers"),
        ({"rootfs": {"diff_ids": ["sha512:" + "0" * 128]}}, "not a sha256"),
        ({"rootfs": {"diff_ids": [7]}}, "not a sha256"),
        ({"rootfs": {"diff_ids": [DIGEST]}, "config": []}, "malformed member config"),
        ({"rootfs": {"diff_ids": [DIGEST]}, "config": {"Env": "A=B"}}, "malformed member Env"),
        ({"rootfs": {"diff_ids": [DIGEST]}, "config": {"Env": [1]}}, "malformed member Env"),
        ({"rootfs": {"diff_ids": [DIGEST]}, "config": {"Labels": {"a": 1}}}, "malformed member Labels"),
        ({"rootfs": {"diff_ids": [DIGEST]}, "config": {"User": 0}}, "malformed member User"),
        ({"rootfs": {"diff_ids": [DIGEST]}, "history": [None]}, "malformed member history"),
        ({"rootfs": {"diff_ids": [DIGEST]}, "created": 5}, "malformed member created"),
    ],
)
def test_a_malformed_config_is_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ImageError, match=words):
        document.read_config(json.dumps(config).encode(), 1, "test")


def test_nulls_are_as_good_as_nothing() -> None:
    body = {"rootfs": {"diff_ids": [DIGEST]}, "config": {"Env": None, "Cmd": None, "Labels": None}, "history": None}
    assert document.read_config(json.dumps(body).encode(), 1, "test")["rootfs"]["type"] == "layers"
    assert document.read_config(b'{"rootfs": {}}', 0, "test")["rootfs"]["diff_ids"] == []


_keys = st.sampled_from("config layers manifests mediaType digest size rootfs diff_ids Env history".split())
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner),
    max_leaves=12,
)


@given(_values)
def test_no_document_makes_anything_but_an_image_error(value: Any) -> None:
    try:
        found = read(value, "")
        if not found.is_index:
            document.check_image(found, "test")
    except ImageError:
        pass
    try:
        document.read_config(json.dumps(value).encode(), 0, "test")
    except ImageError:
        pass
