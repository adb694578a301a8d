"""Pulls for tests: images pushed byte by byte under control, what a pull tells, what it may leave."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crate.image import pull
from crate.image.progress import Progress
from crate.oci import platform
from crate.settings import Settings
from crate.storage import image_record, layers
from crate.storage.roots import Roots
from images.server import Registry

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


class Recorder(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.bytes = 0
        self.notes: list[str] = []

    def exists(self, digest: str) -> None:
        self.events.append(("exists", digest))

    def done(self, digest: str) -> None:
        self.events.append(("done", digest))

    def received(self, digest: str, count: int) -> None:
        self.bytes += count

    def note(self, text: str) -> None:
        self.notes.append(text)


def get(roots: Roots, text: str, progress: Progress | None = None, **options: Any) -> Any:
    return pull.pull(roots, Settings(), text, options, progress)


def files_of(roots: Roots, record: Any) -> Path:
    return Path(layers.diff_path(roots, record["layers"][-1]))


def assert_nothing_half(roots: Roots) -> None:
    """No staging, no record, no name; blobs may wait for the next try."""
    root = Path(roots.graphroot)
    assert os.listdir(root / "stage") == []
    assert image_record.list_ids(roots) == []
    assert [name for name in os.listdir(root / "layers") if name != "l"] == []
    references = root / "images" / "references"
    assert not references.exists() or os.listdir(references) == []


class Pusher:
    """Pushes made-up images, byte by byte under control."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def blob(self, repository: str, body: bytes) -> dict[str, Any]:
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        start = urllib.request.Request(
            f"http://{self.registry.address}/v2/{repository}/blobs/uploads/", b"", method="POST"
        )
        with urllib.request.urlopen(start) as answer:
            location = answer.headers["Location"]
        finish = urllib.request.Request(f"{location}&digest={digest}", body, method="PUT")
        finish.add_header("Content-Type", "application/octet-stream")
        urllib.request.urlopen(finish).close()
        return {"digest": digest, "size": len(body)}

    def document(self, repository: str, tag: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(value).encode()
        status, told = self.registry.request("PUT", f"{repository}/manifests/{tag}", body, **{"Content-Type": kind})
        assert status == 201, told
        return {"mediaType": kind, "digest": "sha256:" + hashlib.sha256(body).hexdigest(), "size": len(body)}

    def image(self, repository: str, tag: str, tars: list[bytes], **changes: Any) -> dict[str, Any]:
        """An image of gzip layers; `changes` go into its config, `packed` replaces the layers' bytes."""
        packed = changes.pop("packed", None) or [gzip.compress(body, 1, mtime=0) for body in tars]
        config = {
            "architecture": platform.host().architecture,
            "os": "linux",
            "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(body).hexdigest() for body in tars]},
            **changes,
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                **self.blob(repository, json.dumps(config).encode()),
            },
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **self.blob(repository, body)}
                for body in packed
            ],
        }
        return self.document(repository, tag, MANIFEST_TYPE, manifest)


def start_pull(roots: Roots, name: str) -> subprocess.Popen[str]:
    """A pull in a process of its own, which prints the id."""
    script = (
        "import sys; from crate.storage.roots import open_roots; from crate.settings import Settings;"
        "from crate.image import pull; print(pull.pull(open_roots(*sys.argv[1:3]), Settings(), sys.argv[3])['id'])"
    )
    command = [sys.executable, "-c", script, roots.graphroot, roots.runroot, name]
    environment = {**os.environ, "PYTHONPATH": str(Path(pull.__file__).parents[2])}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def get_size(registry: Registry, name: str) -> int:
    _, body = registry.request("GET", "busybox/manifests/latest", Accept=MANIFEST_TYPE)
    return int(json.loads(body)["layers"][0]["size"])


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
