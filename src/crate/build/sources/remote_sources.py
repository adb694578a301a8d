"""Sources of ADD that are not in the build context: files of http servers, and git repositories."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Protocol

from crate.build.copying import Rules, Selection, select
from crate.build.language.dockerfile_error import Fault
from crate.build.sources import git_source
from crate.build.sources.tree import Tree
from crate.errors import UsageError
from crate.oci import digest as digests
from crate.storage import staging
from crate.storage.durable import write_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crate.build.language.instructions import Add
    from crate.build.sources.file_digests import FileDigests
    from crate.registry.endpoint import Settings
    from crate.storage.roots import Roots

_FILE_MAX = 64 << 30
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Place(Protocol):
    """What this needs of a build."""

    roots: Roots
    digests: FileDigests

    @property
    def settings(self) -> Settings:
        """What downloads ask."""


def is_http(source: str) -> bool:
    """Is a source a file of an http server?"""
    return source.startswith(("http://", "https://")) and git_source.parse_git(source) is None


def split_sources(one: Add) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sources of ADD in the build context, and the others. Raises Fault for a checksum that fits none."""
    remote = tuple(source for source in one.sources if is_http(source) or git_source.parse_git(source))
    if one.checksum:
        if len(one.sources) + len(one.heredocs) != 1:
            raise Fault("checksum can't be specified for multiple sources", one.checksum)
        if not remote:
            raise Fault("checksum requires HTTP(S) or Git sources", one.checksum)
        reason = digests.fault(one.checksum)
        if is_http(remote[0]) and reason:
            raise Fault(f"{reason}: {one.checksum}", one.checksum)
        if not is_http(remote[0]) and not _COMMIT.fullmatch(one.checksum):
            raise Fault(f"the checksum of a git repository is a commit: {one.checksum}", one.checksum)
    return tuple(source for source in one.sources if source not in remote), remote


def refuse_remote(sources: Sequence[str]) -> None:
    """Raises Fault for sources that COPY cannot take."""
    for source in sources:
        if is_http(source):
            raise Fault("source can't be a URL for COPY", source)
        if git_source.parse_git(source):
            raise Fault("source can't be a git ref for COPY", source)


def fetch(
    place: Place, one: Add, sources: Sequence[str], destination: str, is_directory: bool, rules: Rules
) -> Iterator[tuple[Tree, Selection]]:
    """Fetches each source into a staging of its own and tells what of it goes where. Raises CrateError, Fault.

    The trees stay open, and the stagings there, until the process ends or the caller is done with them.
    """
    if len(one.sources) + len(one.heredocs) > 1 and not is_directory and not destination.endswith(("/", "/.")):
        raise Fault("when using ADD with more than one source, the destination must be a directory and end with a /")
    for source in sources:
        stage = staging.make(place.roots, f"source-{os.urandom(8).hex()}")
        os.chmod(stage, 0o755)
        repository = git_source.parse_git(source)
        if repository is not None:
            yield _repository(place, one, repository, stage, destination, rules)
        else:
            yield _file(place, one, source, stage, destination, is_directory, rules)


def _repository(
    place: Place, one: Add, source: git_source.GitSource, stage: str, destination: str, rules: Rules
) -> tuple[Tree, Selection]:
    keeps = one.keep_git_dir if source.keep_git_dir is None else source.keep_git_dir
    found = git_source.fetch(source, stage, keep_git_dir=keeps)
    if one.checksum and not found.startswith(one.checksum):
        raise UsageError(f"cannot use {source}: expected commit {one.checksum}, got {found}")
    tree = Tree(os.open(stage, _DIRECTORY), str(source), resets_owner=True)
    wanted = source.directory or "."
    plain = Rules(rules.exclude, False, rules.owner, rules.mode)
    return tree, select(tree, [wanted], destination, is_directory=True, rules=plain, known=place.digests)


def _file(
    place: Place, one: Add, url: str, stage: str, destination: str, is_directory: bool, rules: Rules
) -> tuple[Tree, Selection]:
    from crate.registry.download import download, file_name, shown

    name = file_name(url)
    if not name:
        if destination.endswith("/") or is_directory:
            raise Fault(f"cannot determine filename for source {shown(url)}", url)
        name = "__unnamed__"
    algorithm = digests.split(one.checksum)[0] if one.checksum else "sha256"
    hasher = digests.hasher(algorithm)
    fd = os.open(f"{stage}/{name}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:

        def take(piece: bytes) -> None:
            hasher.update(piece)
            write_all(fd, piece)

        told = download(url, take, place.settings, limit=_FILE_MAX)
        digest = f"{algorithm}:{hasher.hexdigest()}"
        if one.checksum and digest != one.checksum:
            raise UsageError(f"digest mismatch of {shown(url)}: expected {one.checksum}, got {digest}")
        if told.modified_seconds is not None:
            os.utime(fd, (told.modified_seconds, told.modified_seconds))
    finally:
        os.close(fd)
    tree = Tree(os.open(stage, _DIRECTORY), shown(url), resets_owner=True)
    plain = Rules((), False, rules.owner, rules.mode, bool(one.unpack))
    source = "".join(f"\\{letter}" if letter in "*?[\\" else letter for letter in name)
    return tree, select(tree, [source], destination, is_directory=is_directory, rules=plain, known=place.digests)
