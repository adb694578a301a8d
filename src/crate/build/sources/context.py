"""Build contexts: where the Dockerfile and the files that COPY takes come from.

    a directory            as it is, what its ignore file leaves of it
    -                      standard input: a tar archive (plain, gzip, bzip2, xz, zstd), or a Dockerfile without context
    http:// https://       a tar archive, or a Dockerfile without context
    a git repository       see git_source

Archives and repositories are unpacked into a staging that goes with the context. `-f -` reads the Dockerfile from
standard input. An ignore file is `<Dockerfile>.containerignore`, `<Dockerfile>.dockerignore`, `.containerignore` or
`.dockerignore`: the first one that is there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from crate.build.records import dataclass, field
from crate.build.sources import git_source, ignore
from crate.build.sources.archives import is_archive_head
from crate.build.sources.tree import Tree
from crate.errors import NotFoundError, UsageError
from crate.runtime.paths import open_in_root
from crate.storage import staging
from crate.storage.trash import remove_tree
from crate.storage.unpack import Unpacker

if TYPE_CHECKING:
    from collections.abc import Callable

    from crate.registry.endpoint import Settings
    from crate.storage.roots import Roots

DOCKERFILES = ("Containerfile", "Dockerfile", "dockerfile")
LABEL = "the build context"
_DOCKERFILE_MAX = 16 << 20
_IGNORE_MAX = 1 << 20
_ARCHIVE_MAX = 64 << 30
_PIECE = 1 << 20
_HEAD = 512
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass
class Context:
    """A tree and, for the main context, the Dockerfile (`dockerfile_name` is how messages call it). Close it.

    `is_foreign`: the Dockerfile is not a file of this host, nor what somebody typed.
    """

    tree: Tree
    dockerfile: bytes = b""
    dockerfile_name: str = ""
    stagings: list[str] = field(default_factory=list)
    is_foreign: bool = False

    def close(self) -> None:
        """Closes the tree, and removes what was unpacked for it."""
        self.tree.close()
        os.close(self.tree.root_fd)
        for path in self.stagings:
            remove_tree(os.path.dirname(path), os.path.basename(path))
        self.stagings.clear()


class ContextOpener:
    """Opens contexts for one build. `stdin_fd` is read at most once."""

    def __init__(self, roots: Roots, settings: Settings, stdin_fd: int = 0) -> None:
        self._roots = roots
        self._settings = settings
        self._stdin_fd = stdin_fd

    def main(self, place: str, dockerfile: str = "", ignore_file: str = "") -> Context:
        """The main context. `dockerfile` is -f ("" for none), `ignore_file` --ignorefile.

        Raises UsageError, NotFoundError; what the unpacking, git or the network raise.
        """
        if place == "-" and dockerfile == "-":
            raise UsageError("invalid argument: can't use stdin for both build context and dockerfile")
        context = self._open(place, is_main=True)
        try:
            if not context.dockerfile:
                self._find_dockerfile(context, place, dockerfile)
            self._read_ignore(context, dockerfile, ignore_file)
        except BaseException:
            context.close()
            raise
        return context

    def named(self, name: str, place: str) -> Context:
        """The tree of a --build-context that is no image (`image_of`)."""
        context = self._open(place, is_main=False)
        context.tree.label = f"build context {name}"
        try:
            self._read_ignore(context, "", "")
        except BaseException:
            context.close()
            raise
        return context

    def _open(self, place: str, is_main: bool) -> Context:
        if place == "-" and is_main:
            return self._streamed(lambda feed: _copy(self._stdin_fd, feed), "standard input")
        source = git_source.parse_git(place, as_context=True)
        if source is not None:
            return self._cloned(source)
        if place.startswith(("http://", "https://")):
            from crate.registry.download import download, shown

            context = self._streamed(
                lambda feed: download(place, feed, self._settings, limit=_ARCHIVE_MAX), shown(place), is_main
            )
            context.is_foreign = bool(context.dockerfile_name)
            return context
        return Context(Tree(_open_directory(place), LABEL, resets_owner=True))

    def _cloned(self, source: git_source.GitSource) -> Context:
        stage = self._stage()
        try:
            git_source.fetch(source, stage, keep_git_dir=bool(source.keep_git_dir))
            root_fd = os.open(stage, _DIRECTORY)
            if source.directory:
                outer, root_fd = root_fd, -1
                try:
                    root_fd = open_in_root(outer, source.directory, _DIRECTORY)
                except OSError as error:
                    raise NotFoundError(
                        f"cannot use directory {source.directory} of {source}: {os.strerror(error.errno or 0)}"
                    ) from None
                finally:
                    os.close(outer)
        except BaseException:
            remove_tree(os.path.dirname(stage), os.path.basename(stage))
            raise
        return Context(Tree(root_fd, LABEL, resets_owner=True), stagings=[stage])

    def _streamed(
        self, produce: Callable[[Callable[[bytes], None]], object], name: str, is_main: bool = True
    ) -> Context:
        """An archive that is unpacked as it comes, or else a Dockerfile and an empty tree."""
        stage = self._stage()
        receiver = _Receiver(stage, name, self._roots.rootless)
        try:
            produce(receiver.feed)
            dockerfile = receiver.finish()
            if dockerfile is not None and not is_main:
                raise UsageError(f"cannot use {name} as a build context: it is no archive")
            root_fd = os.open(stage, _DIRECTORY)
        except BaseException:
            receiver.abort()
            remove_tree(os.path.dirname(stage), os.path.basename(stage))
            raise
        tree = Tree(root_fd, LABEL, resets_owner=True)
        return Context(tree, dockerfile or b"", name if dockerfile is not None else "", [stage])

    def _stage(self) -> str:
        path = staging.make(self._roots, f"context-{os.urandom(8).hex()}")
        os.chmod(path, 0o755)
        return path

    def _find_dockerfile(self, context: Context, place: str, given: str) -> None:
        if given == "-":
            content = bytearray()
            _copy(self._stdin_fd, content.extend, _DOCKERFILE_MAX)
            context.dockerfile, context.dockerfile_name = bytes(content), "Dockerfile on standard input"
            return
        if given.startswith(("http://", "https://")):
            from crate.registry.download import download, shown

            content = bytearray()
            download(given, content.extend, self._settings, limit=_DOCKERFILE_MAX)
            context.dockerfile, context.dockerfile_name = bytes(content), shown(given)
            context.is_foreign = True
            return
        is_local = not context.stagings
        if given and is_local and os.path.exists(given):
            context.dockerfile, context.dockerfile_name = read_dockerfile(given), given
            return
        names = (given,) if given else DOCKERFILES
        for name in names:
            found = context.tree.find(name)
            if found is not None and not found.is_directory:
                context.dockerfile = _read(context.tree, found.path, _DOCKERFILE_MAX)
                context.dockerfile_name = os.path.join(place, name) if is_local and place != "." else name
                context.is_foreign = not is_local
                return
        if given:
            raise NotFoundError(f"cannot read {given}: no such file or directory, also not in {context.tree.label}")
        where = place if is_local else context.tree.label
        raise NotFoundError(
            f"no Containerfile or Dockerfile specified or found in {where}", "name it with --file, or -f - for stdin"
        )

    def _read_ignore(self, context: Context, dockerfile: str, ignore_file: str) -> None:
        """Puts the patterns of the ignore file in force."""
        if ignore_file:
            context.tree.ignore(ignore.parse(read_dockerfile(ignore_file), ignore_file))
            return
        beside = dockerfile if dockerfile not in ("", "-") and "://" not in dockerfile else ""
        if beside and not context.stagings:
            for suffix in (".containerignore", ".dockerignore"):
                if os.path.isfile(beside + suffix):
                    context.tree.ignore(ignore.parse(read_dockerfile(beside + suffix), beside + suffix))
                    return
        default = [f"{name}{suffix}" for name in DOCKERFILES for suffix in (".containerignore", ".dockerignore")]
        beside_names = [f"{beside}.containerignore", f"{beside}.dockerignore"] if beside else default
        for name in (*beside_names, ".containerignore", ".dockerignore"):
            found = context.tree.find(name)
            if found is not None and not found.is_directory:
                context.tree.ignore(ignore.parse(_read(context.tree, found.path, _IGNORE_MAX), name))
                return


class _Receiver:
    """Takes a stream whose kind its first bytes tell."""

    def __init__(self, directory: str, name: str, rootless: bool) -> None:
        self._directory = directory
        self._name = name
        self._rootless = rootless
        self._head = bytearray()
        self._unpacker: Unpacker | None = None
        self._is_archive: bool | None = None

    def feed(self, piece: bytes) -> None:
        if self._unpacker is not None:
            self._unpacker.write(piece)
            return
        self._head += piece
        if self._is_archive is None and len(self._head) >= _HEAD:
            self._decide()
        if not self._unpacker and len(self._head) > _DOCKERFILE_MAX:
            raise UsageError(f"cannot use {self._name}: it is neither an archive nor a Dockerfile")

    def _decide(self) -> None:
        self._is_archive = is_archive_head(bytes(self._head))
        if self._is_archive:
            self._unpacker = Unpacker(self._directory, whiteouts=False, rootless=self._rootless)
            head, self._head = bytes(self._head), bytearray()
            self._unpacker.write(head)

    def finish(self) -> bytes | None:
        """Ends the stream; the Dockerfile when it was one, None after an archive."""
        if self._is_archive is None:
            self._decide()
        if self._unpacker is not None:
            self._unpacker.finish()
            return None
        if not self._head:
            raise UsageError(f"cannot use {self._name}: it is empty")
        return bytes(self._head)

    def abort(self) -> None:
        """Ends the unpacking."""
        if self._unpacker is not None:
            self._unpacker.abort()


def image_of(place: str) -> str | None:
    """The image that a --build-context names: a reference, or `oci:path`; None for a tree."""
    for prefix in ("docker-image://", "container-image://", "docker://"):
        if place.startswith(prefix):
            return place.removeprefix(prefix)
    if place.startswith("oci-layout://"):
        return "oci:" + place.removeprefix("oci-layout://")
    return None


def _open_directory(path: str) -> int:
    try:
        return os.open(path, _DIRECTORY)
    except FileNotFoundError:
        raise NotFoundError(f"cannot find build context {path}") from None
    except NotADirectoryError:
        raise UsageError(
            f"cannot use {path} as a build context: it is not a directory",
            "give the directory, and the Dockerfile with --file",
        ) from None
    except OSError as error:
        raise UsageError(f"cannot open build context {path}: {os.strerror(error.errno or 0)}") from None


def read_dockerfile(path: str) -> bytes:
    """A file that the user names: it is read as it is, also from a pipe such as /dev/stdin."""
    try:
        with open(path, "rb") as file:
            content = file.read(_DOCKERFILE_MAX + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {os.strerror(error.errno or 0)}") from None
    if len(content) > _DOCKERFILE_MAX:
        raise UsageError(f"cannot read {path}: it is larger than {_DOCKERFILE_MAX >> 20} MiB")
    return content


def _read(tree: Tree, path: str, limit: int) -> bytes:
    fd = tree.open_file(path)
    with open(fd, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise UsageError(f"cannot read {path} of {tree.label}: it is larger than {limit >> 20} MiB")
    return content


def _copy(fd: int, feed: Callable[[bytes], object], limit: int = _ARCHIVE_MAX) -> None:
    taken = 0
    while piece := os.read(fd, _PIECE):
        taken += len(piece)
        if taken > limit:
            raise UsageError(f"cannot read standard input: it is larger than {limit} bytes")
        feed(piece)
