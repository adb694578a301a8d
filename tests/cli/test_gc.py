"""`gc --keep`: what was used last the longest ago goes, of every kind together; what a container uses stays."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.made import tar

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
NONE = ("--network", "none")
MEGABYTE = 1_000_000

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def image(crate: Crate, name: str, megabytes: int, base: str = IMAGE) -> str:
    """An image with one more layer of so many megabytes, and its id."""
    crate.ok("create", "--name", "making", *NONE, base)
    (Path(crate.ok("mount", "making")) / name).write_bytes(os.urandom(megabytes * MEGABYTE))
    crate.ok("unmount", "making")
    crate.ok("commit", "-q", "making", name)
    crate.ok("rm", "making")
    return crate.ok("image", "inspect", "-f", "{{.Id}}", name)


def used(crate: Crate, path: str, days: float) -> None:
    """Makes a file of the store look as if it was used so many days ago."""
    then = time.time() - days * 86400
    os.utime(crate.root / path, (then, then))


def names(crate: Crate) -> set[str]:
    return set(crate.ok("images", "-a", "--format", "{{.Repository}}:{{.Tag}}").split())


def test_what_was_used_longest_ago_goes_first(crate: Crate) -> None:
    ids = {name: image(crate, name, 10) for name in ("a", "b", "c", "d")}
    for name, days in {"a": 40, "b": 30, "c": 20, "d": 10}.items():
        used(crate, f"images/records/{ids[name]}.json", days)
    crate.ok("create", "--name", "keeps", *NONE, "b")
    crate.ok("create", "--name", "using", *NONE, "a")  # a use: it is the newest now
    crate.ok("rm", "using")
    crate.ok("create", "--name", "has", *NONE, "-v", "/data", "-v", "named:/named", IMAGE)
    anonymous = next(name for name in crate.ok("volume", "ls", "-q").split() if name != "named")
    for name in (anonymous, "named"):
        (crate.root / f"volumes/{name}/_data/file").write_bytes(bytes(5 * MEGABYTE))
        for part in ("volume.json", "_data"):
            used(crate, f"volumes/{name}/{part}", 15)
    everything = names(crate)
    # Each image takes twice ten: the layer's files and its archive.
    said = crate.ok("gc", "--keep", "1", "--dry-run")
    order = re.findall(r"^would remove  (\w+) +(\w+)", said, re.MULTILINE)
    assert order == [("image", ids[name][:12]) for name in ("c", "d", "a")], said
    assert "last used 2 weeks ago" in said and names(crate) == everything
    crate.ok("rm", "has")
    said = crate.ok("gc", "--keep", "1", "--dry-run")
    assert re.findall(r"^would remove  (\w+) +", said, re.MULTILINE) == ["image", "volume", "image", "image", "image"]
    total = re.search(r"Total reclaimable space: ([\d.]+)MB; the store has ([\d.]+)MB of 1B", said)
    assert total and 60 < float(total[1]) < 80 and 20 < float(total[2]) < 40, said
    whole = float(total[1]) + float(total[2])
    # One image is enough.
    said = crate.ok("system", "gc", "--keep", f"{int((whole - 5) * MEGABYTE)}")
    assert names(crate) == everything - {"localhost/c:latest"} and said.count("removed  ") == 1
    assert f"removed  image        {ids['c'][:12]}" in said
    done = crate("gc", "--keep", "1")
    assert done.status == 0 and "used by containers" in done.err
    assert names(crate) == {"localhost/b:latest"} and crate.ok("volume", "ls", "-q") == "named"
    assert crate.ok("start", "-a", "keeps") == ""
    assert (crate.root / "volumes/named/_data/file").stat().st_size == 5 * MEGABYTE
    assert "removed" not in crate.ok("gc", "--keep", "1G", "-q") and "--keep 20G" in crate.fails(125, "gc")


def test_the_cache_of_builds(crate: Crate) -> None:
    """Steps hold their layers when their image has gone; a directory of RUN --mount=type=cache goes by its last use."""
    (crate.place / "Dockerfile").write_text(
        f"FROM {IMAGE}\nRUN dd if=/dev/urandom of=/big bs=1000000 count=9\n"
        "RUN --mount=type=cache,target=/cache,id=kept dd if=/dev/zero of=/cache/x bs=1000000 count=7\n"
    )
    crate.ok("build", "-q", *NONE, "-t", "built", str(crate.place))
    crate.ok("rmi", "-f", "built")
    crate.ok("create", "--name", "keeps", *NONE, IMAGE)
    said = crate.ok("gc", "--keep", "1", "--dry-run")
    assert re.search(r"would remove  build step .* (9|1[0-9]|18)(\.\d+)?MB .*of=/big", said), said
    assert re.search(r"would remove  build cache .* 7MB  mount kept", said), said
    assert crate.ok("gc", "--keep", "1").count("removed  build") >= 2
    sizes = [path.stat().st_size for path in (crate.root / "images/blobs/sha256").iterdir()]
    assert sum(sizes) < 4 * MEGABYTE and not list((crate.root / "cache/build/mounts").iterdir())
    assert crate.ok("start", "-a", "keeps") == ""


def test_nothing_goes_that_a_running_build_may_stand_on(crate: Crate) -> None:
    image(crate, "base", 1)
    (crate.place / "Dockerfile").write_text(
        "FROM base\nRUN echo x > /x\n"
        "RUN --mount=type=cache,target=/c,id=meet touch /c/begun; "
        "while [ ! -e /c/end ]; do sleep 0.05; done; echo y > /y\n"
    )
    command = crate.command("build", "-q", *NONE, "-t", "built", str(crate.place))
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=crate.environment) as build:
        mounts = crate.root / "cache/build/mounts"
        while not (begun := [*mounts.glob("*/data/begun")]):
            assert build.poll() is None
            time.sleep(0.02)
        done = crate("gc", "--keep", "1")
        assert "removed  " not in done.out and "while a build, pull or load is under way" in done.err
        begun[0].with_name("end").touch()
        assert build.wait(60) == 0
    assert {"localhost/base:latest", "localhost/built:latest"} <= names(crate)
    assert crate.ok("gc", "--keep", "1").count("removed  image") == 3 and names(crate) == set()


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.requires(f"mkfs.{k}")) for k in ("btrfs", "xfs")])
def test_equal_files_of_layers_share_their_extents(crate: Crate, kind: str) -> None:
    """On a file system that can: the same file in two layers that are not the same takes its space once.

    It is mounted where no other process sees it, or theirs would hold it.
    """
    disk, place = crate.place / "disk", crate.place / "mounted"
    with disk.open("wb") as file:
        file.truncate(400 << 20)
    place.mkdir()
    subprocess.run([f"mkfs.{kind}", "-q", disk], check=True, capture_output=True)
    body = os.urandom(30 << 20)
    script = ["set -e", f"mount -o loop {disk} {place} || exit 77"]
    for number in (1, 2, 3):
        # three archives that differ in a small file, so that no layer is another's
        archive = crate.place / f"{number}.tar"
        members = [("usr/lib/large", body if number < 3 else os.urandom(30 << 20)), ("small", str(number).encode())]
        archive.write_bytes(tar(members))
        script += [
            shlex.join(crate.command("--root", f"{place}/root", "import", "-q", str(archive), f"image:{number}"))
        ]
        script += ["sync", f"stat -f -c 'free %a %S' {place}"]
    diff = f"{place}/root/layers/*/diff"
    script += [f"cat {diff}/small", f"sha256sum {diff}/usr/lib/large"]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", "\n".join(script)],
        capture_output=True,
        text=True,
        env=crate.environment,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip(f"no loop device to mount {kind} by: {done.stderr.strip()}")
    assert not done.returncode, done.stderr
    free = [int(blocks) * int(size) for blocks, size in re.findall(r"^free (\d+) (\d+)$", done.stdout, re.MULTILINE)]
    # The archive is kept beside the tree and is not shared: it costs the same each time.
    second, third = free[0] - free[1], free[1] - free[2]
    assert third - second > 25 << 20, (second, third)
    assert done.stdout.count(hashlib.sha256(body).hexdigest()) == 2


def test_shared_layers_count_once_and_stay_while_somebody_has_them(crate: Crate) -> None:
    base = image(crate, "base", 10)
    child = image(crate, "child", 1, "base")
    stored = [path for path in (crate.root / "layers").iterdir() if len(path.name) == 64]
    assert len(stored) == 3, "busybox, base, child: what two images share is there once"
    used(crate, f"images/records/{base}.json", 20)
    used(crate, f"images/records/{child}.json", 10)
    busybox = crate.ok("image", "inspect", "-f", "{{.Id}}", IMAGE)
    used(crate, f"images/records/{busybox}.json", 1)
    said = crate.ok("gc", "--keep", "1", "--dry-run").splitlines()
    assert [line.split()[3] for line in said if "image" in line] == [base[:12], child[:12], busybox[:12]], said
    assert re.search(rf"{base[:12]}  +\d+(\.\d+)?k?B ", said[0]), "base goes, its layers stay with child"
    assert re.search(rf"{child[:12]}  +2[12](\.\d+)?MB ", said[1]), "with the child both layers go"


def test_an_ordinary_user(rootless_crate: Crate) -> None:
    """The same store rules without root: lists, trust and gc."""
    crate = rootless_crate
    crate.ok("pull", "-q", IMAGE)
    crate.ok("image", "trust", "set", "-t", "reject", "registry.example")
    shown = crate.ok("image", "trust", "show")
    assert "registry.example" in shown
    assert "rejected" in crate("pull", "registry.example/x").err
    crate.ok("manifest", "create", "list:1", IMAGE)
    assert crate.ok("run", "--rm", "--network", "none", "list:1", "echo", "ours") == "ours"
    crate.ok("create", "--name", "keeps", "--network", "none", IMAGE)
    crate.ok("untag", "list:1")
    assert "deleted" in crate.ok("image", "prune", "-f")
    assert "image" not in crate.ok("gc", "--keep", "1", "--dry-run").replace("images", "")
    crate.ok("rm", "keeps")
    assert crate.ok("gc", "--keep", "1").startswith("removed  image ")
    assert crate.ok("images", "-qa") == ""
