"""What the configuration and the files of a hostile image may do to who lists, inspects or runs it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from build.building import Builder
from program import until
from registry.made import config_of, manifest_of, tar
from security.hostile import make_root

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")
RUN = ("run", "--rm", "--network", "none")
#: sets the title of a terminal, clears it, does so by the control characters above ASCII, writes over a line
STEERING = "\x1b]0;owned\x07\x1b[2J\x9b2Jend\rnew"
SHOWING = (
    "ps --no-trunc",
    "ps --format table{{.Command}}",
    "history --no-trunc steer",
    "images",
    "image tree steer",
    "image inspect steer",
    "container inspect box",
    "top box",
    "top box args",
    "diff box",
    "diff --format json box",
    "events --since 1h --until 0s",
)


def steers(text: str) -> list[str]:
    """The characters that a terminal would obey."""
    return [c for c in text if (c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f"]


def test_nothing_of_it_steers_a_terminal(crate: Crate, busybox: str, tmp_path: Path) -> None:
    """Its command, labels and author, the names of files and the words of processes."""
    command = json.dumps(["sh", "-c", f"touch '/{STEERING}'; exec sh -c 'sleep 1000; :' '{STEERING}'"])
    labels = f'LABEL key="{STEERING}" "k{STEERING}"=v\nMAINTAINER {STEERING}\n'
    Builder(crate, tmp_path).image(f"FROM BASE\n{labels}CMD {command}\n", "-t", "steer")
    crate.ok("run", "-d", "--name", "box", "--network", "none", "steer")
    until(lambda: "end" in crate.ok("diff", "box") and "sleep" in crate.ok("top", "box"))
    for words in SHOWING:
        result = crate(*words.split(" "))
        assert result.status == 0 and result.out, (words, result)
        assert steers(result.out + result.err) == [], words


def loaded(crate: Crate, place: Path, tars: list[bytes], **config: object) -> str:
    """The name of an image with these layers, beside those of its config's keys that `config` gives."""
    members = [(f"{number}", body) for number, body in enumerate(tars)]
    described = {**json.loads(config_of(*tars)), **config}
    manifest = manifest_of("c.json", [name for name, _ in members], "made:latest")
    (place / "made.tar").write_bytes(
        tar([*members, ("c.json", json.dumps(described).encode()), ("manifest.json", manifest)])
    )
    crate.ok("load", "-q", "-i", str(place / "made.tar"))
    return "made"


def busybox_tar() -> bytes:
    """A layer with busybox as the only program."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add("/bin/busybox", "bin/busybox")
    return stream.getvalue()


def test_variables_without_a_value_take_none_of_the_hosts(crate: Crate, tmp_path: Path) -> None:
    """CVE-2026-57231: podman gave an image that only names a variable the value of its caller's."""
    environment = ["HOST_SECRET", "HOST_*", "*", "CRATE_TEST", "HOME"]
    image = loaded(crate, tmp_path, [busybox_tar()], config={"Env": environment, "Cmd": ["/bin/busybox", "env"]})
    told = crate.ok(*RUN, image, HOST_SECRET="mine")
    assert "HOST_SECRET=\n" in told and "mine" not in told and crate.mark not in told and str(crate.place) not in told
    crate.ok("run", "-d", "--name", "box", "--network", "none", image, "/bin/busybox", "sleep", "60")
    told = crate.ok("exec", "box", "/bin/busybox", "env", HOST_SECRET="mine")
    assert "HOST_SECRET=\n" in told and "mine" not in told and crate.mark not in told


def test_a_large_group_file_takes_no_memory(crate: Crate) -> None:
    """CVE-2026-47262: containerd read the whole of an image's /etc/group."""
    root = make_root(crate.place)
    for name in ("passwd", "group"):
        (root / "etc" / name).write_text("one:x:5:\n" if name == "group" else "one:x:5:5::/:/bin/sh\n")
        os.truncate(root / "etc" / name, 1 << 40)
    words = crate.command(*RUN, "--user", "one", "--group-add", "one", "--rootfs", str(root), "echo", "here")
    limited = ["prlimit", f"--as={1 << 30}", *words]
    done = subprocess.run(limited, capture_output=True, text=True, env=crate.environment, timeout=60, check=False)
    assert done.stdout == "here\n", done
