"""Archives and images made up byte by byte."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import Any

from crate.oci import platform


def layer_tar(**files: str) -> bytes:
    return tar([(name, text.encode()) for name, text in files.items()])


def tar(members: list[tuple[str, Any]]) -> bytes:
    """An archive of (name, bytes), or (name, ("link", target)) for a symbolic link."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, body in members:
            entry = tarfile.TarInfo(name)
            if isinstance(body, tuple):
                entry.type, entry.linkname = tarfile.SYMTYPE, body[1]
                archive.addfile(entry)
            else:
                entry.size = len(body)
                archive.addfile(entry, io.BytesIO(body))
    return stream.getvalue()


def config_of(*tars: bytes) -> bytes:
    return json.dumps(
        {
            "architecture": platform.host().architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(body).hexdigest() for body in tars]},
        }
    ).encode()


def manifest_of(config: str, layers: list[str], *tags: str) -> bytes:
    return json.dumps([{"Config": config, "RepoTags": list(tags) or None, "Layers": layers}]).encode()


def docker_archive(*images: tuple[list[str], list[bytes]]) -> bytes:
    """What `docker save` would write of these images: names, and tars of layers, lowest first.

    A step of history belongs to each layer, so an image whose layers begin another's is its parent.
    """
    members: list[tuple[str, Any]] = []
    entries = []
    for number, (names, tars) in enumerate(images):
        members += [(f"{number}-{layer}", body) for layer, body in enumerate(tars)]
        config = {
            **json.loads(config_of(*tars)),
            "created": f"2024-01-0{number + 1}T00:00:00Z",
            "history": [{"created_by": hashlib.sha256(body).hexdigest()} for body in tars],
        }
        members.append((f"{number}.json", json.dumps(config).encode()))
        layers = [f"{number}-{layer}" for layer in range(len(tars))]
        entries.append({"Config": f"{number}.json", "RepoTags": names, "Layers": layers})
    return tar([*members, ("manifest.json", json.dumps(entries).encode())])
