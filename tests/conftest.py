"""The `requires` marker and the fixtures that bring real things: a registry, images, a user, crate itself."""

from __future__ import annotations

import compileall
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import abilities
import rootless
from abilities import disk_directory, need
from claims import Claims
from images.cache import family
from images.server import Registry, copy_storage
from leftovers import Traces
from program import Crate, until
from users import User, make_user, myself, remove_user

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

QUIET_SECONDS = 60.0
_LONGEST = ("tests/vm/", "tests/ns/test_suite_as_user.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--all`: as `./test --all`; `--rootless`: see tests/as_user.py."""
    parser.addoption("--all", action="store_true", help="run the tests marked slow too")
    parser.addoption("--rootless", action="store_true", help="be content with an ordinary user where root is wanted")


def pytest_configure(config: pytest.Config) -> None:
    """Lets the abilities, of workers too, know of --rootless.

    A signal that who started pytest ignores (nohup, a job in the background) would be ignored by what the tests start,
    too. A handler is not handed on by execve(2), as being ignored is.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGTSTP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    if not hasattr(config, "workerinput"):  # or a first import would write its file while strace counts system calls
        compileall.compile_dir(abilities.CHECKOUT / "src", quiet=2)
    if config.getoption("--rootless"):
        os.environ["CRATE_TEST_ROOTLESS"] = "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the slow tests out, unless they are asked for by --all, -m or name; begins with the longest.

    A virtual machine that comes last keeps one worker busy for minutes, and the others have nothing to do.
    """
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))
    if config.getoption("--all") or config.getoption("-m") or any("::" in word for word in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips or fails what the host cannot do, before any fixture is made."""
    reason = None
    if abilities.rootless():
        reason = rootless.why_not(item.nodeid.removeprefix("tests/"), abilities.why_not("delegation") is None)
    if reason:
        pytest.skip(f"an ordinary user: {reason}")
    for marker in item.iter_markers("requires"):
        need(*marker.args)


@pytest.fixture(scope="session", autouse=True)
def _spread(tmp_path_factory: pytest.TempPathFactory) -> None:
    abilities.spread(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A docker-registry on a free port of 127.0.0.1, with a storage of its own: tests may push what they like."""
    need("registry", "skopeo")
    storage = Path(tempfile.mkdtemp(prefix="crate-registry-", dir=disk_directory())) / "storage"
    server = Registry(storage)
    yield server
    server.stop()
    shutil.rmtree(storage.parent)


@pytest.fixture(scope="session")
def busybox_image(registry: Registry) -> str:
    """`127.0.0.1:PORT/busybox:latest`: one layer, the host's static busybox."""
    need("busybox")
    copy_storage(family("busybox") / "registry", registry.storage)
    return registry.reference("busybox")


@pytest.fixture(scope="session")
def debian_family(registry: Registry) -> Path:
    """The directory of Debian and what stands on it (tests/images/cache.py), its images in the registry."""
    need("debootstrap", "network")
    made = family("debian")
    copy_storage(made / "registry", registry.storage)
    return made


@pytest.fixture(scope="session")
def debian_image(registry: Registry, debian_family: Path) -> str:
    """`127.0.0.1:PORT/debian:bookworm`: debootstrap's minbase, 120 MB in one layer."""
    return registry.reference("debian:bookworm")


@pytest.fixture(scope="session")
def nginx_image(registry: Registry, debian_family: Path) -> str:
    """`127.0.0.1:PORT/nginx:latest`: a layer on Debian's; serves port 80, logs to stdout and stderr."""
    return registry.reference("nginx")


@pytest.fixture(scope="session")
def redis_image(registry: Registry, debian_family: Path) -> str:
    """`127.0.0.1:PORT/redis:latest`: a layer on Debian's; user redis, volume /data, port 6379."""
    return registry.reference("redis")


@pytest.fixture(scope="session")
def unprivileged_user() -> Iterator[User]:
    """An ordinary user with 65536 subordinate ids and a home: a new one where we are root, else ourselves."""
    need("unprivileged-user")
    user = make_user(disk_directory()) if os.geteuid() == 0 else myself()
    yield user
    if user.become:
        remove_user(user)


@pytest.fixture
def crate(more_settings: str) -> Iterator[Crate]:
    """crate with its own roots, bridge, table and cgroup parent; the test fails when anything of it stays behind."""
    yield from _crate(more_settings, None)


@pytest.fixture
def other_crate(more_settings: str) -> Iterator[Crate]:
    """A second one, as that of another host."""
    yield from _crate(more_settings, None)


@pytest.fixture(scope="session")
def busybox_store() -> Iterator[Crate]:
    """A crate that has pulled `crate.local/busybox`; its roots are copied, and not touched."""
    yield from _store(None)


@pytest.fixture(scope="session")
def rootless_busybox_store(unprivileged_user: User) -> Iterator[Crate]:
    """The same of an ordinary user."""
    yield from _store(unprivileged_user)


@pytest.fixture
def busybox(crate: Crate, busybox_store: Crate) -> str:
    """`crate.local/busybox`, already in the store of `crate`, so that `run` is silent about it."""
    _copy_store(busybox_store, crate)
    return "crate.local/busybox"


@pytest.fixture
def rootless_crate(unprivileged_user: User, more_settings: str) -> Iterator[Crate]:
    """The same for an ordinary user."""
    yield from _crate(more_settings, unprivileged_user)


@pytest.fixture
def rootless_busybox(rootless_crate: Crate, rootless_busybox_store: Crate) -> str:
    """The image in the store of `rootless_crate`."""
    _copy_store(rootless_busybox_store, rootless_crate)
    return "crate.local/busybox"


@pytest.fixture
def claims() -> Iterator[Claims]:
    """Subnets, wires and ports that are the test's alone until it ends."""
    made = Claims()
    yield made
    made.release()


@pytest.fixture
def subnet(claims: Claims) -> str:
    """A subnet, 10.A.B.0/24, that no pool of anybody has."""
    first, second = claims.subnet()
    return f"10.{100 + first}.{second}.0/24"


@pytest.fixture
def more_settings() -> str:
    """More lines for the configuration file; a module overrides it. 127.0.0.1 is plain HTTP anyway."""
    return ""


def _crate(more_settings: str, user: User | None) -> Generator[Crate]:
    mark = secrets.token_hex(3)
    place = Path(tempfile.mkdtemp(prefix="crate-test-", dir=user.home if user else disk_directory()))
    # short: a socket's path has at most 107 bytes; on tmpfs where there is one, as /run is
    run = Path(tempfile.mkdtemp(prefix="ct-", dir="/run" if os.access("/run", os.W_OK) and not user else "/tmp"))
    (place / "home").mkdir()
    bridge, table, parent = f"ct{mark}", f"crate_test_{mark}", f"/crate-test-{mark}"
    claims = Claims()
    first, second = claims.subnet()
    pools = f'"10.{200 + first}.{second}.0/24", "10.{150 + first}.{second}.0/24/28"'
    settings = SETTINGS.format(bridge=bridge, table=table, parent=parent, pools=pools, place=place, run=run)
    if abilities.rootless() and user is None:
        settings += 'rootless = "bridge"\n'  # the networks that root's tests expect
    crate = Crate(place, run / "run", mark, settings + more_settings, user)
    if user and user.become:
        for path in (place, run, *place.iterdir()):
            os.chown(path, user.uid, user.gid)
    traces, clean = Traces(crate, bridge, table, parent), False
    try:
        yield crate
        crate.kill_started()
        if _names(crate.root / "containers"):
            crate("rm", "--all", "--force", "--time", "0")
        if _names(crate.root / "networks") - {"podman.json"}:  # the default one stays anyway
            crate("network", "prune", "--force")
        try:
            until(lambda: not traces.found(), QUIET_SECONDS)
            clean = True
        except AssertionError:
            pytest.fail("left behind:\n" + "\n".join(traces.found()))
    finally:
        crate.kill_started()
        traces.destroy(nothing_found=clean)
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(run, ignore_errors=True)
        claims.release()


def _store(user: User | None) -> Iterator[Crate]:
    made = _crate("", user)
    crate = next(made)
    crate.ok("pull", "--quiet", "crate.local/busybox")
    yield crate
    made.close()


def _copy_store(source: Crate, crate: Crate) -> None:
    for there, here in ((source.root, crate.root), (source.runroot, crate.runroot)):
        subprocess.run(["cp", "-a", "--reflink=auto", f"{there}/.", here], check=True)


def _names(directory: Path) -> set[str]:
    """What is in a directory, if it is there."""
    return set(os.listdir(directory)) if directory.is_dir() else set()


SETTINGS = """
[storage]
root = "{place}/root"
runroot = "{run}/run"

[containers]
cgroup_parent = "{parent}"

[network]
bridge = "{bridge}"
table = "{table}"
address_pools = [{pools}]
lease_root = "{run}/addresses"
cni_config_directory = "{place}/cni"
"""
