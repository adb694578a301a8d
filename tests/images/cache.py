"""Where made images stay: outside the checkout, under the digest of their recipes, made once for all workers."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from images import recipes
from images.layers import Layout, architecture
from images.server import Registry

SYSTEM_CACHE = Path("/var/cache/crate-tests")
UNUSED_SECONDS = 7 * 86400

Recipe = Callable[[Layout, Path], None]
FAMILIES: dict[str, tuple[Recipe, tuple[str, ...]]] = {
    "busybox": (recipes.make_busybox, ("busybox:latest",)),
    "debian": (recipes.make_debian, ("debian:bookworm", "nginx:latest", "redis:latest")),
}


def cache_directory() -> Path:
    """`$CRATE_TEST_CACHE`, else /var/cache/crate-tests for root, else the user's own cache."""
    chosen = os.environ.get("CRATE_TEST_CACHE")
    if chosen:
        return Path(chosen)
    if os.geteuid() == 0:
        return SYSTEM_CACHE
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crate-tests"


def family(name: str) -> Path:
    """The directory of a family of images, made when it is not there yet.

    It holds `layout` (an OCI image layout), `registry` (the storage of a docker-registry that has them all) and
    what the recipe left, such as `debian`, the tree of the base image. Treat all of it as read-only.
    """
    made = f"{name}-{_recipe_digest(name)}"
    for place in (cache_directory(), SYSTEM_CACHE):
        if (place / made).is_dir():
            os.utime(place / made) if os.access(place / made, os.W_OK) else None
            return place / made
    place = cache_directory()
    place.mkdir(parents=True, exist_ok=True)
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / made).is_dir():
            _sweep(place, name)
            _make(name, place / made)
    return place / made


def _recipe_digest(name: str) -> str:
    """Changes with the code that makes images, the architecture and, for busybox, the host's binary."""
    digest = hashlib.sha256(f"{name} {architecture()}".encode())
    for source in ("layers.py", "recipes.py", "cache.py"):
        digest.update((Path(__file__).parent / source).read_bytes())
    if name == "busybox":
        digest.update(recipes.busybox_binary().read_bytes())
    return digest.hexdigest()[:16]


def _make(name: str, target: Path) -> None:
    recipe, images = FAMILIES[name]
    work = target.with_name(f"{target.name}.tmp")
    work.mkdir()
    layout = Layout(work / "layout")
    recipe(layout, work)
    layout.finish()
    registry = Registry(work / "registry")
    try:
        for image in images:
            registry.push(work / "layout", image)
    finally:
        registry.stop()
    for image in images:
        shutil.rmtree(work / image.partition(":")[0] / "upper", ignore_errors=True)
    work.rename(target)


def _sweep(place: Path, name: str) -> None:
    """Removes what an interrupted run left (we hold the lock) and what no run has used for a week."""
    for old in place.glob(f"{name}-*"):
        if old.suffix == ".tmp" or time.time() - old.stat().st_mtime > UNUSED_SECONDS:
            for merged in old.glob("*/merged"):
                if merged.is_mount():
                    subprocess.run(["umount", "-l", str(merged)], check=True)
            shutil.rmtree(old)
