"""Stacks of random layers against a model of what layers mean: image-spec layer.md, applied to a dictionary."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abilities import disk_directory
from crate.storage import layers, merge, rootfs
from crate.storage.roots import open_roots
from crate.storage.settle import settle
from crate.storage.tar.reader import TarReader
from crate.storage.tree.writer import TreeWriter
from examples import examples, is_exploring
from storage.archives import archive, directory, member
from storage.stacks import beneath

if TYPE_CHECKING:
    from crate.storage.roots import Roots

pytestmark = pytest.mark.requires("root", "overlay")

Tree = dict[str, int | bytes]  # a directory's mode, or a file's content

NAMES = ("a", "b", "c")


@st.composite
def random_layers(draw: st.DrawFn) -> list[list[tuple[str, str, int | bytes]]]:
    """Layers as lists of (verb, path, value) that do not contradict themselves."""
    made = []
    for number in range(draw(st.integers(1, 4))):
        taken: dict[str, str] = {}
        steps: list[tuple[str, str, int | bytes]] = []
        for _ in range(draw(st.integers(0, 8))):
            path = "/".join(draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)))
            verb = draw(st.sampled_from(["dir", "file", "file", "whiteout", "opaque"]))
            parents = [path[:at] for at, letter in enumerate(path) if letter == "/"]
            if path in taken or any(taken.get(parent, "dir") in ("file", "whiteout") for parent in parents):
                continue
            if verb in ("file", "whiteout") and any(known.startswith(path + "/") for known in taken):
                continue
            taken[path] = "dir" if verb == "opaque" else verb
            for parent in parents:
                taken.setdefault(parent, "dir")
            value: int | bytes = b""
            if verb == "dir":
                value = draw(st.sampled_from([0o755, 0o700, 0o1777]))
            elif verb == "file":
                value = b"%d %d" % (number, len(steps))
            steps.append((verb, path, value))
        made.append(steps)
    return made


def apply(tree: Tree, steps: list[tuple[str, str, int | bytes]]) -> None:
    """What one layer does to the tree: first it removes, then it adds."""
    for verb, path, _ in steps:
        if verb in ("whiteout", "opaque"):
            for known in [known for known in tree if known.startswith(path + "/")]:
                del tree[known]
        if verb == "whiteout":
            tree.pop(path, None)
    for verb, path, value in steps:
        parts = path.split("/")
        directories = ["/".join(parts[:count]) for count in range(1, len(parts) + (verb == "opaque"))]
        for parent in directories:
            if isinstance(tree.get(parent), bytes) or parent not in tree:
                tree[parent] = 0o755
        if verb == "file":
            for known in [known for known in tree if known.startswith(path + "/")]:
                del tree[known]
            tree[path] = value
        elif verb == "dir":
            tree[path] = value


def as_archive(steps: list[tuple[str, str, int | bytes]]) -> bytes:
    parts = []
    for verb, path, value in steps:
        head, slash, base = path.rpartition("/")
        if verb == "dir":
            assert isinstance(value, int)
            parts.append(directory(path.encode(), value))
        elif verb == "file":
            assert isinstance(value, bytes)
            parts.append(member(path.encode(), value))
        elif verb == "whiteout":
            parts.append(member(f"{head}{slash}.wh.{base}".encode()))
        else:
            parts.append(member(f"{path}/.wh..wh..opq".encode()))
    return archive(*parts)


def publish(roots: Roots, made: list[list[tuple[str, str, int | bytes]]]) -> list[str]:
    chains: list[str] = []
    for steps in made:
        data = as_archive(steps)
        chain = hashlib.sha256(b"%d" % len(chains) + data + "".join(chains).encode()).hexdigest()
        place = Path(roots.graphroot, "layers", chain)
        (place / "diff").mkdir(parents=True)
        fd = os.open(place / "diff", os.O_RDONLY)
        unpacked = TreeWriter(fd, whiteouts=True, rootless=roots.rootless).unpack(TarReader(io.BytesIO(data).read))
        os.close(fd)
        settle(f"{place}/diff", unpacked, [layers.diff_path(roots, below) for below in reversed(chains)])
        layers.make_alias(f"{roots.graphroot}/layers", chain, str(place))
        chains.append(chain)
    return chains


def read(place: Path) -> Tree:
    found: Tree = {}
    for path in place.rglob("*"):
        mode = path.lstat().st_mode
        found[str(path.relative_to(place))] = stat.S_IMODE(mode) if stat.S_ISDIR(mode) else path.read_bytes()
    return found


@given(random_layers())
@settings(
    max_examples=examples(60),
    deadline=None,
    derandomize=not is_exploring(),
    suppress_health_check=[HealthCheck.too_slow],
)
def test_stacks_mean_what_the_specification_says(made: list[list[tuple[str, str, int | bytes]]]) -> None:
    expected: Tree = {}
    for steps in made:
        apply(expected, steps)
    with tempfile.TemporaryDirectory(prefix="crate-model-", dir=disk_directory()) as place:
        roots = open_roots(f"{place}/graph", f"{place}/run")
        chains = publish(roots, made)
        fd = rootfs.mount_layers(roots, chains)
        try:
            assert read(beneath(fd)) == expected
        finally:
            os.close(fd)
        assert read(Path(roots.graphroot, "layers", merge.flatten(roots, chains))) == expected
        subprocess.run(["rm", "-rf", place + "/graph"], check=True)
