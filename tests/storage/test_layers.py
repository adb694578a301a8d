"""Layers: unpacked in two processes, completed from those below, published whole, shared."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from crate.errors import DigestError, HostError, ImageError
from crate.storage import content, image_record, images, layers, reference, rootfs, staging, trash
from crate.storage.layers import LayerUnpack
from crate.storage.unpack import Unpacker
from program import until
from storage.archives import archive, directory, hard_link, header, member, symlink
from storage.stacks import beneath, diff_id, stack

if TYPE_CHECKING:
    from crate.storage.roots import Roots

pytestmark = pytest.mark.requires("root", "overlay")

SOURCE = str(Path(__file__).resolve().parents[2] / "src")


def merged(roots: Roots, chains: list[str]) -> tuple[int, Path]:
    fd = rootfs.mount_layers(roots, chains)
    return fd, beneath(fd)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_unpacked_and_published(roots: Roots, compress: Any) -> None:
    data = archive(directory(b"d", mtime=5), member(b"d/f", b"content" * 100_000))
    (chain,) = layers.chain_ids([diff_id(data)])
    with LayerUnpack(roots, chain, diff_id(data)) as layer:
        packed = compress(data)
        for start in range(0, len(packed), 1000):
            layer.write(packed[start : start + 1000])
        layer.finish()
    assert not layers.exists(roots, chain)
    layers.publish(roots, [layer])
    record = layers.read(roots, chain)
    assert (record["diff_id"], record["parent"], record["size"], record["entries"]) == (diff_id(data), "", 700_000, 2)
    assert layers.list_ids(roots) == [chain]
    assert layers.size(roots, [chain]) == 700_000
    assert Path(layers.diff_path(roots, chain), "d").stat().st_mtime == 5
    alias = os.readlink(f"{roots.graphroot}/layers/{chain}/alias")
    assert os.path.samefile(f"{roots.graphroot}/layers/{alias}", layers.diff_path(roots, chain))
    assert layers.remove(roots, chain)
    assert not layers.remove(roots, chain)
    assert os.listdir(f"{roots.graphroot}/layers/l") == []


def test_directories_that_no_entry_announced_look_as_below(roots: Roots) -> None:
    chains = stack(
        roots,
        [
            directory(b".", 0o711, mtime=1),
            directory(b"a", 0o750, uid=5, mtime=2),
            directory(b"a/b", 0o1777, gid=6, mtime=3),
            directory(b"gone", 0o700, uid=9),
            directory(b"gone/inner", 0o700, uid=9),
        ],
        [member(b"other", b"x"), member(b".wh.gone")],
        [member(b"a/b/new"), member(b"gone/inner/new"), member(b"fresh/new")],
    )
    fd, place = merged(roots, chains)
    try:
        for path, mode, owner, mtime in ((".", 0o711, 0, 1), ("a", 0o750, 5, 2), ("a/b", 0o1777, 0, 3)):
            found = (place / path).stat()
            assert (found.st_mode & 0o7777, found.st_uid, found.st_mtime) == (mode, owner, mtime), path
        assert (place / "a/b").stat().st_gid == 6
        for path in ("gone", "gone/inner", "fresh"):
            assert ((place / path).stat().st_mode & 0o7777, (place / path).stat().st_uid) == (0o755, 0)
    finally:
        os.close(fd)


def test_an_opaque_directory_hides_what_lies_below(roots: Roots) -> None:
    chains = stack(
        roots,
        [directory(b"a"), directory(b"a/b", 0o700, uid=9)],
        [directory(b"a"), member(b"a/.wh..wh..opq")],
        [member(b"a/b/new")],
    )
    assert Path(layers.diff_path(roots, chains[2]), "a/b").stat().st_uid == 0


def test_a_path_through_a_link_of_a_lower_layer(roots: Roots) -> None:
    chains = stack(
        roots,
        [
            directory(b"usr"),
            directory(b"usr/lib", 0o751),
            directory(b"usr/lib/x", 0o711),
            member(b"usr/lib/kept"),
            symlink(b"lib", b"usr/lib"),
            symlink(b"usr/lib64", b"../lib"),
        ],
        [member(b"lib/one"), member(b"lib/x/two"), member(b"usr/lib64/three"), member(b"lib/.wh.kept")],
    )
    fd, place = merged(roots, chains)
    try:
        assert (place / "lib").is_symlink()
        assert (place / "usr/lib64").is_symlink()
        assert sorted(os.listdir(place / "usr/lib")) == ["one", "three", "x"]
        assert os.listdir(place / "usr/lib/x") == ["two"]
        assert (place / "usr/lib").stat().st_mode & 0o7777 == 0o751
        assert (place / "usr/lib/x").stat().st_mode & 0o7777 == 0o711
    finally:
        os.close(fd)


def test_a_hard_link_to_a_file_of_a_lower_layer(roots: Roots) -> None:
    chains = stack(
        roots,
        [directory(b"bin", 0o711), member(b"bin/tool", b"tool", mode=0o4755, uid=3, mtime=7), symlink(b"s", b"bin")],
        [hard_link(b"bin/alias", b"bin/tool"), hard_link(b"third", b"bin/alias"), hard_link(b"s2", b"s")],
    )
    fd, place = merged(roots, chains)
    try:
        found = (place / "bin/alias").stat()
        assert (found.st_mode & 0o7777, found.st_uid, found.st_mtime, found.st_nlink) == (0o4755, 3, 7, 3)
        assert found.st_ino == (place / "bin/tool").stat().st_ino == (place / "third").stat().st_ino
        assert os.readlink(place / "s2") == "bin"
        assert (place / "bin").stat().st_mode & 0o7777 == 0o711
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "upper",
    [
        [hard_link(b"h", b"nowhere/file")],
        [hard_link(b"h", b"removed")],
        [hard_link(b"h", b"dir")],
        [member(b"file/inside")],
        [member(b"loop/inside")],
    ],
)
def test_what_contradicts_the_layers_below(roots: Roots, upper: list[bytes]) -> None:
    lower = [
        [
            member(b"removed"),
            directory(b"dir"),
            member(b"file"),
            symlink(b"loop", b"loop2"),
            symlink(b"loop2", b"loop"),
        ],
        [member(b".wh.removed")],
    ]
    below = stack(roots, *lower)
    try:
        stack(roots, *lower, upper)
    except ImageError as error:
        assert str(error).startswith("cannot unpack")
    assert set(layers.list_ids(roots)) >= set(below)


BAD = {
    "truncated tar": (archive(member(b"f", b"x" * 5000))[:1500], None),
    "truncated gzip": (gzip.compress(archive(member(b"f", b"x" * 5000)))[:-20], None),
    "corrupt gzip": (gzip.compress(archive(member(b"f", os.urandom(5000))))[:-8] + b"corrupt!", None),
    "no tar": (b"this is no archive" * 1000, None),
    "wrong diff id": (archive(member(b"f")), "sha256:" + "0" * 64),
    "leads out": (archive(member(b"../f")), None),
    "checksum": (archive(header(b"f", checksum=b"000001\0 ")), None),
    "no space": (archive(header(b"f", size=b"\x80" + (1 << 60).to_bytes(11, "big"))), None),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_layer_leaves_nothing(roots: Roots, name: str) -> None:
    data, wrong = BAD[name]
    with (
        pytest.raises((ImageError, HostError)) as caught,
        LayerUnpack(roots, "0" * 64, wrong or diff_id(data)) as layer,
    ):
        for start in range(0, len(data), 700):
            layer.write(data[start : start + 700])
            time.sleep(0.002)
        layer.finish()
    assert "\n" not in str(caught.value)
    assert os.listdir(f"{roots.graphroot}/stage") == []
    assert layers.list_ids(roots) == []
    if name == "wrong diff id":
        assert isinstance(caught.value, DigestError)


def test_a_bomb_stops_the_writer_early(roots: Roots) -> None:
    """What claims more than the disk holds is refused while its first bytes come, not when they have come."""
    claim = header(b"bomb", size=b"\x80" + (1 << 50).to_bytes(11, "big"))
    sent = 0
    with pytest.raises(HostError, match="not enough space"), LayerUnpack(roots, "0" * 64, "sha256:") as layer:
        layer.write(claim)
        for _ in range(1000):
            layer.write(bytes(1 << 20))
            sent += 1
    assert sent < 100


def test_an_unpacking_process_that_is_killed_is_told(roots: Roots) -> None:
    with pytest.raises(HostError, match="ended without a word"), LayerUnpack(roots, "0" * 64, "sha256:") as layer:
        layer.write(header(b"f", size=100 << 20))
        layer._unpacker._process.kill()
        layer._unpacker._process.wait()
        for _ in range(50):
            layer.write(bytes(1 << 20))
        layer.finish()


def test_a_killed_caller_leaves_a_staging_that_is_swept(roots: Roots) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[3])\n"
        "from crate.storage.layers import LayerUnpack\n"
        "from crate.storage.roots import open_roots\n"
        "layer = LayerUnpack(open_roots(sys.argv[1], sys.argv[2]), '0' * 64, 'sha256:')\n"
        "layer.write(sys.stdin.buffer.read(1536)); print('going', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-I", "-c", code, roots.graphroot, roots.runroot, SOURCE]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as caller:
        assert caller.stdin is not None
        assert caller.stdout is not None
        caller.stdin.write((member(b"f", b"x" * 100) + header(b"g", size=1 << 20)).ljust(1536, b"x"))
        caller.stdin.flush()
        assert caller.stdout.readline() == b"going\n"
        staging.sweep(roots)
        assert len(os.listdir(f"{roots.graphroot}/stage")) == 1
        caller.send_signal(signal.SIGKILL)
    staging.sweep(roots)
    assert os.listdir(f"{roots.graphroot}/stage") == []
    until(lambda: not trash.empty(roots), what="the other process has noticed")
    assert os.listdir(f"{roots.graphroot}/trash") == []


def test_two_that_unpack_the_same(roots: Roots) -> None:
    data = archive(*(member(b"f%d" % index, b"x" * 1000) for index in range(200)))
    (chain,) = layers.chain_ids([diff_id(data)])
    errors: list[BaseException] = []

    def unpack() -> None:
        try:
            with LayerUnpack(roots, chain, diff_id(data)) as layer:
                layer.write(data)
                layer.finish()
            layers.publish(roots, [layer])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=unpack) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert layers.list_ids(roots) == [chain]
    assert len(os.listdir(layers.diff_path(roots, chain))) == 200
    assert len(os.listdir(f"{roots.graphroot}/layers/l")) == 1


def test_layers_of_one_image_side_by_side(roots: Roots) -> None:
    archives = [archive(directory(b"d", 0o700 + index), member(b"d/f%d" % index, b"x" * 300_000)) for index in range(6)]
    chains = layers.chain_ids(map(diff_id, archives))
    made: dict[int, LayerUnpack] = {}

    def unpack(index: int) -> None:
        layer = LayerUnpack(roots, chains[index], diff_id(archives[index]), chains[index - 1] if index else "")
        with layer:
            layer.write(gzip.compress(archives[index]))
            layer.finish()
        made[index] = layer

    threads = [threading.Thread(target=unpack, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    layers.publish(roots, [made[index] for index in range(6)])
    fd, place = merged(roots, chains)
    assert len(os.listdir(place / "d")) == 6
    assert (place / "d").stat().st_mode & 0o777 == 0o705
    os.close(fd)


def test_a_download_that_goes_on(roots: Roots) -> None:
    """An interrupted ingest is replayed into the unpacking, and both get the rest."""
    data = archive(member(b"f", os.urandom(300_000)))
    packed = gzip.compress(data)
    blob = diff_id(packed)
    (chain,) = layers.chain_ids([diff_id(data)])
    with content.Ingest(roots, blob, len(packed)) as ingest:
        ingest.write(packed[:100_000])
    with content.Ingest(roots, blob, len(packed)) as ingest, LayerUnpack(roots, chain, diff_id(data)) as layer:
        layers.receive(ingest, layer)
        for sink in (ingest, layer):
            sink.write(packed[ingest.offset if sink is ingest else 100_000 :])
        layer.finish()
        ingest.commit()
    layers.publish(roots, [layer])
    assert layers.exists(roots, chain)
    with LayerUnpack(roots, "1" * 64, diff_id(data)) as again:
        layers.unpack_blob(again, content.blob_path(roots, blob))
        again.finish()
    again.abort()


def test_interrupting_the_caller_does_not_disturb_the_writer(tmp_path: Path) -> None:
    unpacker = Unpacker(str(tmp_path))
    data = archive(member(b"f", b"x" * 100))
    unpacker.write(data[:700])
    status = Path(f"/proc/{unpacker._process.pid}/status")

    def ignores() -> bool:
        """Whether it is as far as that."""
        mask = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigIgn"))
        return bool(int(mask, 16) >> signal.SIGINT - 1 & 1)

    until(ignores, what="it ignores the interrupt")
    unpacker._process.send_signal(signal.SIGINT)
    unpacker.write(data[700:])
    unpacked, digest = unpacker.finish()
    assert (unpacked.entries, digest) == (1, diff_id(data))


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot unpack into"):
        Unpacker(str(tmp_path / "missing")).finish()


def test_devices_and_attributes_survive(roots: Roots) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("null")
        info.type, info.devmajor, info.devminor, info.mode = tarfile.CHRTYPE, 1, 3, 0o666
        tar.addfile(info)
        info = tarfile.TarInfo("file")
        info.pax_headers = {"SCHILY.xattr.user.key": "value", "mtime": "1234.5"}
        tar.addfile(info)
    data = stream.getvalue()
    (chain,) = layers.chain_ids([diff_id(data)])
    with LayerUnpack(roots, chain, diff_id(data)) as layer:
        layer.write(data)
        layer.finish()
    layers.publish(roots, [layer])
    fd, place = merged(roots, [chain])
    assert stat.S_ISCHR((place / "null").lstat().st_mode)
    assert os.getxattr(place / "file", "user.key") == b"value"
    assert (place / "file").stat().st_mtime == 1234.5
    os.close(fd)


@pytest.mark.requires("skopeo")
def test_skopeo_reads_the_store(roots: Roots) -> None:
    data = gzip.compress(archive(member(b"f", b"x")))
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [diff_id(gzip.decompress(data))]},
        }
    ).encode()
    parts = [content.put(roots, part) for part in (config, data)]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": parts[0], "size": len(config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": parts[1], "size": len(data)}],
    }
    digest = content.put(roots, json.dumps(manifest).encode())
    record: image_record.ImageRecord = {
        "id": parts[0][7:],
        "digest": digest,
        "names": [],
        "config": {},
        "layers": [],
        "size": 1,
        "created": "",
        "manifest": manifest,
    }
    images.enroll(roots, record, ["localhost/made:1"])
    assert reference.resolve(roots, "localhost/made:1") == digest
    assert image_record.names(roots, parts[0][7:]) == ["localhost/made:1"]
    told = subprocess.run(
        ["skopeo", "inspect", f"oci:{roots.graphroot}/images:localhost/made:1"], check=True, capture_output=True
    )
    assert json.loads(told.stdout)["Digest"] == digest
    copied = f"dir:{roots.runroot}/copied"
    source = f"oci:{roots.graphroot}/images:localhost/made:1"
    subprocess.run(["skopeo", "copy", "--insecure-policy", source, copied], check=True, capture_output=True)
