"""What a pull, push or load tells about itself; this one keeps it to itself, crate.cli.progress shows it."""

from __future__ import annotations


class Progress:
    """Called from several threads at once. A layer is named by the digest of its blob; sizes are bytes."""

    def begin(self, subject: str) -> None:
        """A registry is asked: `subject` is the full reference."""

    def layers(self, sizes: dict[str, int]) -> None:
        """The image is known: its blobs, lowest first."""

    def resize(self, digest: str, size: int) -> None:
        """The layer was compressed, if need be, and now goes out: so many bytes of it."""

    def exists(self, digest: str) -> None:
        """The layer is at its destination already."""

    def received(self, digest: str, count: int) -> None:
        """So many more bytes of the layer have come, or gone."""

    def done(self, digest: str) -> None:
        """The layer is whole at its destination."""

    def config(self, image_id: str) -> None:
        """All layers are there, and the image's configuration."""

    def storing(self) -> None:
        """They are written to disk."""

    def end(self, image_id: str) -> None:
        """The image may be used."""

    def note(self, text: str) -> None:
        """Something that the user should know."""
