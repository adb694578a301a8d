"""The cache: what makes a step anew and what does not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from build.building import Builder

pytestmark = pytest.mark.requires("root", "overlay", "busybox")


def cached(out: str) -> list[bool]:
    """Of each step after FROM: was its result known?"""
    return [line.startswith("--> Using cache") for line in out.splitlines() if line.startswith("--> ")]


def test_files_not_times(builder: Builder) -> None:
    path = builder.write("a", "one")
    dockerfile = "FROM BASE\nCOPY a /a\nRUN date > /date\nLABEL x=1\n"
    first = builder.build(dockerfile)
    assert cached(first) == [False, False, False]
    os.utime(path, (1, 1))
    again = builder.build(dockerfile)
    assert cached(again) == [True, True, True] and again.split()[-1] == first.split()[-1]
    # A label is configuration: it makes no RUN anew, wherever it stands.
    assert cached(builder.build("FROM BASE\nLABEL x=2\nCOPY a /a\nRUN date > /date\n")) == [False, True, True]
    builder.write("a", "two")
    assert cached(builder.build(dockerfile)) == [False, False, False]
    assert cached(builder.build(dockerfile, "--no-cache")) == [False, False, False]
    assert cached(builder.build(dockerfile)) == [True, True, True]


def test_variables_make_a_run_anew(builder: Builder) -> None:
    dockerfile = "FROM BASE\nARG V=1\nENV E=$V\nRUN echo $E $V > /v\n"
    builder.build(dockerfile)
    assert cached(builder.build(dockerfile)) == [True, True, True]
    other = builder.build(dockerfile, "--build-arg", "V=2")
    assert cached(other) == [False, False, False]
    assert builder.run(other.split()[-1], "cat", "/v") == "2 2"


def test_removed_layers_are_made_again(builder: Builder) -> None:
    dockerfile = "FROM BASE\nRUN echo x > /x\n"
    builder.build(dockerfile, "-t", "gone")
    builder.crate.ok("rmi", "gone")
    assert cached(builder.build(dockerfile)) == [True], "the cache keeps its layers when the image is removed"
    image = builder.image(dockerfile)
    builder.crate.ok("rmi", image)
    builder.crate.ok("builder", "prune", "-af")
    out = builder.build(dockerfile)
    assert cached(out) == [False] and builder.run(out.split()[-1], "cat", "/x") == "x"


@pytest.mark.parametrize("command", ["builder prune -f --keep-storage 2500000", "gc --keep 4500000"])
def test_what_others_stand_on_is_kept_longest(builder: Builder, command: str) -> None:
    """By last use alone the first steps would go first, and all that was kept would be of no use."""
    step = "RUN head -c 1000000 /dev/urandom > /"
    dockerfile = f"FROM BASE\n{step}a\n{step}b\n{step}c\n"
    image = builder.image(dockerfile)
    builder.crate.ok("rmi", image)
    if command.startswith("gc"):  # layers and their archives, and the base image
        sizes = builder.crate.ok("gc", "--keep", "100g").split()
        command = f"gc --keep {int(float(sizes[7].removesuffix('MB')) * 1e6) - 1_500_000}"
    builder.crate.ok(*command.split())
    assert cached(builder.build(dockerfile)) == [True, True, False]
