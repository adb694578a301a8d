"""COPY and ADD: what they take from where becomes a layer."""

from __future__ import annotations

import os
from posixpath import join
from typing import TYPE_CHECKING, Any

from crate.build.copying import Rules, select
from crate.build.entry_writer import EntryWriter
from crate.build.language import instructions as kinds
from crate.build.language.dockerfile_error import Fault
from crate.build.language.mode import ModeChange
from crate.build.sources.remote_sources import fetch, refuse_remote, split_sources
from crate.build.state import key_of
from crate.errors import UsageError
from crate.runtime.paths import open_in_root
from crate.runtime.user import lookup, lookup_group
from crate.storage import build_cache
from crate.storage.rootfs import mount_layers

if TYPE_CHECKING:
    from crate.build.copying import Selection
    from crate.build.session import Session
    from crate.build.sources.tree import Tree
    from crate.build.sources.trees import Trees
    from crate.build.state import State
    from crate.build.steps import Steps
    from crate.storage.layer_work import LayerWork


class Transfer:
    """Executes COPY and ADD for one stage."""

    def __init__(self, session: Session, trees: Trees, steps: Steps) -> None:
        self._session = session
        self._trees = trees
        self._steps = steps

    def execute(self, state: State, one: kinds.Transfer) -> bool:
        """True when the result was known. Raises Fault for what cannot be copied."""
        destination = _destination(state, one.destination)
        created_by = _created_by(one, destination)
        local: tuple[str, ...] = one.sources
        remote: tuple[str, ...] = ()
        if isinstance(one, kinds.Add):
            local, remote = split_sources(one)
        else:
            refuse_remote(one.sources)
        root_fd = mount_layers(self._session.roots, state.layers)
        try:
            owner = owner_of(root_fd, one.chown)
            into_directory = _is_directory(root_fd, destination)
        finally:
            os.close(root_fd)
        rules = Rules(
            one.exclude,
            isinstance(one, kinds.Copy) and one.parents,
            owner,
            ModeChange(one.chmod) if one.chmod else None,
            isinstance(one, kinds.Add) and one.unpack is not False,
        )
        parts: list[tuple[Tree, Any]] = []
        inputs: list[Any] = ["copy", destination, list(owner or ())]
        count = len(inputs)
        if local or one.heredocs:
            source = self._trees.source(one.origin if isinstance(one, kinds.Copy) else "")
            tree = self._trees.tree(source)
            inputs += self._known(state, one, source, rules, destination, into_directory)
            if len(inputs) == count:
                selection = self._select(tree, one, local, rules, destination, into_directory)
                parts.append((tree, selection))
                inputs += [selection.digest, selection.directory]
                self._learn(state, one, source, rules, destination, into_directory, inputs[count:])
        if isinstance(one, kinds.Add) and remote:
            for far, selection in fetch(self._session, one, remote, destination, into_directory, rules):
                parts.append((far, selection))
                inputs += [selection.digest, selection.directory]
        rootless = self._session.roots.rootless

        def change(work: LayerWork, root_fd: int) -> None:
            if (local or one.heredocs) and not any(tree is known for known, _ in parts):
                parts.insert(0, (tree, self._select(tree, one, local, rules, destination, into_directory)))
            for each, selection in parts:
                EntryWriter(each, root_fd, rootless=rootless, owner=owner).write(selection)

        return self._steps.changed(state, created_by, inputs, change)

    def _select(
        self, tree: Tree, one: kinds.Transfer, local: Any, rules: Rules, destination: str, into_directory: bool
    ) -> Selection:
        heredocs = [(doc.name, doc.text.encode("utf-8", "surrogateescape")) for doc in one.heredocs]
        return select(
            tree,
            local,
            destination,
            is_directory=into_directory,
            rules=rules,
            heredocs=heredocs,
            known=self._session.digests,
        )

    def _shortcut(self, one: kinds.Transfer, source: Any, rules: Rules, destination: str, into: bool) -> str:
        """The key of what is known of files that are in layers: they need not be read again. "" for a context."""
        identity = self._trees.identity(source)
        if identity is None:
            return ""
        mode = one.chmod
        heredocs = [[doc.name, doc.text] for doc in one.heredocs]
        facts = [list(one.sources), heredocs, list(rules.exclude), rules.parents, list(rules.owner or ()), mode]
        return key_of("selection", identity, facts, destination, into)

    def _known(self, state: State, one: kinds.Transfer, source: Any, rules: Rules, place: str, into: bool) -> list[Any]:
        key = self._shortcut(one, source, rules, place, into)
        record = build_cache.find(self._session.roots, key) if key else None
        return list(record.get("inputs") or ()) if record else []

    def _learn(
        self, state: State, one: kinds.Transfer, source: Any, rules: Rules, place: str, into: bool, inputs: list[Any]
    ) -> None:
        key = self._shortcut(one, source, rules, place, into)
        if key:
            record = {"layer": "", "created": "", "size": 0, "text": "", "parent": "", "inputs": inputs}
            build_cache.put(self._session.roots, key, record)


def _destination(state: State, text: str) -> str:
    """Absolute, with the slash or dot at its end that says it is a directory."""
    directory = state.config.get("WorkingDir") or "/"
    return join("/", directory, text)


def _created_by(one: kinds.Transfer, destination: str) -> str:
    words = [one.keyword]
    if isinstance(one, kinds.Copy) and one.parents:
        words.append("--parents")
    if isinstance(one, kinds.Add) and one.checksum:
        words.append(f"--checksum={one.checksum}")
    if one.chown:
        words.append(f"--chown={one.chown}")
    if one.chmod:
        words.append(f"--chmod={one.chmod}")
    names = [*(_without_password(source) for source in one.sources), *(f"<<{doc.name}" for doc in one.heredocs)]
    return " ".join([*words, *names, one.destination]) + " # buildkit"


def _without_password(source: str) -> str:
    """A source as the history tells it: everybody who has the image reads that."""
    if "://" not in source or "@" not in source:
        return source
    from crate.registry.download import shown

    return shown(source)


def owner_of(root_fd: int, text: str) -> tuple[int, int] | None:
    """--chown, or USER, by the image's own files; a user without a group is its own group's, by number or name."""
    if not text:
        return None
    name, colon, group = text.partition(":")
    try:
        if not name and colon:
            return 0, lookup_group(root_fd, group)
        found, _ = lookup(root_fd, text, [])
    except UsageError as error:
        raise Fault(error.message, text) from None
    if not colon and name.isascii() and name.isdigit():
        return found["uid"], int(name)
    return found["uid"], found["gid"]


def _is_directory(root_fd: int, path: str) -> bool:
    try:
        os.close(open_in_root(root_fd, path, os.O_RDONLY | os.O_DIRECTORY))
    except OSError:
        return False
    return True
