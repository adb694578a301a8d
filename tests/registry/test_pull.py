"""Pulls from docker-registry into a store: layers of all compressions, platforms, cuts, damage, two at a time."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from crate.errors import DigestError, HostError, ImageError, NotFoundError, RegistryError, UsageError
from crate.image import local, pull
from crate.oci import document, platform
from crate.settings import Settings
from crate.storage import content, image_record
from crate.storage.roots import Roots, open_roots
from images.server import Registry
from registry.made import config_of
from registry.made import layer_tar as tar
from registry.pulling import (
    INDEX_TYPE,
    MANIFEST_TYPE,
    Pusher,
    Recorder,
    assert_nothing_half,
    files_of,
    get,
)
from registry.wire import Scripted

pytestmark = pytest.mark.requires("root", "registry", "skopeo", "busybox")


def test_a_pulled_image_is_whole_and_found(roots: Roots, busybox_image: str) -> None:
    record = get(roots, busybox_image)
    assert record["names"] == [busybox_image]
    assert record["config"]["config"]["Cmd"] == ["sh"]
    assert (files_of(roots, record) / "bin/busybox").stat().st_size > 1_000_000
    assert (files_of(roots, record) / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (local.find(roots, busybox_image) or {}) == record
    manifest = document.read_document(content.read_document(roots, record["digest"]), record["digest"], "", "test")
    for blob in (manifest.value["config"], *manifest.value["layers"]):
        body = Path(content.blob_path(roots, blob["digest"])).read_bytes()
        assert "sha256:" + hashlib.sha256(body).hexdigest() == blob["digest"]
    assert os.listdir(f"{roots.graphroot}/stage") == []
    assert os.listdir(f"{roots.graphroot}/images/partial") == []


def test_skopeo_reads_the_store(roots: Roots, busybox_image: str, tmp_path: Path) -> None:
    record = get(roots, busybox_image)
    command = ["skopeo", "--insecure-policy", "inspect", f"oci:{roots.graphroot}/images:{busybox_image}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["Digest"] == record["digest"]


def test_what_is_here_is_not_fetched_again(roots: Roots, busybox_image: str) -> None:
    first, second = Recorder(), Recorder()
    get(roots, busybox_image, first)
    get(roots, busybox_image, second)
    assert [kind for kind, _ in first.events] == ["done"]
    assert [kind for kind, _ in second.events] == ["exists"]
    assert second.bytes == 0


def test_a_layer_may_be_zstd(roots: Roots, registry: Registry, pusher: Pusher) -> None:
    body = tar(etc_x="packed")
    pusher.image("zstd", "latest", [body], packed=[zstandard.compress(body)])
    record = get(roots, f"{registry.address}/zstd")
    assert (files_of(roots, record) / "etc_x").read_text() == "packed"


def test_an_uncompressed_layer_and_dockers_schema_2(
    roots: Roots, registry: Registry, busybox_image: str, tmp_path: Path
) -> None:
    target = f"docker://{registry.address}/schema2:plain"
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", "--src-tls-verify=false",
         "-f", "v2s2", f"docker://{busybox_image}", target], check=True,
    )  # fmt: skip
    record = get(roots, f"{registry.address}/schema2:plain")
    assert record["manifest"]["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    body = tar(etc_x="plain")
    Pusher(registry).image("plain", "latest", [body], packed=[body])
    record = get(roots, f"{registry.address}/plain")
    assert (files_of(roots, record) / "etc_x").read_text() == "plain"


def test_a_repeated_layer_is_fetched_once(roots: Roots, registry: Registry, pusher: Pusher) -> None:
    """Three times the same blob: three layers of different chains."""
    body = tar(a="1")
    pusher.image("repeated", "latest", [body, tar(b="2"), body, body])
    record = get(roots, f"{registry.address}/repeated")
    assert len(set(record["layers"])) == 4
    assert record["size"] == 4


def test_the_platform_is_chosen_from_an_index(roots: Roots, registry: Registry, pusher: Pusher) -> None:
    own, other = platform.host(), platform.Platform("linux", "s390x")
    entries = []
    for each in (other, own):
        made = pusher.image("multi", each.architecture, [tar(arch=each.architecture)], architecture=each.architecture)
        entries.append({**made, "platform": {"os": "linux", "architecture": each.architecture}})
    attestation = {**entries[0], "platform": {"os": "unknown", "architecture": "unknown"}}
    index = pusher.document(
        "multi",
        "latest",
        INDEX_TYPE,
        {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [attestation, *entries]},
    )
    name = f"{registry.address}/multi"
    record = get(roots, name)
    assert (files_of(roots, record) / "arch").read_text() == own.architecture
    assert image_record.known_digests(roots, record["id"]) == sorted([index["digest"], entries[1]["digest"]])
    assert (local.find(roots, f"{name}@{index['digest']}") or {})["id"] == record["id"]  # type: ignore[index]
    foreign = get(roots, name, platform="linux/s390x")
    assert (files_of(roots, foreign) / "arch").read_text() == "s390x"
    assert (
        pull.ensure(roots, Settings(), name, "missing", {"platform": f"linux/{own.architecture}"})["id"] == record["id"]
    )
    with pytest.raises(ImageError, match=r"no image for platform linux/riscv64, only for: linux/"):
        get(roots, name, arch="riscv64")
    with pytest.raises(UsageError):
        get(roots, name, platform="linux/amd64", arch="amd64")


def test_an_image_without_index_for_another_platform_is_told(roots: Roots, registry: Registry, pusher: Pusher) -> None:
    pusher.image("foreign", "latest", [tar(a="1")], architecture="s390x")
    recorder = Recorder()
    get(roots, f"{registry.address}/foreign", recorder)
    assert "the image is for linux/s390x" in recorder.notes[0]
    with pytest.raises(ImageError, match="the image is for linux/s390x, not for linux/arm64"):
        get(roots, f"{registry.address}/foreign", platform="linux/arm64")


def test_a_pull_by_digest_keeps_the_digest_as_name(roots: Roots, registry: Registry, busybox_image: str) -> None:
    by_tag = get(roots, busybox_image)
    name = f"{registry.address}/busybox:latest@{by_tag['digest']}"
    record = get(roots, name)
    assert f"{registry.address}/busybox@{by_tag['digest']}" in record["names"]
    assert pull.ensure(roots, Settings(), name, "always")["id"] == record["id"]
    with pytest.raises(UsageError, match="id of a local image"):
        pull.ensure(roots, Settings(), record["id"][:12], "always")


def test_a_damaged_blob_is_refused_and_not_kept(roots: Roots, registry: Registry, pusher: Pusher) -> None:
    good, body = tar(a="1"), tar(b="2")
    pusher.image("damaged", "latest", [good, body])
    digest = hashlib.sha256(gzip.compress(body, 1, mtime=0)).hexdigest()
    (data,) = registry.storage.glob(f"**/blobs/sha256/{digest[:2]}/{digest}/data")
    original = data.read_bytes()
    data.write_bytes(original[:4] + b"\1" + original[5:])
    try:
        with pytest.raises(
            DigestError, match=f"cannot pull {registry.address}/damaged:latest: .*does not match its digest"
        ):
            get(roots, f"{registry.address}/damaged")
    finally:
        data.write_bytes(original)
    assert_nothing_half(roots)
    assert content.list_digests(roots) == []
    assert get(roots, f"{registry.address}/damaged")


def test_a_layer_with_another_diff_id_is_refused(roots: Roots, registry: Registry, pusher: Pusher) -> None:
    pusher.image(
        "liar", "latest", [tar(a="1"), tar(b="2")], packed=[gzip.compress(tar(a="1")), gzip.compress(tar(b="3"))]
    )
    with pytest.raises(DigestError, match="diff id"):
        get(roots, f"{registry.address}/liar")
    assert_nothing_half(roots)
    assert content.list_digests(roots) == []


@pytest.mark.parametrize(
    "packed",
    [b"\x1f\x8bnonsense", b"no archive" * 100, gzip.compress(tar(a="1"))[:-9]],
    ids=["no gzip", "no tar", "cut off"],
)
def test_a_corrupt_layer_is_refused(roots: Roots, registry: Registry, pusher: Pusher, packed: bytes) -> None:
    pusher.image("corrupt", "latest", [tar(a="1")], packed=[packed])
    with pytest.raises(ImageError, match=f"cannot pull {registry.address}/corrupt:latest: "):
        get(roots, f"{registry.address}/corrupt")
    assert_nothing_half(roots)


def test_a_config_that_is_none_is_refused(roots: Roots, registry: Registry, pusher: Pusher) -> None:
    pusher.image("config", "latest", [tar(a="1")], config={"Env": {"no": "list"}})
    with pytest.raises(ImageError, match="malformed member Env"):
        get(roots, f"{registry.address}/config")
    assert_nothing_half(roots)


def test_what_does_not_exist_leaves_nothing(roots: Roots, registry: Registry) -> None:
    with pytest.raises(RegistryError, match="manifest unknown"):
        get(roots, f"{registry.address}/no/such:thing")
    assert_nothing_half(roots)


def test_a_full_disk_is_told(registry: Registry, busybox_image: str, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", place], check=True)
    try:
        roots = open_roots(str(place / "root"), str(tmp_path / "run"))
        with pytest.raises(HostError, match=r"No space left on device|not enough space"):
            get(roots, busybox_image)
        assert_nothing_half(roots)
    finally:
        subprocess.run(["umount", place], check=True)


def test_policies_decide_when_to_pull(roots: Roots, registry: Registry, pusher: Pusher) -> None:
    name = f"{registry.address}/policy"
    pusher.image("policy", "latest", [tar(a="1")])
    settings = Settings()
    with pytest.raises(NotFoundError, match="image not known"):
        pull.ensure(roots, settings, name, "never")
    first = pull.ensure(roots, settings, name, "missing")
    assert pull.ensure(roots, settings, name, "newer")["id"] == first["id"]
    pusher.image("policy", "latest", [tar(a="2")])
    assert pull.ensure(roots, settings, name, "missing")["id"] == first["id"]
    assert pull.ensure(roots, settings, name, "never")["id"] == first["id"]
    second = pull.ensure(roots, settings, name, "newer")
    assert second["id"] != first["id"]
    assert (local.find(roots, first["id"]) or {})["names"] == []  # type: ignore[index]
    pusher.image("policy", "latest", [tar(a="3")])
    assert pull.ensure(roots, settings, name, "always")["id"] not in (first["id"], second["id"])
    with pytest.raises(UsageError, match="unsupported pull policy"):
        pull.ensure(roots, settings, name, "sometimes")


def test_a_local_image_is_good_enough_for_newer_when_nobody_answers(
    roots: Roots, registry: Registry, pusher: Pusher
) -> None:
    from crate.image import tag

    pusher.image("gone", "latest", [tar(a="1")])
    record = get(roots, f"{registry.address}/gone")
    tag.tag(roots, record["id"], ["127.0.0.1:1/gone"])
    assert pull.ensure(roots, Settings(), "127.0.0.1:1/gone", "newer")["id"] == record["id"]
    with pytest.raises(RegistryError):
        pull.ensure(roots, Settings(), "127.0.0.1:1/gone", "always")


def test_all_tags_are_pulled(roots: Roots, registry: Registry, pusher: Pusher) -> None:
    for number in range(3):
        pusher.image("tags", f"v{number}", [tar(a=str(number))])
    records = pull.pull_tags(roots, Settings(), f"{registry.address}/tags")
    assert sorted(name for record in records for name in record["names"]) == [
        f"{registry.address}/tags:v{number}" for number in range(3)
    ]


def test_the_embedded_image_needs_no_registry(roots: Roots) -> None:
    recorder = Recorder()
    record = get(roots, "crate.local/busybox", recorder)
    assert record["names"] == ["crate.local/busybox:latest"]
    assert (files_of(roots, record) / "bin/sh").is_symlink()
    assert get(roots, "crate.local/busybox")["id"] == record["id"]
    with pytest.raises(NotFoundError, match="no such embedded image"):
        get(roots, "crate.local/nosuch")


def test_a_registry_that_is_not_there_hints_at_the_embedded_image(roots: Roots) -> None:
    with pytest.raises(RegistryError) as caught:
        get(roots, "nosuch.invalid/alpine")
    assert "cannot pull nosuch.invalid/alpine:latest: registry nosuch.invalid: " in caught.value.message
    assert "crate.local/busybox" in (caught.value.hint or "")


def test_an_endless_chain_of_indexes_ends(roots: Roots, scripted: Callable[..., Scripted]) -> None:
    body = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []}).encode()
    for _ in range(6):
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        entry = {"mediaType": INDEX_TYPE, "digest": digest, "size": len(body)}
        chain = {**CHAIN, digest: body}
        CHAIN.update(chain)
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]}).encode()

    def answer(method: str, path: str, headers: dict[str, str]) -> Any:
        found = CHAIN.get(path.rpartition("/")[2], body)
        return 200, {"Content-Type": INDEX_TYPE}, found

    with pytest.raises(ImageError, match="nested too deep"):
        get(roots, f"{scripted(answer).address}/chain")


CHAIN: dict[str, bytes] = {}


def test_urls_of_a_layer_are_not_followed(roots: Roots, scripted: Callable[..., Scripted]) -> None:
    """CVE-2020-15157: a manifest would have the credentials sent to wherever it says."""
    elsewhere = scripted(lambda *_: (401, {"WWW-Authenticate": "Basic realm=x"}, b""))
    layer = tar(a="1")
    blobs = {"sha256:" + hashlib.sha256(body).hexdigest(): body for body in (config_of(layer), layer)}
    config, content_of = ({"digest": digest, "size": len(body)} for digest, body in blobs.items())
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar"
    foreign = {"mediaType": kind, **content_of, "urls": [f"http://{elsewhere.address}/layer"]}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": [foreign]})

    def answer(method: str, path: str, headers: dict[str, str]) -> Any:
        if "authorization" not in headers:
            return 401, {"WWW-Authenticate": "Basic realm=x"}, b""
        found = blobs.get(path.rpartition("/")[2])
        return 200, {"Content-Type": "application/octet-stream" if found else MANIFEST_TYPE}, found or manifest.encode()

    record = pull.pull(roots, Settings(), f"{scripted(answer).address}/foreign", {"creds": "me:secret"})
    assert (files_of(roots, record) / "a").read_text() == "1"
    assert elsewhere.requests == []
