"""The last step: what the target has become is an image, with the labels and names that were asked for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from crate.build import configuring
from crate.build.state import State, key_of
from crate.errors import ImageError
from crate.image import making
from crate.storage import build_cache, content, image_record, images, layers
from crate.storage.difference import write_difference
from crate.storage.layer_pack import LayerPack
from crate.storage.layer_work import clamp_times
from crate.storage.rootfs import mount_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.build.request import Request
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

BASE_NAME, BASE_DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"


def finish(roots: Roots, request: Request, state: State, names: Sequence[str]) -> ImageRecord:
    """Makes the image known, under full names; the caller holds the lease of crate.storage.images."""
    _adjust(request, state)
    if request.squash_all:
        _squash(roots, request, state, 0)
    elif request.squash or not request.layers:
        _squash(roots, request, state, state.inherited[0])
    _check_blobs(roots, state)
    config = _image_config(roots, request, state)
    base = image_record.by_id(roots, state.image) if state.image else None
    if base and _is_same(base["config"], config):
        for name in names:  # nothing was changed: the base image has one more name
            images.tag(roots, base["id"], name)
        return image_record.by_id(roots, base["id"]) or base
    annotations = dict(request.annotations)
    if request.format == "oci" and state.base[1]:
        annotations = {BASE_DIGEST: state.base[1], BASE_NAME: state.base[0], **annotations}
    descriptors: Any = state.descriptors
    return making.make(roots, config, descriptors, names, form=request.format, annotations=annotations)


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Are these two image configs equal, but for their time?"""

    def told(document: dict[str, Any]) -> dict[str, Any]:
        config = {key: value for key, value in (document.get("config") or {}).items() if value}
        return {**{key: value for key, value in document.items() if value}, "config": config, "created": ""}

    return told(one) == told(other)


def _adjust(request: Request, state: State) -> None:
    """--env, --unsetenv, --label, --unsetlabel."""
    config = state.config
    for name, value in request.environment.items():
        configuring.set_variable(config, name, value)
    if request.unset_variables:
        kept = [one for one in config.get("Env") or () if one.partition("=")[0] not in request.unset_variables]
        config["Env"] = kept
    labels = {key: value for key, value in (config.get("Labels") or {}).items() if key not in request.unset_labels}
    labels.update(request.labels)
    config["Labels"] = labels


def _image_config(roots: Roots, request: Request, state: State) -> dict[str, Any]:
    if state.onbuild:
        state.config["OnBuild"] = state.onbuild
    config = {key: value for key, value in state.config.items() if value not in (None, "", [], {}) or key == "Cmd"}
    if not config.get("Cmd"):
        config.pop("Cmd", None)
    document: dict[str, Any] = {
        "author": state.author,
        "architecture": state.architecture,
        "variant": state.variant,
        "os": state.os,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": state.diff_ids},
        "history": [] if request.omits_history else state.history,
    }
    document = {key: value for key, value in document.items() if value != ""}
    return {"created": _created(roots, request, state, document), **document}


def _created(roots: Roots, request: Request, state: State, document: dict[str, Any]) -> str:
    """When the image was made first: the same Dockerfile on the same files gives the same image again."""
    if request.epoch is not None:
        return making.stamp(request.epoch * 1_000_000_000)
    if len(state.history) > state.inherited[1]:
        return state.created
    key = key_of("image", document)
    record = build_cache.find(roots, key) if request.cache else None
    if record is None:
        record = {"layer": "", "created": making.now(), "size": 0, "text": "", "parent": ""}
        build_cache.put(roots, key, record)
    return str(record["created"])


def _squash(roots: Roots, request: Request, state: State, kept: int) -> None:
    """Makes one layer of all above the lowest `kept` ones. The history stays, with no layer but for its last step."""
    if len(state.layers) - kept < 1:
        return
    key = key_of("squash", state.diff_ids[:kept], state.diff_ids[kept:], request.latest_ns, request.exact_times)
    record = build_cache.find(roots, key) if request.cache else None
    if record is None or layers.missing(roots, [record["layer"]]):
        with LayerPack(roots, state.diff_ids[:kept]) as layer:
            _merge(roots, layer, state.layers, kept)
            if request.latest_ns >= 0:
                clamp_times(f"{layer.stage}/diff", request.latest_ns, request.exact_times)
            layer.write_archive()
            layers.publish(roots, [layer])
            assert layer.unpacked
            record = {
                "layer": layer.chain_id,
                "diff_id": layer.diff_id,
                "descriptor": making.layer_descriptor(layer),
                "created": state.created,
                "size": layer.unpacked.size,
                "text": "squash",
                "parent": "",
            }
        build_cache.put(roots, key, record)
    state.layers[kept:] = [record["layer"]]
    state.diff_ids[kept:] = [record["diff_id"]]
    state.descriptors[kept:] = [record["descriptor"]]
    seen = 0
    last = max((at for at, one in enumerate(state.history) if not one.get("empty_layer")), default=-1)
    for at, entry in enumerate(state.history):
        if not entry.get("empty_layer"):
            seen += 1
            if seen > kept and at != last:
                entry["empty_layer"] = True


def _merge(roots: Roots, layer: LayerPack, chains: Sequence[str], kept: int) -> None:
    whole_fd = mount_layers(roots, chains)
    try:
        if not kept:
            layer.take(whole_fd, overlay=False)
            return
        lower_fd = mount_layers(roots, chains[:kept])
        try:
            write_difference(whole_fd, lower_fd, f"{layer.stage}/diff")
        finally:
            os.close(lower_fd)
    finally:
        os.close(whole_fd)


def _check_blobs(roots: Roots, state: State) -> None:
    """The layers of a base image whose blobs are not kept here cannot become part of a manifest."""
    if len(state.descriptors) != len(state.diff_ids):
        raise ImageError("the base image's manifest does not tell its layers", "pull the base image again")
    for descriptor in state.descriptors:
        if not content.has(roots, descriptor["digest"]):
            raise ImageError(f"blob {descriptor['digest']} of the base image is missing", "pull the base image again")


def describe(roots: Roots, record: ImageRecord, names: Sequence[str]) -> dict[str, Any]:
    """What --metadata-file gets, in BuildKit's words."""
    manifest = record["manifest"]
    found: dict[str, Any] = {
        "containerimage.config.digest": manifest["config"]["digest"],
        "containerimage.descriptor": {
            "mediaType": manifest["mediaType"],
            "digest": record["digest"],
            "size": os.stat(content.blob_path(roots, record["digest"])).st_size,
        },
        "containerimage.digest": record["digest"],
    }
    if names:
        found["image.name"] = ",".join(names)
    return found
