"""Where a build goes, what is told of it, and that the same input gives the same image."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from build.building import Builder
    from images.server import Registry
    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")

SMALL = "FROM scratch AS files\nCOPY a sub/\nCOPY --chown=5:6 a sub/b\nFROM BASE\nRUN false\n"


def test_files_without_an_image(builder: Builder, tmp_path: Path) -> None:
    builder.write("a", "content\n")
    target = tmp_path / "out"
    (target / "sub").mkdir(parents=True)
    (target / "kept").write_text("kept")
    builder.build(SMALL, "--target", "files", "-o", str(target))
    assert (target / "sub/b").read_text() == "content\n" and (target / "kept").exists()
    assert os.stat(target / "sub/b").st_uid == 0, "the caller's, whatever the image says"
    archive = tmp_path / "out.tar"
    builder.build(SMALL, "--target", "files", "--output", f"type=tar,dest={archive}")
    with tarfile.open(archive) as members:
        owners = {member.name: (member.uid, member.gid) for member in members}
    assert owners == {"sub": (0, 0), "sub/a": (0, 0), "sub/b": (5, 6)}
    words = builder.crate.command("build", "--target", "files", "-o", "-", str(builder.context))
    import subprocess

    done = subprocess.run(words, check=True, capture_output=True, env=builder.crate.environment, timeout=60)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as members:
        assert members.getnames() == ["sub", "sub/a", "sub/b"]
    assert "files" not in builder.crate.ok("images", "--format", "{{.Repository}}")


def test_links_of_an_image_lead_nowhere(builder: Builder, tmp_path: Path) -> None:
    """An image with a link in a directory's place writes nothing outside of the destination."""
    victim = tmp_path / "victim"
    victim.mkdir()
    target = tmp_path / "out"
    target.mkdir()
    (target / "d").symlink_to(victim)
    builder.write("a", "x")
    builder.build("FROM scratch\nCOPY a /d/a\n", "-o", str(target))
    assert list(victim.iterdir()) == [] and (target / "d/a").read_text() == "x"


def test_archives_and_files_that_tell(builder: Builder, tmp_path: Path) -> None:
    builder.write("a", "content\n")
    dockerfile = "FROM scratch\nCOPY a /\n"
    archive, iid, metadata = tmp_path / "oci.tar", tmp_path / "iid", tmp_path / "metadata"
    image = builder.image(
        dockerfile,
        "-t",
        "one",
        "-t",
        "localhost/two:3",
        f"--output=type=oci,dest={archive}",
        *("--iidfile", str(iid), "--metadata-file", str(metadata), "--annotation", "a=b"),
    )
    assert iid.read_text() == f"sha256:{image}"
    told = json.loads(metadata.read_text())
    assert told["containerimage.config.digest"] == f"sha256:{image}"
    assert told["image.name"] == "localhost/one:latest,localhost/two:3"
    with tarfile.open(archive) as members:
        index = json.load(members.extractfile("index.json") or io.BytesIO())
        assert index["manifests"][0]["digest"] == told["containerimage.digest"]
        manifest = json.load(members.extractfile("blobs/sha256/" + told["containerimage.digest"][7:]) or io.BytesIO())
    assert manifest["annotations"]["a"] == "b"
    assert builder.crate.ok("image", "inspect", "--format", "{{.Id}}", "two:3") == image
    docker = builder.image(dockerfile, "--format", "docker", "-t", "three")
    (found,) = json.loads(builder.crate.ok("image", "inspect", docker))
    assert found["ManifestType"] == "application/vnd.docker.distribution.manifest.v2+json"


def test_progress(builder: Builder) -> None:
    dockerfile = "FROM BASE\nRUN echo said-by-run\n"
    quiet = builder.try_build(dockerfile, "-q", "-t", "q")
    assert quiet.err == "" and len(quiet.out.split()) == 1
    raw = builder.try_build(dockerfile, "--no-cache", "--progress", "rawjson")
    lines = [json.loads(line) for line in raw.err.splitlines()]
    vertexes = [vertex for line in lines for vertex in line.get("vertexes", ())]
    assert any(vertex["name"].endswith("RUN echo said-by-run") and vertex.get("completed") for vertex in vertexes)
    assert any(log["data"] == "c2FpZC1ieS1ydW4K" for line in lines for log in line.get("logs", ()))
    failed = builder.try_build("FROM BASE\nRUN echo reason; exit 3\n", "-q")
    assert failed.status == 3 and "| reason" in failed.err


def test_a_terminal_shows_what_runs(builder: Builder) -> None:
    builder.write("Dockerfile", "FROM crate.local/busybox\nRUN echo said-now; sleep 2\n")
    words = builder.crate.command("build", "--network", "none", str(builder.context))
    terminal = Terminal(words, {**builder.crate.environment, "TERM": "xterm"}, 30, 100)
    try:
        terminal.expect("[2/2] RUN echo said-now; sleep 2", 60)
        terminal.expect("said-now\x1b[0m", 60)  # beneath the step, dim, while it runs
        status, rest = terminal.end(60)
    finally:
        terminal.close()
    assert status == 0 and re.search(r"\[2/2\] RUN echo said-now; sleep 2  \d+\.\d", rest)


def test_same_input_same_image(builder: Builder, crate: Crate) -> None:
    """On another day: the second build is of a later second, of files with other times, and without the cache."""
    path = builder.write("a", "content\n")
    dockerfile = "FROM BASE\nCOPY a /d/a\nRUN date > /dev/null; touch /t; mkdir /e\nWORKDIR /w\nLABEL x=1\n"
    options = ("--build-arg", "SOURCE_DATE_EPOCH=1700000000", "--no-cache")
    first = builder.image(dockerfile, *options)
    time.sleep(1.1)
    os.utime(path, (1800000000, 1800000000))
    assert builder.image(dockerfile, *options) == first
    config = builder.config(first)
    assert {entry["created"] for entry in config["history"][1:]} == {"2023-11-14T22:13:20.000000000Z"}
    assert max(member.mtime for layer in builder.layers(first)[1:] for member in layer.values()) == 1700000000
    exact = builder.image(dockerfile, "--timestamp", "7")
    assert {member.mtime for layer in builder.layers(exact)[1:] for member in layer.values()} == {7}
    kept = builder.image(dockerfile, *options[:2], "--rewrite-timestamp=false")
    assert max(member.mtime for layer in builder.layers(kept)[1:] for member in layer.values()) > 1700000000
    assert {entry["created"] for entry in builder.config(kept)["history"][1:]} == {"2023-11-14T22:13:20.000000000Z"}


def test_prove(builder: Builder, tmp_path: Path) -> None:
    builder.write("a", "content\n")
    two = "FROM BASE AS x\nRUN echo x > /x\nFROM BASE\nCOPY a /\nCOPY --from=x /x /y\n"
    image = builder.image(two, "--prove", "--iidfile", str(tmp_path / "id"))
    assert (tmp_path / "id").read_text() == f"sha256:{image}"
    result = builder.try_build(two, "--iidfile", str(tmp_path / "none/id"))
    assert result.status == 125 and f"Error: cannot write {tmp_path}/none/id: No such file or directory" in result.err
    result = builder.try_build("FROM BASE\nCOPY a /\nRUN date +%s%N > /when\n", "--prove")
    assert result.status == 1
    assert "layer 3 (RUN /bin/sh -c date +%s%N > /when # buildkit): /when: content differs" in result.err


def test_squash(builder: Builder) -> None:
    dockerfile = """
        FROM BASE
        RUN echo one > /one && echo gone > /gone
        RUN rm /gone /etc/nsswitch.conf && echo two > /two
        CMD ["cat", "/one", "/two"]
    """
    new = builder.image(dockerfile, "--squash")
    base, squashed = builder.layers(new)
    assert set(squashed) == {"one", "two", "etc", "etc/.wh.nsswitch.conf"} and "bin/sh" in base
    assert builder.run(new) == "one\ntwo"
    every = builder.image(dockerfile, "--squash-all")
    (whole,) = builder.layers(every)
    assert {"one", "two", "bin/sh"} <= set(whole) and "etc/nsswitch.conf" not in whole
    assert builder.run(every) == "one\ntwo" and len(builder.config(every)["history"]) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--squash", "--squash-all"), "--squash and --squash-all exclude each other"),
        (("-o", "type=local,dest=d,compression=zstd"), 'unknown key "compression" of type local'),
        (("-o", "type=image,nmae=x"), 'unknown key "nmae" of type image'),
        (("-o", "type=oci,dest=d,tar"), "tar is not key=value"),
    ],
)
def test_wishes_that_nobody_would_meet_are_told(builder: Builder, options: tuple[str, ...], words: str) -> None:
    result = builder.try_build("FROM BASE\n", *options)
    assert result.status == 125 and words in result.err


def test_cache_to_a_directory_and_back(builder: Builder, tmp_path: Path) -> None:
    builder.write("a", "content\n")
    dockerfile = "FROM BASE AS x\nRUN date +%N > /x\nFROM BASE\nCOPY a /\nCOPY --from=x /x /y\n"
    image = builder.image(dockerfile, "--cache-to", f"type=local,dest={tmp_path / 'cache'}")
    builder.crate.ok("rmi", image)
    builder.crate.ok("builder", "prune", "-af")
    out = builder.build(dockerfile, "--cache-from", f"type=local,src={tmp_path / 'cache'}")
    assert out.count("Using cache") == 3 and out.split()[-1] == image
    out = builder.build(dockerfile, "--cache-from", "type=local,src=/nonexistent")
    assert out.count("Using cache") == 3, "a cache that is not there is no error"


def test_a_cache_of_a_stranger_spoils_nothing(builder: Builder, tmp_path: Path) -> None:
    """Records of odd shapes: none of them is kept as it came, since every removal of images reads them all."""
    dockerfile = "FROM BASE\nRUN echo content > /x\n"
    cache = tmp_path / "cache"
    builder.build(dockerfile, "--cache-to", f"type=local,dest={cache}")
    index = json.loads((cache / "index.json").read_text())
    manifest = json.loads((cache / "blobs/sha256" / index["manifests"][0]["digest"][7:]).read_text())
    config = json.loads((cache / "blobs/sha256" / manifest["config"]["digest"][7:]).read_text())
    good: dict[str, Any] = dict(config["crate.build.cache"][0])
    changes: list[dict[str, Any]] = [
        *({"created": "yesterday"}, {"size": "x"}, {"size": -1}, {"text": [1]}, {"layer": [], "size": 1}),
        *({"layer": "", "descriptor": "x"}, {"diff_id": None}, {"version": 9}, {"inputs": 5}, {"last_used": "x"}),
        *({"layer": "", "descriptor": {"x": 1}}, {"key": "../" * 21 + "x"}, {"key": 5}, {"layer": "0" * 64}),
    ]
    odd: list[Any] = [{**good, "key": f"{number:064x}", **change} for number, change in enumerate(changes)]
    odd += [None, 7, {}]
    config["crate.build.cache"] = odd
    manifest["config"] |= put(cache, config)
    index["manifests"] = [index["manifests"][0] | put(cache, manifest)]
    (cache / "index.json").write_text(json.dumps(index))
    out = builder.build(dockerfile.replace("content", "other"), "--cache-from", f"type=local,src={cache}")
    assert "cannot use the cache" not in out
    builder.crate.ok("rmi", out.split()[-1])
    builder.crate.ok("system", "df")
    builder.crate.ok("gc", "--keep", "1g")
    builder.crate.ok("builder", "prune", "-af")


def put(layout: Path, document: object) -> dict[str, object]:
    """A blob of a layout; what its descriptor says."""
    body = json.dumps(document).encode()
    digest = hashlib.sha256(body).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(body)
    return {"digest": f"sha256:{digest}", "size": len(body)}


@pytest.mark.requires("registry", "skopeo")
def test_cache_to_a_registry_and_back(builder: Builder, registry: Registry) -> None:
    reference = registry.reference("build-cache")
    dockerfile = "FROM BASE\nRUN date +%N > /x\n"
    image = builder.image(dockerfile, "--cache-to", f"type=registry,ref={reference}")
    builder.crate.ok("rmi", image)
    builder.crate.ok("builder", "prune", "-af")
    out = builder.build(dockerfile, "--cache-from", f"type=registry,ref={reference}")
    assert out.count("Using cache") == 1 and out.split()[-1] == image


def test_several_platforms_become_a_list(builder: Builder) -> None:
    """Where nothing RUNs: each image knows its platform, and the list both."""
    builder.write("a", "content\n")
    dockerfile = "FROM scratch\nARG TARGETARCH\nCOPY a /\nLABEL arch=$TARGETARCH\n"
    builder.build(dockerfile, "--platform", "linux/amd64,linux/arm64", "-t", "both")
    index = json.loads(builder.crate.ok("manifest", "inspect", "both"))
    assert [entry["platform"]["architecture"] for entry in index["manifests"]] == ["amd64", "arm64"]
    assert len({entry["digest"] for entry in index["manifests"]}) == 2


def test_nothing_but_from_is_one_more_name(builder: Builder) -> None:
    base = builder.crate.ok("image", "inspect", "--format", "{{.Id}}", "crate.local/busybox")
    assert builder.image("FROM BASE\n", "-t", "same") == base
    assert builder.crate.ok("image", "inspect", "--format", "{{.Id}}", "same") == base
    assert builder.image("FROM BASE\n", "--label", "x=y") != base
