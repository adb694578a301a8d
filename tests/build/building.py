"""Builds by the real program, from a Dockerfile and the files of a context; and a look at what came out."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate, Result

BASE = "crate.local/busybox"


class Builder:
    """A context in a directory, and a crate that builds it."""

    def __init__(self, crate: Crate, place: Path) -> None:
        self.crate = crate
        self.context = place / "context"
        self.context.mkdir(mode=0o755)

    def write(self, name: str, content: str, mode: int = 0o644) -> Path:
        """A file of the context."""
        path = self.context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode)
        return path

    def try_build(self, dockerfile: str, *options: str, **settings: Any) -> Result:
        """How `build` ended; without a network, which most builds here do without."""
        self.write("Dockerfile", dockerfile.replace("BASE", BASE))
        network = () if "--network" in options else ("--network", "none")
        return self.crate("build", *network, *options, str(self.context), **settings)

    def build(self, dockerfile: str, *options: str) -> str:
        """The output of a build that succeeds."""
        result = self.try_build(dockerfile, *options)
        assert result.status == 0, result
        return result.out

    def image(self, dockerfile: str, *options: str) -> str:
        """The id of the image."""
        return self.build(dockerfile, *options).split()[-1]

    def run(self, image: str, *command: str) -> str:
        """What a container of an image says."""
        return self.crate.ok("run", "--rm", "--network", "none", image, *command)

    def config(self, image: str) -> dict[str, Any]:
        """The image config (image-spec config.md)."""
        (found,) = json.loads(self.crate.ok("image", "inspect", image))
        layout = self.crate.root / "images"
        config = json.loads((layout / "blobs/sha256" / found["Id"].removeprefix("sha256:")).read_text())
        assert isinstance(config, dict)
        return config

    def layers(self, image: str) -> list[dict[str, tarfile.TarInfo]]:
        """The archives of the layers, lowest first: name -> member."""
        found = []
        for diff_id in self.config(image)["rootfs"]["diff_ids"]:
            blob = self.crate.root / "images/blobs/sha256" / diff_id.removeprefix("sha256:")
            with tarfile.open(fileobj=io.BytesIO(blob.read_bytes())) as archive:
                found.append({member.name: member for member in archive})
        return found

    def created_by(self, image: str) -> list[str]:
        """The steps of the history, without those of the base image."""
        return [entry["created_by"] for entry in self.config(image)["history"]][1:]
