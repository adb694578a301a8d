"""Stages: which are built, side by side, and what of many layers comes out."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from registry.wire import Scripted

if TYPE_CHECKING:
    from pathlib import Path

    from build.building import Builder

pytestmark = pytest.mark.requires("root", "overlay", "busybox")


def test_stages_that_need_each_other_meet(builder: Builder, tmp_path: Path) -> None:
    """Two stages that wait for one another by way of a cache directory end only when both run at the same time."""
    meet = "n=0; touch /m/{0}; while [ ! -e /m/{1} ]; do sleep .05; n=$((n + 1)); [ $n -lt 1200 ] || exit 9; done"
    mount = "--mount=type=cache,id=meet,target=/m"
    dockerfile = f"""
        FROM BASE AS one
        RUN {mount} {meet.format("one", "two")}
        FROM BASE AS two
        RUN {mount} {meet.format("two", "one")}
        FROM BASE AS unneeded
        RUN exit 1
        FROM scratch
        COPY --from=one /etc/passwd /one
        COPY --from=two /etc/passwd /two
        """
    image = builder.image(dockerfile, "--jobs", "2")
    assert [set(layer) for layer in builder.layers(image)] == [{"one"}, {"two"}]


def test_one_job_at_a_time_comes_to_an_end(builder: Builder) -> None:
    dockerfile = "FROM scratch AS a\nCOPY f /\nFROM a AS b\nCOPY f /b\nFROM BASE\nCOPY --from=b /b /c\nRUN cat /c\n"
    builder.write("f", "content\n")
    assert "\ncontent\n" in builder.build(dockerfile, "--jobs", "1")


def test_a_failure_ends_the_others(builder: Builder) -> None:
    begin = time.monotonic()
    result = builder.try_build(
        "FROM BASE AS slow\nRUN sleep 1000\nFROM BASE AS bad\nRUN sleep 1; exit 5\nFROM BASE\n"
        "COPY --from=slow /etc/passwd /1\nCOPY --from=bad /etc/passwd /2\n",
        *("--jobs", "2"),
    )
    assert result.status == 5 and time.monotonic() - begin < 200
    assert list((builder.crate.root / "stage").iterdir()) == []


def test_two_builds_of_one_step_do_it_once(builder: Builder) -> None:
    builder.write("Dockerfile", "FROM crate.local/busybox\nRUN sleep 2; cat /proc/sys/kernel/random/uuid > /id\n")
    command = builder.crate.command("build", "-q", "--network", "none", str(builder.context))
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=builder.crate.environment) for _ in range(3)
    ]
    images = {process.communicate(timeout=100)[0].strip() for process in started}
    assert len(images) == 1 and not any(process.returncode for process in started)


def test_no_cache_filter(builder: Builder) -> None:
    dockerfile = "FROM BASE AS a\nRUN date > /a\nFROM BASE AS b\nCOPY --from=a /a /\nRUN date > /b\n"
    builder.build(dockerfile)
    out = builder.build(dockerfile, "--no-cache-filter", "b")
    assert "[1/2] --> Using cache" in out and "[2/2] --> Using cache" not in out


@pytest.mark.slow
def test_five_hundred_layers(builder: Builder) -> None:
    """More than the kernel stacks: built, and run."""
    builder.write("f", "x")
    steps = "".join(f"COPY f /d{number % 7}/f{number}\n" for number in range(510))
    image = builder.image(f"FROM BASE\n{steps}RUN ls /d0 | wc -l > /count\n")
    assert len(builder.layers(image)) == 512
    assert builder.run(image, "sh", "-c", "cat /count; ls /d[0-9] | grep -c f").split() == ["73", "510"]


def test_contexts(builder: Builder, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("other\n")
    out = builder.build(
        "FROM base\nCOPY --from=extra file /\nRUN cat /file\n",
        *("--build-context", f"extra={other}", "--build-context", "base=docker-image://crate.local/busybox"),
    )
    assert "\nother\n" in out
    words = builder.crate.command("build", "--network", "none", "-")
    done = subprocess.run(
        words,
        input="FROM crate.local/busybox\nRUN echo from stdin\n",
        text=True,
        check=False,
        capture_output=True,
        env=builder.crate.environment,
        timeout=60,
    )
    assert done.returncode == 0 and "\nfrom stdin\n" in done.stdout, done


def test_a_registry_that_fails_is_asked_again(builder: Builder) -> None:
    server = Scripted(lambda *_: (503, {}, b""))
    try:
        for number in (0, 2):
            server.requests.clear()
            failed = builder.try_build(
                f"FROM {server.address}/some/image\n", "--retry", str(number), "--retry-delay", "1ms"
            )
            assert failed.status == 125 and "Dockerfile:1" in failed.err
            assert len(server.requests) == number + 1, server.requests
    finally:
        server.close()
