"""Layers and containers made for a test: from archives, through the real unpacking."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from crate.storage import containers, layers
from crate.storage.layers import LayerUnpack
from storage.archives import archive

if TYPE_CHECKING:
    from crate.storage.roots import Roots


def diff_id(data: bytes) -> str:
    """The digest of an archive."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def stack(roots: Roots, *members: list[bytes]) -> list[str]:
    """Publishes one layer for each list of members, bottom first; gives their chain ids."""
    archives = [archive(*parts) for parts in members]
    chains = layers.chain_ids(diff_id(data) for data in archives)
    made = []
    for data, chain, parent in zip(archives, chains, ["", *chains], strict=False):
        if not layers.exists(roots, chain):
            layer = LayerUnpack(roots, chain, diff_id(data), parent)
            with layer:
                layer.write(data)
                layer.finish()
            made.append(layer)
    layers.publish(roots, made)
    return chains


def bare_stack(roots: Roots, count: int) -> list[str]:
    """Layers by the hundred, each with one file of its own and one that all have, made without unpacking."""
    chains = []
    for index in range(count):
        chain = hashlib.sha256(b"%d" % index).hexdigest()
        place = Path(roots.graphroot, "layers", chain)
        (place / "diff").mkdir(parents=True)
        (place / "diff" / f"own{index}").touch()
        (place / "diff" / "all").write_text(str(index))
        (place / "layer.json").write_text("{}")
        layers.make_alias(f"{roots.graphroot}/layers", chain, str(place))
        chains.append(chain)
    return chains


def container(roots: Roots, chains: list[str]) -> str:
    """The directory of a fresh container."""
    container_id = containers.new_id()
    files = {"config.json": "{}", "container.json": "{}"}
    return containers.create(
        roots, container_id, f"test-{container_id[:8]}", lambda _stage: files, layers=chains
    ).directory


def beneath(mount_fd: int) -> Path:
    """The path of what is mounted detached."""
    return Path(f"/proc/{os.getpid()}/fd/{mount_fd}")
