"""Build contexts from directories, archives, servers and git; and those that want to reach what is not theirs."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from abilities import requires
from build.building import BASE, Builder
from crate.build.copying import Rules
from crate.build.language.dockerfile import parse
from crate.build.language.dockerfile_error import DockerfileError, Fault
from crate.build.language.instructions import Add
from crate.build.sources import git_source
from crate.build.sources.context import Context, ContextOpener, image_of
from crate.build.sources.file_digests import FileDigests
from crate.build.sources.remote_sources import fetch, split_sources
from crate.errors import CrateError, ImageError, NotFoundError, RegistryError, UsageError
from crate.registry.download import download
from crate.storage.roots import Roots, open_roots

DOCKERFILE = b"FROM scratch\nCOPY . /\n"


class NoSettings:
    """No configuration."""

    def get(self, key: str) -> Any:
        """Nothing is set."""
        return None


class Site:
    """Contexts opened with roots of their own; all are closed at the end."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.roots: Roots = open_roots(str(place / "graph"), str(place / "run"))
        self.settings = NoSettings()
        self.digests = FileDigests()
        self._opened: list[Context] = []

    def main(self, place: str, file: str = "", ignore: str = "", stdin: bytes = b"") -> Context:
        """The main context, `stdin` on standard input."""
        with (self.place / "stdin").open("w+b") as source:
            source.write(stdin)
            source.seek(0)
            opener = ContextOpener(self.roots, self.settings, source.fileno())
            context = opener.main(place, file, ignore)
        self._opened.append(context)
        return context

    def stagings(self) -> list[str]:
        """What is left in the staging directory."""
        return os.listdir(f"{self.roots.graphroot}/stage")

    def close(self) -> None:
        """Closes all contexts."""
        for context in self._opened:
            context.close()
        self._opened.clear()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site; whatever it made is gone afterwards."""
    made = Site(tmp_path)
    yield made
    made.close()
    assert made.stagings() == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a Dockerfile and two files."""
    place = tmp_path / "context"
    (place / "sub").mkdir(parents=True)
    for name, content in (("Dockerfile", DOCKERFILE), ("a", b"a"), ("sub/b", b"b")):
        (place / name).write_bytes(content)
    return place


def names(context: Context) -> list[str]:
    """All paths of a context."""
    return [found.path for found in context.tree.walk()]


def packed(folder: Path, mode: str = "w") -> bytes:
    """The directory as an archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        tar.add(folder, ".")
    return out.getvalue()


def test_a_directory_and_the_ways_to_its_dockerfile(site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = site.main(str(folder))
    assert context.dockerfile == DOCKERFILE and context.dockerfile_name == f"{folder}/Dockerfile"
    assert names(context) == ["Dockerfile", "a", "sub", "sub/b"]
    (folder / "Containerfile").write_text("FROM x")
    assert site.main(str(folder)).dockerfile == b"FROM x"
    (folder / "sub/other").write_text("FROM y")
    assert site.main(str(folder), "sub/other").dockerfile == b"FROM y", "found in the context"
    monkeypatch.chdir(folder / "sub")
    assert site.main(str(folder), "other").dockerfile == b"FROM y", "found from here"
    assert site.main(".", "-", stdin=b"FROM z").dockerfile == b"FROM z"
    with pytest.raises(NotFoundError, match="no Containerfile or Dockerfile specified or found"):
        site.main(".")
    with pytest.raises(NotFoundError, match="cannot find build context /nope"):
        site.main("/nope")
    with pytest.raises(UsageError, match="it is not a directory"):
        site.main(str(folder / "a"))
    with pytest.raises(UsageError, match="can't use stdin for both"):
        site.main("-", "-")


def test_which_ignore_file_holds(site: Site, folder: Path) -> None:
    (folder / ".dockerignore").write_text("a\n")
    assert names(site.main(str(folder))) == [".dockerignore", "Dockerfile", "sub", "sub/b"]
    (folder / ".containerignore").write_text("sub\n")
    assert "sub/b" not in names(site.main(str(folder))) and "a" in names(site.main(str(folder)))
    (folder / "Dockerfile.dockerignore").write_text("*\n!a\n")
    assert names(site.main(str(folder))) == ["a"]
    assert names(site.main(str(folder), str(folder / "Dockerfile"))) == ["a"]
    (folder / "mine").write_text("**\n")
    assert names(site.main(str(folder), ignore=str(folder / "mine"))) == []
    (folder / "mine").write_text("a\n[\n")
    with pytest.raises(DockerfileError, match="mine:2: syntax error in pattern"):
        site.main(str(folder), ignore=str(folder / "mine"))


@pytest.mark.parametrize("form", ["w", "w:gz", "w:bz2", "w:xz", "zstd"])
def test_an_archive_on_standard_input(site: Site, folder: Path, form: str) -> None:
    archive = zstandard.compress(packed(folder)) if form == "zstd" else packed(folder, form)
    context = site.main("-", stdin=archive)
    assert context.dockerfile == DOCKERFILE
    assert names(context) == ["Dockerfile", "a", "sub", "sub/b"]
    assert site.main("-", "sub/b", stdin=archive).dockerfile == b"b"


def test_a_dockerfile_on_standard_input(site: Site) -> None:
    context = site.main("-", stdin=b"FROM scratch\n")
    assert context.dockerfile == b"FROM scratch\n" and names(context) == []
    with pytest.raises(UsageError, match="it is empty"):
        site.main("-")


def hostile(*entries: tuple[str, bytes, str]) -> bytes:
    """An archive of (name, type, target or content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, text in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = text
            info.size = len(text) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


FROM = ("Dockerfile", tarfile.REGTYPE, "FROM scratch\n")


def test_archives_do_not_reach_outside(site: Site, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    with pytest.raises(ImageError, match="leads out of the root"):
        site.main("-", stdin=hostile(FROM, ("../victim/x", tarfile.REGTYPE, "bad")))
    through = hostile(FROM, ("l", tarfile.SYMTYPE, str(victim)), ("l/x", tarfile.REGTYPE, "bad"))
    context = site.main("-", stdin=through)
    assert list(victim.iterdir()) == [] and context.tree.find("l/x") is not None
    (victim / "secret").write_text("secret")
    link = site.main("-", stdin=hostile(FROM, ("s", tarfile.SYMTYPE, f"{victim}/secret")))
    assert link.tree.find("s") is None
    with pytest.raises(NotFoundError, match="no Containerfile or Dockerfile"):
        site.main("-", stdin=hostile(("Dockerfile", tarfile.SYMTYPE, f"{victim}/secret")))
    with pytest.raises(CrateError):
        site.main("-", stdin=hostile(FROM, ("h", tarfile.LNKTYPE, f"{victim}/secret")))
    with pytest.raises(ImageError, match="truncated"):
        site.main("-", stdin=hostile(FROM, ("f", tarfile.REGTYPE, "x" * 5000))[:2000])
    (victim / "secret").unlink()
    assert list(victim.iterdir()) == []


@requires("root")
def test_devices_and_pipes_are_never_opened(site: Site) -> None:
    assert "p" in names(site.main("-", stdin=hostile(FROM, ("p", tarfile.FIFOTYPE, ""))))
    for archive in (
        hostile(("Dockerfile", tarfile.FIFOTYPE, "")),
        hostile(FROM, (".dockerignore", tarfile.CHRTYPE, "")),
    ):
        with pytest.raises(ImageError, match="no regular file"):
            site.main("-", stdin=archive)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files, redirects, and answers that break off."""

    def do_GET(self) -> None:
        """`/to/URL` redirects, `/cut` breaks off, `/gone` is not there."""
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"short")
        elif self.path == "/who":
            body = self.headers.get("Authorization", "nobody").encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            super().do_GET()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    """The directory on an http server."""
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{found.server_address[1]}"
    found.shutdown()
    found.server_close()
    thread.join()


def test_a_context_from_a_server(site: Site, folder: Path, server: str) -> None:
    (folder / "c.tgz").write_bytes(packed(folder, "w:gz"))
    assert "sub/b" in names(site.main(f"{server}/c.tgz"))
    assert site.main(f"{server}/to/{server}/Dockerfile").dockerfile == DOCKERFILE
    assert site.main(str(folder), f"{server}/Dockerfile").dockerfile == DOCKERFILE
    with pytest.raises(RegistryError, match="status 404"):
        site.main(f"{server}/none.tgz")


def test_downloads_are_bounded_and_keep_secrets(server: str) -> None:
    def text(url: str, limit: int = 1 << 20) -> bytes:
        content = bytearray()
        download(url, content.extend, NoSettings(), limit=limit)
        return bytes(content)

    private = server.replace("//", "//user:word@")
    other = server.replace("127.0.0.1", "localhost")
    assert text(f"{private}/who").startswith(b"Basic ")
    assert text(f"{private}/to/{other}/who") == b"nobody"
    with pytest.raises(RegistryError, match="larger than 3 bytes") as caught:
        text(f"{private}/Dockerfile", 3)
    assert "word" not in str(caught.value)
    with pytest.raises(RegistryError, match="redirects to file://"):
        text(f"{server}/to/file:///etc/passwd")
    with pytest.raises(RegistryError, match="more than 10 redirects"):
        text(f"{server}" + f"/to/{server}" * 12 + "/a")
    with pytest.raises(RegistryError, match="broke off"):
        text(f"{server}/cut")


def add(line: str) -> Add:
    """An ADD instruction."""
    (found,) = parse(f"FROM scratch\n{line}\n", "D").stages[0].instructions
    assert isinstance(found, Add)
    return found


def fetched(site: Site, one: Add, destination: str = "/d/") -> list[tuple[str, str, int]]:
    """(path, kind, mode) of what ADD takes from elsewhere."""
    from crate.storage.trash import remove_tree

    out = []
    _, remote = split_sources(one)
    try:
        for tree, selection in fetch(site, one, remote, destination, False, Rules()):
            out += [(entry.path, entry.kind, entry.mode) for entry in selection.entries]
            tree.close()
            os.close(tree.root_fd)
    finally:
        for name in site.stagings():
            remove_tree(f"{site.roots.graphroot}/stage", name)
    return out


def test_files_of_servers_as_sources_of_add(site: Site, folder: Path, server: str) -> None:
    digest = hashlib.sha256(b"a").hexdigest()
    assert fetched(site, add(f"ADD {server}/a /d/")) == [("d/a", "file", 0o600)]
    assert fetched(site, add(f"ADD {server}/a?x=1 /d"), "/d") == [("d", "file", 0o600)]
    assert fetched(site, add(f"ADD --checksum=sha256:{digest} {server}/a /d/"))
    with pytest.raises(UsageError, match="digest mismatch"):
        fetched(site, add(f"ADD --checksum=sha256:{digest} {server}/sub/b /d/"))
    (folder / "t[1].tar").write_bytes(packed(folder / "sub"))
    assert fetched(site, add(f"ADD {server}/t[1].tar /d/"))[0][1] == "file"
    assert fetched(site, add(f"ADD --unpack {server}/t%5B1%5D.tar /d/")) == [("d", "archive", 0o600)]
    for line, words in (
        ("ADD --checksum=sha256:0 http://h/a /d", "invalid checksum digest length"),
        ("ADD --checksum=sha256:0 a /d", "requires HTTP"),
        (f"ADD --checksum=sha256:{digest} http://h/a http://h/b /d/", "multiple sources"),
    ):
        with pytest.raises(Fault, match=words):
            split_sources(add(line))
    with pytest.raises(Fault, match="cannot determine filename"):
        fetched(site, add(f"ADD {server}/ /d/"))


@pytest.fixture
def repository(folder: Path, server: str) -> str:
    """The directory as a git repository on the server: branch main, tag v1 (without b), a filter and a submodule."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main")

    def git(*words: str) -> None:
        subprocess.run(["git", *who, *words], check=True, cwd=folder, env=clean, capture_output=True)

    git("init", ".")
    (folder / "sub/b").rename(folder / "sub/c")
    (folder / "way").symlink_to("/etc")
    (folder / "up").symlink_to("../../../../../../../../etc")
    git("add", ".")
    git("commit", "-m", "one")
    git("tag", "v1")
    (folder / "sub/c").rename(folder / "sub/b")
    (folder / ".gitattributes").write_text("* filter=mine\n")
    (folder / ".gitmodules").write_text('[submodule "m"]\n\tpath = m\n\turl = ../m.git\n')
    git("add", "-A")
    git("commit", "-m", "two")
    git("clone", "--bare", ".", str(folder / "r.git"))
    subprocess.run(["git", "update-server-info"], check=True, cwd=folder / "r.git", env=clean)
    return f"{server}/r.git"


@requires("git")
def test_a_git_repository_as_context(site: Site, repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home = site.place / "home"
    (home / "hooks").mkdir(parents=True)
    (home / "hooks/post-checkout").write_text(f"#!/bin/sh\ntouch {home}/ran\n")
    (home / "hooks/post-checkout").chmod(0o755)
    settings = f'[core]\nhooksPath = {home}/hooks\n[filter "mine"]\nsmudge = touch {home}/ran; cat\n'
    (home / ".gitconfig").write_text(settings)
    monkeypatch.setenv("HOME", str(home))
    context = site.main(repository)
    assert not (home / "ran").exists(), "neither hooks nor filters are run"
    assert {"Dockerfile", "a", "sub/b", ".gitmodules"} <= set(names(context)) and ".git" not in names(context)
    assert context.dockerfile == DOCKERFILE
    assert "sub/c" in names(site.main(f"{repository}#v1"))
    assert names(site.main(f"{repository}#main:sub", "b")) == ["b"]
    assert names(site.main(f"{repository}?branch=main&subdir=sub", "b")) == ["b"]
    with pytest.raises(RegistryError, match="no branch, tag or commit nope"):
        site.main(f"{repository}#nope")
    with pytest.raises(NotFoundError, match="cannot use directory"):
        site.main(f"{repository}#main:../../..//etc/none")
    for link in ("way", "up"):  # CVE-2026-33748
        with pytest.raises(NotFoundError):
            site.main(f"{repository}#main:{link}", "passwd")
    with pytest.raises(RegistryError, match="expected commit"):
        site.main(f"{repository}?branch=main&commit={'0' * 40}")


@requires("git")
def test_a_git_repository_as_source_of_add(site: Site, repository: str) -> None:
    assert ("d/b", "file", 0o644) in fetched(site, add(f"ADD {repository}#main:sub /d/"))
    assert any(path.startswith("d/.git/") for path, _, _ in fetched(site, add(f"ADD --keep-git-dir {repository} /d")))
    source = git_source.parse_git(repository.replace("//", "//me:s3cr3t@"))
    assert source
    (site.place / "kept").mkdir()
    git_source.fetch(source, str(site.place / "kept"), keep_git_dir=True)
    assert repository in (site.place / "kept/.git/config").read_text()
    assert subprocess.run(["grep", "-rl", "s3cr3t", str(site.place / "kept")], check=False).returncode == 1


@pytest.mark.parametrize(
    "text",
    [
        "https://h/r.git#--upload-pack=x",
        "git@-oProxyCommand=x:y",
        "ssh://-oProxyCommand=x/y",
        "https://h/r.git#a b",
        "ssh://-oProxyCommand=x@h/y.git",
    ],
)
def test_no_part_of_a_url_becomes_an_option(text: str) -> None:
    try:
        assert git_source.parse_git(text) is None
    except UsageError as error:
        assert "invalid git reference" in str(error)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://h/r.git", ("https://h/r.git", "", "")),
        ("https://u:p@h/r.git#b:d/e", ("https://u:p@h/r.git", "b", "d/e")),
        ("git@h:o/r.git#:d", ("git@h:o/r.git", "", "d")),
        ("ssh://git@h/r", ("ssh://git@h/r", "", "")),
        ("git://h/r#b", ("git://h/r", "b", "")),
        ("https://h/r.git?tag=v1", ("https://h/r.git", "refs/tags/v1", "")),
        ("https://h/r.tar.gz", None), ("./r.git", None), ("r.git", None), ("/r.git", None), ("ext::sh -c x", None),
        ("file:///r.git", None), ("a:b", None), ("c@d", None),
    ],
)  # fmt: skip
def test_what_is_a_git_repository(text: str, found: tuple[str, str, str] | None) -> None:
    source = git_source.parse_git(text)
    assert (source and (source.remote, source.ref, source.directory)) == found
    assert source is None or "u:p" not in str(source)


def test_only_contexts_take_the_short_form_of_github() -> None:
    assert git_source.parse_git("github.com/o/r") is None
    found = git_source.parse_git("github.com/o/r#b", as_context=True)
    assert found and (found.remote, found.ref) == ("https://github.com/o/r", "b")


def test_which_named_contexts_are_images() -> None:
    assert image_of("docker-image://alpine:3") == "alpine:3" and image_of("oci-layout:///p:t") == "oci:/p:t"
    assert image_of("./dir") is None and image_of("https://h/r.git") is None


def test_a_named_context_has_its_own_ignore_file(site: Site, folder: Path) -> None:
    (folder / ".dockerignore").write_text("sub\n")
    context = ContextOpener(site.roots, site.settings).named("files", str(folder))
    try:
        assert names(context) == [".dockerignore", "Dockerfile", "a"]
        assert context.tree.label == "build context files"
    finally:
        context.close()


@requires("root", "busybox")
def test_a_dockerfile_from_elsewhere_names_no_archive_of_the_host(builder: Builder, folder: Path, server: str) -> None:
    crate, archive = builder.crate, builder.context / "host.tar"
    crate.ok("pull", "-q", BASE)
    crate.ok("save", "-o", str(archive), BASE)
    text = f"FROM docker-archive:{archive}\nRUN echo in > /x\n"
    (folder / "foreign").write_text(text)
    (folder / "sub/Dockerfile").write_text(f"FROM {BASE}\nCOPY --from=oci-archive:{archive} /etc /stolen\n")
    (folder / "t.tgz").write_bytes(packed(folder / "sub", "w:gz"))
    words = ("build", "--quiet", "--network", "none")
    for place in (f"{server}/foreign", f"{server}/t.tgz"):
        refused = crate(*words, place)
        assert refused.status == 125 and "the Dockerfile is not of this host" in refused.err, refused
    image = crate.ok(*words, "-", input=text).split()[-1]
    assert builder.run(image, "cat", "/x") == "in", "what the user typed may"


@requires("root", "busybox", "git")
def test_the_program_takes_its_files_from_everywhere(
    builder: Builder, folder: Path, server: str, repository: str
) -> None:
    crate, archive = builder.crate, builder.context / "c.tar.gz"
    (folder / "sub/Dockerfile").write_text(f"FROM {BASE}\nCOPY . /all\n")
    archive.write_bytes(packed(folder / "sub", "w:gz"))
    (folder / "t.tgz").write_bytes(archive.read_bytes())
    dockerfile = (
        f"FROM base\nADD {server.replace('//', '//me:s3cr3t@')}/a /n/\n"
        f"ADD {server}/t.tgz /n/\nADD --unpack {server}/t.tgz /u/\n"
        f"ADD {repository}#v1:sub /g\n"
        "COPY --from=more a /more\nRUN --mount=from=more,target=/m cp /m/a /mounted\n"
    )

    def build(*words: str, given: str = "") -> str:
        return crate.ok("build", "--quiet", "--network", "none", *words, input=given).split()[-1]

    image = build(
        "--build-context", f"more={folder}", "--build-context", f"base=docker-image://{BASE}",
        "-f", "-", str(builder.context), given=dockerfile,
    )  # fmt: skip
    assert builder.run(image, "sh", "-c", "cd /; ls n u g; cat more mounted; stat -c %a n/a").split() == [
        *("g:", "c", "n:", "a", "t.tgz", "u:", "Dockerfile", "b", "aa600"),
    ]
    assert builder.created_by(image)[0] == f"ADD {server}/a /n/ # buildkit", "without the password"
    for place in (f"{server}/t.tgz", str(folder / "sub")):
        assert "b" in builder.run(build(place), "ls", "/all").split()
    assert builder.run(build("-", given=f"FROM {BASE}\nRUN echo in > /x\n"), "cat", "/x") == "in"
    command = crate.command("build", "--quiet", "--network", "none", "-")
    done = subprocess.run(command, input=archive.read_bytes(), capture_output=True, check=True, env=crate.environment)
    assert "b" in builder.run(done.stdout.decode().split()[-1], "ls", "/all").split()
    assert os.listdir(crate.root / "stage") == []
