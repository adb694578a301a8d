"""The code of the modules that a hot command uses, in one file a command, run without the import system.

`run` uses some 100 modules of crate. Finding each one's .pyc and taking it through the import system costs more than
running it (docs/decisions/0072). The first time, modules are imported in the ordinary way, and the order in which they
become complete is noted; then a file with their code in that order is written to the package's `__pycache__`, by who
may write there, and trusted exactly as the .pyc files beside it. The next time their code runs in that order: what
a module imports is there already. A file whose modules do not all have the sources that it knows is made anew.

    magic (32 bytes) · length of the table (4 bytes) · marshalled table · marshalled tuple of code objects
    table: (module, whether it is a package, mtime in ns and size of its source) for each, in order
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

#: the files in use; none where crate was not started by its __main__.py
_core: HotCore | None = None
_MAGIC = b"crate hot core 2" + MAGIC_NUMBER.rjust(16, b"\0")
_PYC_HEADER_BYTES = 16
_Module: type[ModuleType] = type(sys)


class HotCore:
    """The files of one package: `start` for what every command needs, then one a hot command."""

    def __init__(self, package: str) -> None:
        """`package`: the directory of the package crate."""
        self._above = os.path.dirname(package)
        self._directory = f"{package}/__pycache__"
        self._recorder: _Recorder | None = None
        self._noted: list[_Recorder] = []

    def path(self, group: str) -> str:
        """Where the file of a group lies."""
        return f"{self._directory}/hot.{sys.implementation.cache_tag}.{group}.bin"

    def load(self, group: str) -> None:
        """Makes the modules of a group, or begins to note what is imported, for `learn`."""
        try:
            fd = os.open(self.path(group), os.O_RDONLY | os.O_CLOEXEC)
            try:
                data = memoryview(os.read(fd, os.fstat(fd).st_size))
            finally:
                os.close(fd)
            start = len(_MAGIC) + 4
            end = start + int.from_bytes(data[len(_MAGIC) : start], "little")
            if data[: len(_MAGIC)] == _MAGIC and self._run(marshal.loads(data[start:end]), data[end:]):
                return
        except (OSError, ValueError, EOFError, TypeError):
            pass  # none yet, or a damaged one
        self.stop()
        self._recorder = _Recorder(group)
        self._noted.append(self._recorder)

    def _run(self, table: tuple[tuple[str, bool, int, int], ...], code: memoryview) -> bool:
        places = []
        for name, package, mtime, size in table:
            stem = f"{self._above}/{name.replace('.', '/')}"
            origin = f"{stem}/__init__.py" if package else f"{stem}.py"
            status = os.stat(origin)
            if status.st_mtime_ns != mtime or status.st_size != size:
                return False
            places.append((name, origin, stem if package else ""))
        waiting = {place[0]: place for place in places if place[0] not in sys.modules}
        for (name, _, _), body in zip(places, marshal.loads(code), strict=True):
            if name in waiting:
                _place(name, waiting)
                del waiting[name]
                exec(body, sys.modules[name].__dict__)
        return True

    def learn(self) -> None:
        """Writes the groups that were noted; does nothing where it may not write."""
        if not os.access(self._directory, os.W_OK) or sys.dont_write_bytecode:
            return
        for recorder in self._noted:
            try:
                self._write(recorder.group, recorder.complete)
            except OSError:
                pass  # a full disk: the ordinary way remains

    def stop(self) -> None:
        """Notes no more."""
        if self._recorder:
            self._recorder.stopped = True

    def forget(self) -> None:
        """Leaves what was noted to the process that this one was forked by."""
        self.stop()
        self._recorder = None
        self._noted.clear()

    def interrupt(self, group: str) -> tuple[_Recorder | None, bool]:
        """Goes over to another group, or to none (""); gives what `resume` needs."""
        former = self._recorder
        before = former, bool(former and former.stopped)
        self.stop()
        self._recorder = None
        if group:
            self.load(group)
        return before

    def resume(self, before: tuple[_Recorder | None, bool]) -> None:
        """Goes back to the group of before."""
        self.stop()
        self._recorder, stopped = before
        if self._recorder:
            self._recorder.stopped = stopped

    def _write(self, group: str, names: list[str]) -> None:
        found = [entry for name in names if (entry := _compiled(name, sys.modules[name]))]
        if len(found) != len(names):
            return
        table = marshal.dumps(tuple(entry[0] for entry in found))
        code = marshal.dumps(tuple(entry[1] for entry in found))
        data = b"".join([_MAGIC, len(table).to_bytes(4, "little"), table, code])
        temporary = f"{self.path(group)}.{os.getpid()}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            whole = os.write(fd, data) == len(data)
        finally:
            os.close(fd)
        if whole:
            os.rename(temporary, self.path(group))
        else:
            os.unlink(temporary)


def _place(name: str, waiting: dict[str, tuple[str, str, str]]) -> None:
    """Makes a module that is to be run, as the import system would; its package too, which is run later."""
    if name in sys.modules:
        return
    _, origin, search = waiting[name]
    parent, _, child = name.rpartition(".")
    if parent in waiting:
        _place(parent, waiting)
    elif parent not in sys.modules:
        __import__(parent)  # it was there already when the group was learned, by another way through the program
    module = _Module(name)
    space = module.__dict__
    space["__file__"] = origin
    space["__package__"] = name if search else parent
    if search:
        space["__path__"] = [search]
        space["__spec__"] = ModuleSpec(name, None, origin=origin, is_package=True)
    sys.modules[name] = module
    setattr(sys.modules[parent], child, module)


class _Recorder:
    """A finder that notes which modules of crate become complete, in their order."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.complete: list[str] = []
        self.stopped = False
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The ordinary finder's answer, with a loader that tells when it is done."""
        if name[:5] != "crate" or self.stopped:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Telling(spec.loader, self.complete)  # type: ignore[assignment]
        return spec


class _Telling:
    """A loader around another one."""

    def __init__(self, loader: Any, complete: list[str]) -> None:
        self._loader = loader
        self._complete = complete

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        """The other one makes it."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """The other one runs it."""
        self._loader.exec_module(module)
        self._complete.append(module.__name__)


def _compiled(name: str, module: ModuleType) -> tuple[tuple[str, bool, int, int], CodeType] | None:
    """A module's row of the table and its code, from its .pyc; None where there is none that fits its source."""
    spec: Any = module.__spec__
    if spec is None or not spec.has_location or not spec.cached:
        return None
    try:
        status = os.stat(spec.origin)
        with open(spec.cached, "rb") as file:
            data = file.read()
    except OSError:
        return None
    stamp = (int(status.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little") + (status.st_size & 0xFFFFFFFF).to_bytes(
        4, "little"
    )
    if data[:4] != MAGIC_NUMBER or data[4:_PYC_HEADER_BYTES] != bytes(4) + stamp:
        return None
    package = spec.submodule_search_locations is not None
    return (name, package, status.st_mtime_ns, status.st_size), marshal.loads(data[_PYC_HEADER_BYTES:])


def install(package: str) -> None:
    """Lets the files of the package serve `load`."""
    global _core
    _core = HotCore(package)


def load(group: str) -> None:
    """Makes the modules of a group, or begins to note what is imported. Without `install` it does nothing."""
    if _core:
        _core.load(group)


def stop() -> None:
    """What is imported from here on is imported while something is waited for: it must not be made earlier."""
    if _core:
        _core.stop()


class Apart:
    """`with Apart("bridge"):` what only some commands need is a group of its own, or of none ("")."""

    __slots__ = ("_before", "_group")

    def __init__(self, group: str) -> None:
        self._group = group

    def __enter__(self) -> None:
        self._before = _core.interrupt(self._group) if _core else None

    def __exit__(self, *_: object) -> None:
        if _core and self._before:
            _core.resume(self._before)


def forget() -> None:
    """For a forked process: what was noted is its parent's to learn."""
    if _core:
        _core.forget()


def learn() -> None:
    """Writes what was noted."""
    if _core:
        _core.learn()
