"""Shows a pull, push or load on standard error: bars on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import os

from crate.cli import output
from crate.image.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_SHOWN_ID = 12


def display(quiet: bool = False) -> Display:
    """What `with` gives a Progress for; at its end all bars stand still and their thread has ended."""
    if quiet:
        return Display()
    is_terminal = os.isatty(2) and os.environ.get("TERM", "dumb") != "dumb"
    return _Moving() if is_terminal else _Plain()


class Display(Progress):
    """Shows nothing."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The end of the show."""

    def note(self, text: str) -> None:
        """Even the quiet are told what they should know."""
        output.write(f"Warning: {text}\n", 2)


class _Plain(Display):
    """One line an event, as podman writes where there is no terminal."""

    def begin(self, subject: str) -> None:
        output.write(f"Trying to pull {subject}...\n", 2)

    def layers(self, sizes: dict[str, int]) -> None:
        output.write("Getting image source signatures\n", 2)

    def exists(self, digest: str) -> None:
        output.write(f"Copying blob {_short(digest)} skipped: already exists\n", 2)

    def done(self, digest: str) -> None:
        output.write(f"Copying blob {_short(digest)} done\n", 2)

    def config(self, image_id: str) -> None:
        output.write(f"Copying config {image_id[:_SHOWN_ID]} done\n", 2)

    def storing(self) -> None:
        output.write("Writing manifest to image destination\n", 2)


class _Moving(Display):
    """A bar a layer, by rich; its import and its thread wait until there is something to show."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}

    def begin(self, subject: str) -> None:
        output.write(f"Trying to pull {subject}...\n", 2)

    def layers(self, sizes: dict[str, int]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as Bars

        self._stop()
        self._bars = Bars(
            TextColumn("Copying blob {task.fields[name]}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TextColumn("{task.fields[state]}"),
            console=Console(stderr=True),
        )
        self._tasks = {
            digest: self._bars.add_task("", total=size, name=_short(digest), state="") for digest, size in sizes.items()
        }
        self._bars.start()

    def resize(self, digest: str, size: int) -> None:
        if self._bars:
            self._bars.reset(self._tasks[digest], total=size)

    def exists(self, digest: str) -> None:
        self._finish(digest, "already exists")

    def received(self, digest: str, count: int) -> None:
        if self._bars:
            self._bars.advance(self._tasks[digest], count)

    def done(self, digest: str) -> None:
        self._finish(digest, "done")

    def _finish(self, digest: str, state: str) -> None:
        if self._bars:
            task = self._tasks[digest]
            total = next(known.total for known in self._bars.tasks if known.id == task)
            self._bars.update(task, completed=total, state=state)

    def storing(self) -> None:
        self._stop()
        output.write("Writing manifest to image destination\n", 2)

    def note(self, text: str) -> None:
        if self._bars:
            self._bars.console.print(f"Warning: {text}", markup=False, highlight=False)
        else:
            super().note(text)

    def _stop(self) -> None:
        if self._bars:
            self._bars.stop()
            self._bars = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()


def _short(digest: str) -> str:
    return digest.partition(":")[2][:_SHOWN_ID]
