"""The same Dockerfiles through `crate build` and `buildah bud`: the trees and configs that come out are the same.

Where buildah goes its own way the case says so; what it does not know at all is held against what BuildKit documents.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from abilities import requires
from build.building import Builder

#: what buildah leaves of its own in an image, and what both mount over
NOT_COMPARED = {"etc/hosts", "etc/resolv.conf", "etc/hostname", "run/.containerenv", "run"}
BUILDAH = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec buildah --root "$0/root" --runroot "$0/run" "$@"'
PEOPLE = (
    "FROM localhost/base\n"
    "RUN echo 'bob:x:77:78::/:/bin/sh' >> /etc/passwd; echo 'bob:x:78:' >> /etc/group; echo 'grp:x:99:' >> /etc/group\n"
)
#: kind, mode, uid, gid, link or digest
Node = tuple[str, int, int, int, str]


class Layout:
    """The image of an OCI layout: its config, and the tree that its layers make."""

    def __init__(self, place: Path) -> None:
        self._place = place
        index = json.loads((place / "index.json").read_text())
        manifest = json.loads(self._blob(index["manifests"][-1]["digest"]))
        self.config: dict[str, Any] = json.loads(self._blob(manifest["config"]["digest"]))
        self.tree: dict[str, Node] = {}
        for layer in manifest["layers"]:
            self._apply(self._blob(layer["digest"]))

    def _blob(self, digest: str) -> bytes:
        content = (self._place / "blobs" / digest.replace(":", "/")).read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content

    def _apply(self, archive: bytes) -> None:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                name = member.name.strip("/").removeprefix("./")
                directory, _, base = name.rpartition("/")
                if base.startswith(".wh."):
                    hidden = f"{directory}/{base[4:]}".strip("/") if base != ".wh..wh..opq" else directory
                    gone = [key for key in self.tree if key.startswith(f"{hidden}/") or key == hidden]
                    for key in gone:
                        if key != directory:
                            del self.tree[key]
                elif member.islnk():
                    self.tree[name] = self.tree[member.linkname.strip("/").removeprefix("./")]
                elif name not in ("", "."):
                    file = tar.extractfile(member) if member.isreg() else None
                    last = hashlib.sha256(file.read()).hexdigest()[:16] if file else member.linkname
                    self.tree[name] = (member.type.decode(), member.mode & 0o7777, member.uid, member.gid, last)


class Pair:
    """crate and buildah, each with the same base image `localhost/base`."""

    def __init__(self, builder: Builder, place: Path) -> None:
        self.builder = builder
        self.place = place
        crate = builder.crate
        crate.ok("tag", "crate.local/busybox", "localhost/base:latest")
        crate.ok("save", "--quiet", "--format", "oci-dir", "-o", str(place / "base"), "localhost/base:latest")
        self.buildah("tag", self.buildah("pull", "-q", f"oci:{place}/base").strip(), "localhost/base:latest")

    def buildah(self, *words: str) -> str:
        """A command of buildah in a mount namespace of its own: mixed cgroups are more than it understands."""
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", BUILDAH, str(self.place / "buildah"), "--storage-driver", "vfs", *words],
            check=False, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def crate_image(self, dockerfile: str, *options: str) -> Layout:
        """What crate makes of it."""
        image = self.builder.image(dockerfile, "--no-cache", *options)
        self.builder.crate.ok("save", "--quiet", "--format", "oci-dir", "-o", str(self.place / "ours"), image)
        return Layout(self.place / "ours")

    def buildah_image(self, *options: str) -> Layout:
        """What buildah makes of the same context."""
        words = ("bud", "--isolation", "chroot", "--layers=false", "-q", "-t", "t")
        self.buildah(*words, *options, str(self.builder.context))
        self.buildah("push", "-q", "t", f"oci:{self.place}/theirs:t")
        return Layout(self.place / "theirs")

    def compare(self, dockerfile: str, *options: str, but: dict[str, Any] | None = None) -> Layout:
        """Builds with both. `but`: keys of the config and paths where buildah differs, and what crate has there."""
        ours, theirs = self.crate_image(dockerfile, *options), self.buildah_image(*options)
        found = {**settings(ours), **ours.tree}
        expected = {**settings(theirs), **theirs.tree}
        expected.update(but or {})
        names = (found.keys() | expected.keys()) - NOT_COMPARED
        different = {name: (found.get(name), expected.get(name)) for name in sorted(names)}
        assert {name: pair for name, pair in different.items() if pair[0] != pair[1]} == {}
        return ours


def settings(layout: Layout) -> dict[str, Any]:
    """The part of an image's config that a Dockerfile says, without buildah's own label."""
    config = {key: value for key, value in layout.config.get("config", {}).items() if value}
    labels = {key: value for key, value in config.pop("Labels", {}).items() if key != "io.buildah.version"}
    return {**config, **({"Labels": labels} if labels else {}), "author": layout.config.get("author")}


@pytest.fixture
def pair(builder: Builder, tmp_path: Path) -> Pair:
    """Both, and a context of a few files."""
    for name, mode in (
        ("a.txt", 0o644),
        ("b.txt", 0o600),
        ("d/x", 0o644),
        ("d/e/y", 0o755),
        ("d/.h", 0o644),
        ("s p", 0o644),
    ):
        builder.write(name, name, mode)
    (builder.context / "to-d").symlink_to("d")
    (builder.context / "to-a").symlink_to("a.txt")
    (builder.context / "dangling").symlink_to("nope")
    return Pair(builder, tmp_path)


@requires("root", "buildah", "busybox")
def test_where_copies_go(pair: Pair) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        info = tarfile.TarInfo("in")
        info.type = tarfile.DIRTYPE
        info.mode = 0o750
        tar.addfile(info)
        info = tarfile.TarInfo("in/f")
        info.size, info.uid, info.gid, info.mode = 1, 9, 8, 0o640
        tar.addfile(info, io.BytesIO(b"f"))
    (pair.builder.context / "t.tgz").write_bytes(archive.getvalue())
    pair.builder.write("fake.tar", "no archive")
    pair.compare(
        PEOPLE + "COPY . /all\nCOPY a.txt /c1\nCOPY a.txt /c2/\nCOPY d /c3\nCOPY d/ /c4/\nCOPY a.txt b.txt /c5/\n"
        'COPY *.txt /c6/\nCOPY d/* /c7/\nCOPY ["s p", "/c8/"]\nCOPY to-d /c9\nCOPY to-a /ca\nCOPY to-d/x /cb\n'
        "WORKDIR /w\nCOPY a.txt .\nCOPY a.txt sub/\nCOPY a.txt sub2/n\nWORKDIR rel\nCOPY d ./\nWORKDIR ../up\n"
        "COPY --chown=bob a.txt /o1\nCOPY --chown=bob:grp d /o2\nCOPY --chown=5 a.txt /o3\nCOPY --chown=5:6 a.txt /o4\n"
        "COPY --chmod=751 a.txt /m1\nCOPY --chmod=700 d /m2\n"
        "RUN mkdir /real && ln -s /real /link && ln -s ../../../../real /up-link\n"
        "COPY a.txt /link/\nCOPY d /link\nCOPY a.txt /up-link/b\n"
        "ADD t.tgz /t1\nADD t.tgz a.txt /t2/\nADD fake.tar /t3/\nADD --chown=3:4 t.tgz /t4\nADD d /t5\n"
        "USER bob\nWORKDIR /of-bob\nCOPY a.txt /by-bob\nRUN id > /tmp/id; touch mine\n"
    )


@requires("root", "buildah", "busybox")
def test_what_an_ignore_file_leaves(pair: Pair) -> None:
    pair.builder.write(".dockerignore", "# all\n*.txt\n!a.txt\nd/e\n**/.h\n/to-*\n")
    pair.compare("FROM localhost/base\nCOPY . /all\nCOPY d /d\n")


@requires("root", "buildah", "busybox")
def test_configuration_and_variables(pair: Pair) -> None:
    ports: dict[str, Any] = {"80/tcp": {}, "443/tcp": {}, "53/udp": {}}
    made = pair.compare(
        "ARG base=localhost/base\nARG other=$base\nFROM ${other:-nope} AS one\nARG base\nARG given=default\n"
        "ENV a=1 b='x y' c=\"$a z\" d=\\$a e=${a:-q} f=${nope:-q} g=${a:+q} h=${a}b$a\nENV old  some  words \n"
        "ENV g2=$given n=\"$b\"\nLABEL l1=v l2=\"two $a\" 'l 3'=x\nEXPOSE 80 443/tcp 53/udp\n"
        'VOLUME /v /v2\nVOLUME ["/v 3"]\nUSER 5:6\nSTOPSIGNAL SIGQUIT\nCMD ["base"]\nMAINTAINER me <m@x>\n'
        'FROM one\nCMD echo $a\nENTRYPOINT ["/bin/x", "$a"]\nSHELL ["/bin/ash", "-c"]\nCMD after\n'
        "HEALTHCHECK --interval=5s --retries=3 CMD echo hi\nONBUILD RUN x\n",
        "--build-arg", "given=from outside",
        but={  # the OCI format of buildah has no place for these
            "Healthcheck": {"Test": ["CMD-SHELL", "echo hi"], "Interval": 5_000_000_000, "Retries": 3},
            "OnBuild": ["RUN x"], "Shell": ["/bin/ash", "-c"], "Cmd": ["/bin/ash", "-c", "after"],
        },
    )  # fmt: skip
    assert made.config["config"]["ExposedPorts"] == ports


@requires("root", "buildah", "busybox")
def test_stages_mounts_and_whiteouts(pair: Pair) -> None:
    pair.compare(
        "FROM localhost/base AS one\nARG x=1\n"
        "RUN echo one$x > /one && export X=2; echo $X $HOME $PATH > /env\n"
        "RUN mkdir -p /k/l && chown 3:4 /k/l && chmod 2750 /k/l && ln -s l /k/m && echo q > /k/l/f\n"
        "RUN rm /etc/passwd && mkdir /etc/new && touch /etc/new/z && mkfifo /pipe && ln /one /hard\n"
        "RUN rm -rf /etc/new && mkdir /etc/new && touch /etc/new/y && rm /hard\n"
        "FROM one AS unused\nRUN false\n"
        "FROM one\n"
        "COPY --from=one /one /pipe /all/\nCOPY --from=0 /k /k2\nCOPY --from=one /k/m /followed\n"
        "RUN --mount=type=bind,target=/m cp /m/a.txt /got && ls /m/d > /names\n"
        "RUN --mount=type=bind,from=one,source=/k,target=/k3 cp /k3/l/f /got2\n"
        "RUN --mount=type=tmpfs,target=/t touch /t/x\n"
        "RUN --mount=type=cache,target=/cache echo 1 > /cache/1\n"
        "RUN --mount=type=cache,target=/cache cat /cache/1 > /got3\n"
        'RUN ["/bin/sh", "-c", "echo $0 > /zero"]\n'
    )


@requires("root", "busybox")
def test_what_buildah_does_not_know(builder: Builder) -> None:
    builder.write("p/q/r.txt", "r")
    builder.write("p/q/r.md", "m")
    image = builder.image(
        "# syntax=docker/dockerfile:1\n# escape=`\n"
        "FROM BASE AS base\nARG inherited=yes\nENV v=val late=env\nARG late=arg\n"
        "RUN <<EOF\necho plain $late > /plain\nEOF\n"
        "RUN <<-EOF\n\t#!/bin/sh\n\techo $0 > /name\n\tEOF\n"
        "RUN <<EOF\n#!/bin/sh\necho $0 > /program\nEOF\n"
        "RUN cat <<A > /two && cat <<'B' >> /two\nx $v\nA\ny $v\nB\n"
        "COPY <<a <<'b' /docs/\n'$v'\na\n$v\nb\n"
        "COPY --chmod=u=rwx,go= --chown=3:4 <<-EOF /new/doc\n\ttab\n\tEOF\n"
        "RUN --mount=type=bind,source=p,target=/m,rw touch /m/new && ls /m > /listed\n"
        "COPY --parents --exclude=**/*.md p/./q /kept/\nCOPY none* /none/\n"
        "ONBUILD COPY <<E /triggered\n$inherited\nE\n"
        "FROM base\nRUN echo $inherited > /inherited\n"
    )
    said = builder.run(
        image, "sh", "-c",
        "cat /plain /name /program /two /docs/a /docs/b /new/doc /triggered /inherited /listed; ls /kept/q; "
        "stat -c '%a %u:%g' /new /new/doc",
    )  # fmt: skip
    assert said.splitlines() == [
        "plain arg", "/bin/sh", "/dev/pipes/EOF", "x val", "y $v", "'val'", "$v", "tab", "yes", "yes",
        "new", "q", "r.txt", "755 3:4", "700 3:4",
    ]  # fmt: skip
    assert not (builder.context / "p/new").exists(), "what a step writes stays in the step"
    assert "late=env" in builder.config(image)["config"]["Env"]


@requires("root", "busybox")
def test_faults_are_shown_with_their_place(builder: Builder) -> None:
    builder.write("a", "a")
    for line, fault, caret in (
        ("RUNN true", "unknown instruction: RUNN (did you mean RUN?)", 0),
        ("COPY a  nope /x/", '"nope" not found in the build context', 8),
        ("ENV x=${y:?say}", 'failed to process "${y:?say}": y: say', 6),
        ("COPY --from=two a /", 'cannot copy from stage "two", it needs to be defined before current stage', 12),
        ("RUN --mount=type=bnd,target=/x true", 'unsupported mount type "bnd" (did you mean bind?)', 12),
        ("EXPOSE 70000", "invalid port range: 70000", 7),
    ):
        result = builder.try_build(f"FROM BASE\n\n{line}\nFROM BASE AS two\n", "--target", "0")
        first, *place = result.err.splitlines()[-3:]
        assert result.status == 125 and "Dockerfile:3: " in first and fault in first, result
        assert place == [f"  3 | {line}", f"    | {' ' * caret}^"]
    failing = builder.try_build("FROM BASE\nRUN echo before; exit 9\n")
    assert failing.status == 9 and "before" in failing.out + failing.err and "Dockerfile:2: " in failing.err
    missing = builder.try_build("FROM localhost:1/nope\n").err
    assert "Error: cannot pull localhost:1/nope" in missing and "Dockerfile:1: FROM localhost:1/nope\n" in missing
    warned = builder.try_build("FROM BASE\nRUN true \\\n\n&& true\n")
    assert "Empty continuation line found in: RUN true" in warned.err


def test_a_message_of_any_length_arrives(builder: Builder) -> None:
    result = builder.try_build("FROM BASE\nARG A=" + "\x02\U0001f600" * 8000 + "\nCOPY $A$A$A$A /\n")
    assert result.status == 125 and 'Dockerfile:3: building at STEP "COPY' in result.err, result.err[:500]
    assert "not found in the build context" in result.err and "unexpected" not in result.err
