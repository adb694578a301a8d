"""The assembled image: static programs told from others, the same bytes for the same binary, a proper root."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from crate.errors import HostError, NotFoundError
from crate.image import embedded
from crate.oci import digest as digests
from crate.oci import document, reference

NAME = reference.parse("crate.local/busybox")
APPLETS = ["bin/sh", "linuxrc", "opt/x/tool", "usr/bin/["]


def test_the_same_binary_gives_the_same_image() -> None:
    first, second = embedded.busybox(b"binary", APPLETS), embedded.busybox(b"binary", APPLETS)
    assert first.manifest_digest == second.manifest_digest
    assert embedded.busybox(b"Binary", APPLETS).manifest_digest != first.manifest_digest


def test_it_is_a_normal_oci_image() -> None:
    image = embedded.busybox(b"binary", APPLETS)
    manifest = document.read_document(image.manifest, image.manifest_digest, "", "test")
    (layer,) = document.check_image(manifest, "test")
    config = document.read_config(image.blobs[manifest.value["config"]["digest"]], 1, "test")
    assert config["config"]["Cmd"] == ["sh"]
    assert config["config"]["Env"][0].startswith("PATH=/usr/local/sbin:")
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    assert digests.of(image.blobs[layer["digest"]]) == layer["digest"]
    pieces: list[bytes] = []
    image.blob(layer["digest"], layer["size"], pieces.append, 10)
    assert b"".join(pieces) == image.blobs[layer["digest"]][10:]


def test_its_root_has_what_programs_expect() -> None:
    image = embedded.busybox(b"binary", APPLETS)
    layer = json.loads(image.manifest)["layers"][0]["digest"]
    with tarfile.open(fileobj=io.BytesIO(image.blobs[layer])) as archive:
        members = {member.name: member for member in archive}
        assert archive.extractfile("bin/busybox").read() == b"binary"  # type: ignore[union-attr]
        passwd = archive.extractfile("etc/passwd").read()  # type: ignore[union-attr]
    assert passwd.startswith(b"root:x:0:0:root:/root:/bin/sh\n")
    assert members["bin/busybox"].mode == 0o755
    assert members["tmp"].mode == 0o1777
    assert members["root"].mode == 0o700
    assert (members["usr/bin/["].linkname, members["usr/bin/["].issym()) == ("/bin/busybox", True)
    assert members["opt/x"].isdir()
    assert {member.uid for member in members.values()} == {0}
    assert len({member.mtime for member in members.values()}) == 1


def test_static_programs_are_told_from_others(tmp_path: Path) -> None:
    assert not embedded.is_static(b"")
    assert not embedded.is_static(b"#!/bin/sh\n")
    assert not embedded.is_static(b"\x7fELF")
    assert not embedded.is_static(b"\x7fELF\x02\x01" + b"\xff" * 100)
    assert not embedded.is_static(Path(sys.executable).resolve().read_bytes())


@pytest.mark.requires("busybox")
def test_the_hosts_busybox_makes_the_image() -> None:
    image = embedded.assemble(NAME)
    assert embedded.is_static(Path(shutil.which("busybox") or "").read_bytes())
    assert image.manifest_digest == embedded.assemble(NAME).manifest_digest
    by_digest = reference.parse(f"crate.local/busybox@{image.manifest_digest}")
    assert embedded.assemble(by_digest).manifest_digest == image.manifest_digest


def test_without_a_busybox_the_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"cannot assemble crate\.local/busybox: there is none") as caught:
        embedded.assemble(NAME, (str(tmp_path / "no"),))
    assert "busybox-static" in (caught.value.hint or "")
    with pytest.raises(HostError, match="is not a static ELF program"):
        embedded.assemble(NAME, (str(Path(sys.executable).resolve()),))


@pytest.mark.parametrize(
    "name", ["crate.local/alpine", "crate.local/busybox:1", f"crate.local/busybox@sha256:{'0' * 64}"]
)
@pytest.mark.requires("busybox")
def test_other_embedded_images_do_not_exist(name: str) -> None:
    with pytest.raises(NotFoundError, match="no such embedded image"):
        embedded.assemble(reference.parse(name))


def test_the_reserved_registry_is_told_from_others() -> None:
    assert embedded.is_embedded(NAME)
    assert not embedded.is_embedded(reference.parse("busybox"))
