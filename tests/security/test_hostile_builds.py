"""Published escapes of builders, tried by `crate build`; docs/security.md lists them by number."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from build.building import Builder

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")


@pytest.fixture
def builder(crate: Crate, busybox: str, tmp_path: Path) -> Builder:
    """Builds with a crate that has the image of the host's busybox."""
    return Builder(crate, tmp_path)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory of the host with a file and an empty directory, at a path that no image has."""
    place = tmp_path / "victim"
    (place / "empty").mkdir(parents=True)
    (place / "secret").write_text("the host's\n")
    return place


def untouched(victim: Path) -> bool:
    """Is everything as it was made?"""
    return sorted(os.listdir(victim)) == ["empty", "secret"] and (victim / "secret").read_text() == "the host's\n"


@pytest.mark.parametrize(
    ("way", "access"),
    [
        ("{victim}", ""),
        ("{victim}", ",rw"),
        ("../../../../../../../../..{victim}", ",rw"),
        ("/proc/1/root{victim}", ""),
    ],
)
def test_bind_of_a_link_of_an_image(builder: Builder, victim: Path, way: str, access: str) -> None:
    result = builder.try_build(
        f"""
        FROM BASE AS evil
        RUN mkdir -p /d && ln -s {way.format(victim=victim)} /d/way
        FROM BASE
        RUN --mount=type=bind,from=evil,source=/d/way,target=/x{access} cat /x/secret /x/*/secret; echo bad > /x/bad; :
        """
    )
    assert "the host's" not in result.out + result.err and untouched(victim)


@pytest.mark.parametrize("source", ["../../../../../../../..{victim}", "{victim}", "way"])
def test_cache_beneath_a_path(builder: Builder, victim: Path, source: str) -> None:
    place = source.format(victim=victim)
    result = builder.try_build(
        f"""
        FROM BASE AS evil
        RUN ln -s {victim} /way
        FROM BASE
        RUN --mount=type=cache,id=../../../../..{victim},target=/c touch /c/made; ln -s {victim} /c/way; :
        RUN --mount=type=cache,from=evil,source={place},target=/x cat /x/secret; touch /x/made; :
        """
    )
    assert "the host's" not in result.out + result.err and untouched(victim)


@pytest.mark.parametrize(
    "kind", ["type=tmpfs", "type=cache", "type=secret,id=s,env=S", "type=bind,from=BASE,source=/bin"]
)
def test_places_of_mounts_that_a_step_replaces(builder: Builder, victim: Path, kind: str) -> None:
    (builder.context.parent / "s").write_text("value")
    builder.try_build(
        f"""
        FROM BASE
        RUN --mount={kind},target=/a/b/empty rm -rf /a; mv /a /gone; ln -s {victim.parent} /a; mkdir /b; \\
            rm -rf /a/b; ln -s {victim} /b/empty; :
        RUN --mount={kind},target=/b/empty/secret true
        """,
        "--secret", f"id=s,src={builder.context.parent}/s",
    )  # fmt: skip
    assert untouched(victim) and (victim / "empty").is_dir()


def test_volumes_of_an_image_are_its_own(builder: Builder, victim: Path) -> None:
    image = builder.image(f'FROM BASE\nVOLUME ["/../../../../../../../../..{victim}", "/data"]\n')
    told = builder.run(image, "sh", "-c", f"cat {victim}/secret /data/*; ls {victim}; :")
    assert "the host's" not in told and "secret" not in told and untouched(victim)


def test_steps_see_nothing_of_the_builder(builder: Builder) -> None:
    look = "RUN cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'; env; ls -l /proc/self/fd /proc/1/fd"
    result = builder.try_build(f"FROM BASE\n{look}\n", HOST_TOKEN="of-the-host")
    assert result.status == 0 and "PATH=" in result.out
    assert "of-the-host" not in result.out and "CRATE_TEST" not in result.out and "python" not in result.out


def test_labels_and_syntax_are_only_words(builder: Builder, victim: Path) -> None:
    command = f"binary:///bin/touch?{victim}/made"
    image = builder.image(
        "# syntax=evil.invalid/frontend:1\nFROM BASE\n"
        f'LABEL containerd.io/restart.loguri="{command}" containerd.io/restart.status=running io.crate.monitor="x"\n'
    )
    builder.crate.ok("run", "-d", "--name", "box", "--network", "none", image, "true")
    builder.crate.ok("wait", "box")
    assert builder.crate.inspect("box")["Config"]["Labels"]["containerd.io/restart.loguri"] == command
    assert untouched(victim)


def test_context_of_an_archive_with_links(builder: Builder, victim: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, target in (
            ("way", str(victim)),
            ("up", f"../../../../../../../..{victim}"),
            ("abs", f"{victim}/secret"),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
        for number, line in enumerate(("COPY way/ /x/", "COPY up/secret /x/", "COPY abs /x/", "ADD way/secret /x/")):
            text = f"FROM {'crate.local/busybox'}\n{line}\nRUN cat /x /x/* 2>&1; :\n".encode()
            entry = tarfile.TarInfo(f"Dockerfile{number}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    for number in range(4):
        command = builder.crate.command("build", "--network", "none", "-f", f"Dockerfile{number}", "-")
        done = subprocess.run(
            command,
            check=False,
            input=stream.getvalue(),
            env=builder.crate.environment,
            capture_output=True,
            timeout=60,
        )
        assert b"the host's" not in done.stdout + done.stderr
    assert untouched(victim)
