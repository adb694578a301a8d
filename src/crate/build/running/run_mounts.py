"""RUN --mount: each becomes a detached mount, made before the process and gone with it."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from posixpath import join, normpath
from typing import TYPE_CHECKING, Any

from crate.build.copying import Rules, select
from crate.build.language.dockerfile_error import Fault
from crate.build.records import dataclass, field
from crate.build.running.cache_mounts import take_caches
from crate.linux import mount as m
from crate.linux import namespace
from crate.linux.fs import O_PATH
from crate.ns.lending import lend
from crate.ns.single_id import owner_here
from crate.oci import digest as digests
from crate.runtime.mounts import MountOptions, apply_attributes, attach, bind_clone, file_system
from crate.runtime.paths import open_in_root
from crate.storage.durable import write_all
from crate.storage.rootfs import mount_rootfs, mount_upon
from crate.storage.tree.copy import copy_attributes, copy_content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crate.build.language import instructions as kinds
    from crate.build.running.mounts import Mount
    from crate.build.session import Session
    from crate.build.sources.trees import Trees
    from crate.build.state import State

_SECRETS, _AGENTS = "/run/secrets", "/run/buildkit/ssh_agent"
_FLAGS = ["nosuid", "nodev"]


@dataclass
class Opened:
    """What the process gets: entries of its spec with their detached mounts (-1: none), and variables."""

    entries: list[tuple[dict[str, Any], int]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)


class RunMounts:
    """The mounts of one RUN. Raises Fault for what cannot be: a missing secret that is required, an unknown source."""

    def __init__(self, session: Session, trees: Trees, run: kinds.Run, state: State) -> None:
        self._session = session
        self._trees = trees
        self._mounts = run.mounts
        self._program = run.program
        self._directory = state.config.get("WorkingDir") or "/"

    def inputs(self) -> list[Any]:
        """What the result of the step depends on: the files of binds, of secrets and agents their place alone."""
        return [self._input(mount) for mount in self._mounts]

    def _input(self, mount: Mount) -> list[Any]:
        facts: list[Any] = [mount.type, self._target(mount), mount.source, mount.read_only, mount.id, mount.env]
        facts += [mount.mode, mount.uid, mount.gid, mount.size_bytes]
        if mount.type == "bind":
            source = self._trees.source(mount.origin)
            identity = self._trees.identity(source)
            facts.append(self._digest(mount) if identity is None else identity)
        return facts

    def _digest(self, mount: Mount) -> str:
        """Of the files of the build context that a bind shows."""
        tree = self._trees.tree(self._trees.source(mount.origin))
        path = mount.source or "."
        found = tree.find(path)
        if found is None:
            raise Fault(f'"{mount.source}" not found in {tree.label}', mount.source)
        into = not found.is_directory
        return select(tree, [path], "/", is_directory=into, rules=Rules(), known=self._session.digests).digest

    def _target(self, mount: Mount) -> str:
        if mount.target:
            return "/" + normpath(join("/", self._directory, mount.target)).lstrip("/")
        if mount.type == "secret":
            return "" if mount.env else normpath(f"{_SECRETS}/{mount.id or os.path.basename(mount.source)}")
        return ""

    @contextmanager
    def open(self, place: str) -> Iterator[Opened]:
        """Makes them; `place` is an empty directory. Those that are only for a while are locked meanwhile."""
        opened = Opened()
        with ExitStack() as stack:
            agents = 0
            caches = [(mount, mount.id or self._target(mount)) for mount in self._mounts if mount.type == "cache"]
            taken = iter(take_caches(self._session, self._trees, caches, stack))
            for number, mount in enumerate(self._mounts):
                target = self._target(mount)
                if mount.type == "bind":
                    fd = self._bind(mount, f"{place}/{number}")
                    self._add(stack, opened, target, fd)
                elif mount.type == "cache":
                    self._add(stack, opened, target, next(taken))
                elif mount.type == "tmpfs":
                    size = [f"size={mount.size_bytes}"] if mount.size_bytes else []
                    entry = {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": [*_FLAGS, *size]}
                    opened.entries.append((entry, -1))
                elif mount.type == "secret":
                    self._secret(stack, opened, mount, target)
                else:
                    self._agent(stack, opened, mount, target or f"{_AGENTS}.{agents}")
                    agents += 1
            if self._program:
                fd = _memory_file(stack, self._program.text.encode("utf-8", "surrogateescape"), 0o755, 0, 0)
                self._add(stack, opened, f"/dev/pipes/{self._program.name}", fd)
            yield opened

    def _add(self, stack: ExitStack, opened: Opened, target: str, fd: int) -> None:
        # Whoever makes the container closes the descriptor; this copy keeps the mount until the step is over.
        kept = os.dup(fd)
        stack.callback(os.close, kept)
        opened.entries.append(({"destination": target, "type": "bind", "source": "", "options": ["bind"]}, fd))

    def _bind(self, mount: Mount, place: str) -> int:
        source = self._trees.source(mount.origin)
        tree, layers = self._trees.tree(source), self._trees.layers(source)
        os.mkdir(place)
        if mount.read_only:
            if layers is not None:
                made = self._part(tree.root_fd, place, mount)
            else:
                made = self._clone(self._filtered_once(mount) if tree.has_ignored else self._open(tree.root_fd, mount))
            apply_attributes(made, MountOptions(["ro"]), False)
            return made
        found = tree.find(mount.source or ".") if tree.has_ignored else None
        if found and found.is_directory:
            return self._clone(self._filtered(mount, place))  # a copy already, that nobody else sees
        for name in ("upper", "work", "root"):
            os.mkdir(f"{place}/{name}", 0o755)
        roots = self._session.roots
        if layers is not None:
            root_fd = mount_rootfs(roots, place, layers, volatile=True)
        else:
            root_fd = mount_upon(roots, place, os.readlink(f"/proc/self/fd/{tree.root_fd}"), volatile=True)
        try:
            return self._part(root_fd, f"{place}/root", mount)
        finally:
            os.close(root_fd)

    def _clone(self, fd: int) -> int:
        try:
            return bind_clone(fd, recursive=False)
        finally:
            os.close(fd)

    def _part(self, root_fd: int, place: str, mount: Mount) -> int:
        """A detached mount of what `source` leads to in a detached mount, of which kernels before 6.15 clone no part:
        a child attaches that one where nobody sees it."""

        def find() -> int:
            namespace.unshare(namespace.CLONE_NEWNS)
            m.mount("", "/", None, m.MS_REC | m.MS_PRIVATE)
            place_fd = os.open(place, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            attach(root_fd, place_fd)
            return bind_clone(open_in_root(root_fd, mount.source or ".", O_PATH), recursive=False)

        try:
            return lend(find)
        except OSError as error:
            raise Fault(f'cannot mount "{mount.source}": {error.strerror}', mount.source) from None

    def _open(self, root_fd: int, mount: Mount) -> int:
        try:
            return open_in_root(root_fd, mount.source or ".", O_PATH)
        except OSError as error:
            raise Fault(
                f'failed to compute cache key: "{mount.source}": {error.strerror}'.lower(), mount.source
            ) from None

    def _filtered_once(self, mount: Mount) -> int:
        """As `_filtered`, one copy for all steps of the build: nobody writes to it."""
        source = self._trees.source(mount.origin)
        found = self._trees.tree(source).find(mount.source or ".")
        if found is None or not found.is_directory:
            return self._filtered(mount, "")
        digest = digests.of(f"{source.name}\0{found.path}".encode("utf-8", "surrogateescape")).partition(":")[2]
        place = f"{self._session.staging}/filtered-{digest}"
        if not os.path.isdir(place):
            made = f"{place}.{os.getpid()}"
            os.mkdir(made)
            copy_fd = self._filtered(mount, made)
            try:
                os.rename(made, place)
            except OSError:
                return copy_fd  # another stage was faster: this copy is as good
            os.close(copy_fd)
        return os.open(place, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def _filtered(self, mount: Mount, place: str) -> int:
        """What the ignore file leaves of a directory of the context, as a copy."""
        tree = self._trees.tree(self._trees.source(mount.origin))
        found = tree.find(mount.source or ".")
        if found is None:
            raise Fault(f'"{mount.source}": not found', mount.source)
        if not found.is_directory:
            return self._open(tree.root_fd, mount)
        start = len(found.path) + 1 if found.path else 0
        for one in tree.walk(found.path):
            target = f"{place}/{one.path[start:]}"
            if one.is_directory:
                os.mkdir(target)
            elif one.status.st_mode & 0o170000 == 0o120000:
                os.symlink(tree.read_link(one.path), target)
            elif one.status.st_mode & 0o170000 == 0o100000:
                source_fd = tree.open_file(one.path)
                target_fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                copy_content(source_fd, target_fd, one.status.st_size)
                copy_attributes(source_fd, target_fd)
                os.close(source_fd)
                os.close(target_fd)
        return os.open(place, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def _secret(self, stack: ExitStack, opened: Opened, mount: Mount, target: str) -> None:
        name = mount.id or os.path.basename(mount.source or mount.target) or mount.env
        secret = self._session.request.secrets.get(name)
        if secret is None:
            if mount.required:
                raise Fault(f"secret {name}: not found", name)
            return
        value = secret.read()
        if mount.env:
            opened.environment[mount.env] = value.decode("utf-8", "surrogateescape")
            if not mount.target:
                return
        mode = 0o400 if mount.mode is None else mount.mode
        self._add(stack, opened, target, _memory_file(stack, value, mode, mount.uid or 0, mount.gid or 0))

    def _agent(self, stack: ExitStack, opened: Opened, mount: Mount, target: str) -> None:
        name = mount.id or "default"
        path = self._session.agents.get(name)
        if path is None:
            if mount.required:
                raise Fault(f"unset ssh forward key {name}", name)
            return
        fd = os.open(path, O_PATH | os.O_CLOEXEC)
        try:
            made = bind_clone(fd, recursive=False)
        finally:
            os.close(fd)
        self._add(stack, opened, target, made)
        opened.environment.setdefault("SSH_AUTH_SOCK", target)


def _memory_file(stack: ExitStack, content: bytes, mode: int, uid: int, gid: int) -> int:
    """A detached mount of a file that is in memory alone."""
    file_fs = file_system("tmpfs", "tmpfs", MountOptions(["nosuid", "nodev", "mode=700"]))
    try:
        fd = os.open("content", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=file_fs)
        try:
            write_all(fd, content)
            os.fchown(fd, *owner_here(uid, gid))
            os.fchmod(fd, mode)
        finally:
            os.close(fd)
        return m.open_tree(file_fs, "content", m.OPEN_TREE_CLONE)
    finally:
        os.close(file_fs)
