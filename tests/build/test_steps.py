"""Each instruction: what it makes of the files, the configuration and the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from build.building import Builder

pytestmark = pytest.mark.requires("root", "overlay", "busybox")


def test_run_copy_env_cmd(builder: Builder) -> None:
    builder.write("src/file", "content\n", 0o640)
    dockerfile = """
        FROM BASE
        RUN echo hello > /hello && rm /etc/nsswitch.conf
        ENV A=1 B="two words"
        COPY src /data/
        WORKDIR /data/sub
        RUN echo "$A $B $PWD" > out
        CMD ["cat", "out", "/data/file", "/hello"]
    """
    out = builder.build(dockerfile, "-t", "one")
    assert "STEP 2/7: RUN echo hello" in out
    image = out.split()[-1]
    assert builder.run("localhost/one:latest") == "1 two words /data/sub\ncontent\nhello"
    base, hello, data, directory, last = builder.layers(image)
    assert "etc/passwd" in base
    # Nothing that was only there to mount upon: no /etc/hosts, no /dev.
    assert set(hello) == {"hello", "etc", "etc/.wh.nsswitch.conf"}
    assert set(data) == {"data", "data/file"} and data["data/file"].mode == 0o640
    assert set(directory) == {"data", "data/sub"} and set(last) == {"data", "data/sub", "data/sub/out"}
    config = builder.config(image)
    assert config["config"]["Env"][-2:] == ["A=1", "B=two words"]
    assert config["config"]["WorkingDir"] == "/data/sub"
    assert builder.created_by(image) == [
        "RUN /bin/sh -c echo hello > /hello && rm /etc/nsswitch.conf # buildkit",
        "ENV A=1 B=two words",
        "COPY src /data/ # buildkit",
        "WORKDIR /data/sub",
        'RUN /bin/sh -c echo "$A $B $PWD" > out # buildkit',
        'CMD ["cat" "out" "/data/file" "/hello"]',
    ]
    empty = [bool(entry.get("empty_layer")) for entry in config["history"]]
    assert empty == [False, False, True, False, False, False, True]


def test_scratch(builder: Builder) -> None:
    builder.write("a", "a\n")
    image = builder.image("FROM scratch\nCOPY a /\nLABEL x=y\n")
    config = builder.config(image)
    assert [set(layer) for layer in builder.layers(image)] == [{"a"}]
    assert config["config"]["Labels"] == {"x": "y"} and config["config"]["Env"][0].startswith("PATH=/usr/local/sbin")


def test_failing_run(builder: Builder) -> None:
    dockerfile = "FROM BASE\nRUN echo good > /good\nRUN echo bad news; exit 7\n"
    result = builder.try_build(dockerfile)
    assert result.status == 7
    assert "bad news" in result.out + result.err
    assert 'building at STEP "RUN echo bad news; exit 7": while running runtime: exit status 7' in result.err
    assert "Dockerfile:3" in result.err
    assert list((builder.crate.root / "stage").iterdir()) == []
    # The step before it is in the cache.
    assert "Using cache" in builder.build("FROM BASE\nRUN echo good > /good\n")


def test_a_name_that_means_a_removal_is_in_no_layer(builder: Builder) -> None:
    """The layer would be another one for whoever pulls it."""
    builder.write(".wh.bin", "x")
    for step, place in (("COPY .wh.bin /d/", "/d/.wh.bin"), ("RUN mkdir -p /e/.wh..wh..opq", "/e/.wh..wh..opq")):
        result = builder.try_build(f"FROM BASE\n{step}\n")
        assert result.status == 125
        assert f"cannot put {place} into a layer: a name that begins with .wh. stands for a removal" in result.err
    assert list((builder.crate.root / "stage").iterdir()) == []
