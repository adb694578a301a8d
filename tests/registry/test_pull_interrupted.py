"""Pulls that are cut, killed, interrupted, or run side by side."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crate.errors import ImageError, RegistryError
from crate.storage import image_record
from crate.storage.roots import Roots
from images.server import Registry
from registry.made import layer_tar as tar
from registry.pulling import Pusher, Recorder, assert_nothing_half, files_of, get, get_size, start_pull, until
from registry.wire import CuttingProxy

pytestmark = pytest.mark.requires("root", "registry", "skopeo", "busybox")


def test_a_cut_connection_does_not_harm(
    roots: Roots, registry: Registry, busybox_image: str, cutting: Callable[..., CuttingProxy]
) -> None:
    proxy = cutting(registry.address, [None, 50_000, 300_000, 7, None])
    record = get(roots, busybox_image.replace(registry.address, proxy.address))
    assert (files_of(roots, record) / "bin/busybox").exists()
    assert proxy.connections > 3


def test_an_interrupted_pull_is_continued_by_the_next(
    roots: Roots,
    registry: Registry,
    busybox_image: str,
    cutting: Callable[..., CuttingProxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from crate.registry import transport

    monkeypatch.setattr(transport.Patience.__init__, "__defaults__", (30.0, 30.0, 2, 0.01))
    size = get_size(registry, busybox_image)
    proxy = cutting(registry.address, [None, 400_000, 0])
    with pytest.raises(RegistryError):
        get(roots, busybox_image.replace(registry.address, proxy.address))
    assert_nothing_half(roots)
    recorder = Recorder()
    mirror = cutting(registry.address)
    record = get(roots, busybox_image.replace(registry.address, mirror.address), recorder)
    assert recorder.bytes == size
    assert (files_of(roots, record) / "bin/busybox").exists()


@pytest.fixture
def counting(registry: Registry, cutting: Callable[..., CuttingProxy]) -> Iterator[CuttingProxy]:
    yield cutting(registry.address, [1 << 40])


def test_two_pulls_at_a_time_fetch_once(
    roots: Roots, registry: Registry, busybox_image: str, counting: CuttingProxy
) -> None:
    name = busybox_image.replace(registry.address, counting.address)
    running = [start_pull(roots, name) for _ in range(3)]
    told = {process.communicate(timeout=60)[0].strip() for process in running}
    assert all(process.returncode == 0 for process in running)
    assert len(told) == 1
    assert counting.passed < 1.5 * get_size(registry, name)


def test_what_several_pulls_want_is_fetched_once(roots: Roots, tmp_path: Path) -> None:
    """By the registry's own access log: two tags of one image, and another that shares a layer with it."""
    server = Registry(tmp_path / "counted", access_log=True)
    try:
        pusher = Pusher(server)
        shared, bodies = tar(shared=os.urandom(2_000_000).hex()), [tar(own=os.urandom(50_000).hex()) for _ in range(2)]
        for number, tag in ((0, "one"), (0, "same"), (1, "other")):
            pusher.image("crowd", tag, [shared, bodies[number]])
        names = [f"{server.address}/crowd:{tag}" for tag in ("one", "same", "other", "one", "other")]
        running = [start_pull(roots, name) for name in names]
        told = [process.communicate(timeout=120)[0].strip() for process in running]
        assert all(process.returncode == 0 for process in running)
        assert len(set(told)) == 2
        for body in (shared, *bodies):
            digest = "sha256:" + hashlib.sha256(gzip.compress(body, 1, mtime=0)).hexdigest()
            assert server.requests("GET", f"/v2/crowd/blobs/{digest}") == 1
        assert server.requests("GET", "/v2/crowd/manifests/") == len(names)
    finally:
        server.stop()


def test_threads_have_ended_when_a_pull_returns(roots: Roots, registry: Registry, pusher: Pusher) -> None:
    pusher.image("threads", "latest", [tar(a=str(number)) for number in range(6)])
    before = threading.active_count()
    get(roots, f"{registry.address}/threads")
    assert threading.active_count() <= before + 5  # those of the test's own servers
    assert not [thread for thread in threading.enumerate() if "work" in thread.name]


def test_a_killed_pull_leaves_what_the_next_one_understands(
    roots: Roots, registry: Registry, busybox_image: str, cutting: Callable[..., CuttingProxy]
) -> None:
    proxy = cutting(registry.address, [None, 300_000], hang=True)
    name = busybox_image.replace(registry.address, proxy.address)
    process = start_pull(roots, name)
    until(lambda: any(Path(roots.graphroot).glob("images/partial/*")) and proxy.passed >= 300_000)
    process.kill()
    process.wait()
    assert image_record.list_ids(roots) == []
    recorder = Recorder()
    record = get(roots, busybox_image, recorder)
    assert (files_of(roots, record) / "bin/busybox").exists()
    assert os.listdir(f"{roots.graphroot}/stage") == []
    assert os.listdir(f"{roots.graphroot}/images/partial") == []


def test_the_users_interrupt_ends_a_pull_at_once(
    roots: Roots, registry: Registry, busybox_image: str, cutting: Callable[..., CuttingProxy]
) -> None:
    proxy = cutting(registry.address, [None, 300_000], hang=True)
    process = start_pull(roots, busybox_image.replace(registry.address, proxy.address))
    until(lambda: proxy.passed >= 300_000)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    assert time.monotonic() - begin < 25  # a server may be silent for 30 s
    assert_nothing_half(roots)


def test_one_bad_layer_ends_the_others_that_hang(
    roots: Roots, registry: Registry, pusher: Pusher, cutting: Callable[..., CuttingProxy]
) -> None:
    big = os.urandom(400_000).hex()
    pusher.image("hang", "latest", [tar(a=big), tar(b="1")], packed=[gzip.compress(tar(a=big)), b"nonsense" * 99])
    proxy = cutting(registry.address, [None, None, 100_000], hang=True)
    begin = time.monotonic()
    with pytest.raises(ImageError):
        get(roots, f"{proxy.address}/hang")
    assert time.monotonic() - begin < 25
    assert_nothing_half(roots)


def test_an_interrupt_ends_threads_that_hang(
    roots: Roots, registry: Registry, pusher: Pusher, cutting: Callable[..., CuttingProxy]
) -> None:
    bodies = [tar(a=os.urandom(400_000).hex()) for _ in range(3)]
    pusher.image("hanging", "latest", bodies)
    proxy = cutting(registry.address, [None, 150_000], hang=True)
    process = start_pull(roots, f"{proxy.address}/hanging")
    until(lambda: proxy.passed >= 300_000)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    assert time.monotonic() - begin < 25  # a server may be silent for 30 s
    assert_nothing_half(roots)
