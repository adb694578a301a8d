"""`export`, `import` and `save`: whole file systems and images as archives."""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import tarfile
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")
NONE = ("--network", "none")
RUN = ("run", "--rm", *NONE)
CHANGE = "echo mine > /etc/group; rm -r /home; mkdir /srv; ln /etc/group /srv/same; chown 5:6 /srv; touch /kept/no"


@pytest.fixture(params=["running", "exited"])
def archive(request: pytest.FixtureRequest, crate: Crate, busybox: str, tmp_path: Path) -> Path:
    """What `export` writes of a container in each of two states."""
    wait = "; sleep 1000" if request.param == "running" else ""
    words = ("--name", "box", *NONE, "-v", "kept:/kept", busybox, "sh", "-c", f"{CHANGE}; touch /done{wait}")
    crate.ok("run", *(("-d",) if wait else ()), *words)
    if wait:
        crate.ok("exec", "box", "sh", "-c", "until test -e /done; do :; done")
    crate.ok("export", "-o", str(tmp_path / "box.tar"), "box")
    return tmp_path / "box.tar"


def test_export(crate: Crate, archive: Path) -> None:
    with tarfile.open(archive) as tar:
        members = {member.name: member for member in tar}
        same = tar.extractfile("srv/same")
        assert same and same.read() == b"mine\n"
    assert members["srv"].uid == 5 and members["bin/busybox"].isreg() and members["kept"].isdir()
    assert {"etc/group", "srv/same"} <= members.keys() and not {"home", "kept/no"} & members.keys()
    with archive.open("rb") as expected:
        printed = subprocess.run(
            crate.command("container", "export", "box"), env=crate.environment, capture_output=True, check=False
        )
        assert printed.returncode == 0 and len(printed.stdout) == len(expected.read())


def test_import(crate: Crate, archive: Path, tmp_path: Path) -> None:
    digest = crate.ok("import", "-q", str(archive))
    assert digest.startswith("sha256:") and len(digest) == 71
    assert crate.ok(*RUN, digest.removeprefix("sha256:"), "cat", "/srv/same") == "mine"
    subprocess.run(["gzip", "--keep", archive], check=True)
    words = ("-c", 'CMD ["cat", "/etc/group"]', "--change", "LABEL a=b", "-m", "from afar", "--os", "linux")
    crate.ok("import", *words, f"{archive}.gz", "flat:1")
    assert crate.ok(*RUN, "localhost/flat:1") == "mine"
    (found,) = json.loads(crate.ok("image", "inspect", "flat:1"))
    assert found["Config"]["Labels"] == {"a": "b"} and found["History"][0]["comment"] == "from afar"
    assert len(found["RootFS"]["Layers"]) == 1
    crate.ok("rm", "--force", "--time", "0", "box")


def test_import_of_standard_input_and_url(crate: Crate, busybox: str, tmp_path: Path) -> None:
    crate.ok("create", "--name", "box", *NONE, busybox)
    crate.ok("export", "-o", str(tmp_path / "box.tar"), "box")
    with (tmp_path / "box.tar").open("rb") as stdin:
        command = crate.command("import", "-", "piped")
        subprocess.run(command, env=crate.environment, stdin=stdin, check=True, capture_output=True)
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        crate.ok("import", f"{url}/box.tar", "fetched")
        assert "File not found" in crate.fails(125, "import", f"{url}/none.tar")
        server.shutdown()
    assert crate.ok(*RUN, "piped", "echo", "here") == crate.ok(*RUN, "fetched", "echo", "here") == "here"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


def test_import_refuses(crate: Crate, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive\n" * 100)
    assert 'error opening "none": open none: no such file' in crate.fails(125, "import", "none")
    assert "cannot import" in crate.fails(125, "import", str(tmp_path / "text"))
    assert "invalid instruction FOO" in crate.fails(125, "import", "-c", "FOO x", str(tmp_path / "text"))
    assert crate.ok("images", "-q") == ""


@pytest.mark.requires("skopeo")
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir", "docker-dir"])
def test_save(crate: Crate, busybox: str, tmp_path: Path, form: str) -> None:
    crate.ok("run", "--name", "box", *NONE, busybox, "touch", "/added")
    crate.ok("commit", "box", "added:1")
    crate.ok("rm", "box")
    place = tmp_path / "saved"
    crate.ok("save", "-q", "--format", form, "-o", str(place), "added:1")
    source = {"oci-dir": "oci", "docker-dir": "dir"}.get(form, form)
    command = ["skopeo", "copy", "-q", f"{source}:{place}", f"docker-archive:{tmp_path}/again:localhost/again:1"]
    subprocess.run(command, check=True, timeout=60)
    before = crate.ok("image", "inspect", "-f", "{{.Id}}", "added:1")
    crate.ok("rmi", "added:1")
    if form != "docker-dir":
        assert "localhost/added:1" in crate.ok("load", "-i", str(place))
        assert crate.ok("image", "inspect", "-f", "{{.Id}}", "added:1") == before
        assert crate.ok(*RUN, "added:1", "ls", "/added") == "/added"
    crate.ok("load", "-i", str(tmp_path / "again"))
    assert crate.ok(*RUN, "localhost/again:1", "ls", "/added") == "/added"


def test_save_several(crate: Crate, busybox: str, tmp_path: Path) -> None:
    crate.ok("tag", busybox, "other:2")
    crate.ok("create", "--name", "box", *NONE, busybox)
    crate.ok("commit", "box", "third:3")
    crate.ok("rm", "box")
    with (tmp_path / "all.tar").open("wb") as file:
        words = ("save", busybox, "other:2", "third:3")
        subprocess.run(crate.command(*words), env=crate.environment, stdout=file, check=True)
    crate.ok("rmi", "--all", "--force")
    crate.ok("load", "-i", str(tmp_path / "all.tar"))
    listed = crate.ok("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    assert sorted(listed) == ["crate.local/busybox:latest", "localhost/other:2", "localhost/third:3"]
    assert "none: image not known" in crate.fails(125, "save", "none", "-o", str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
