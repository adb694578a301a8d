"""What all parts of one build share: where things are, what was asked for, the Dockerfile and the contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crate.build.records import dataclass, field
from crate.build.request import KEYED_OPTIONS
from crate.errors import UsageError

if TYPE_CHECKING:
    from crate.build.arguments import Arguments
    from crate.build.language.instructions import Dockerfile
    from crate.build.request import Request
    from crate.build.sources.file_digests import FileDigests
    from crate.build.sources.tree import Tree
    from crate.build.stages import Graph, Resolver
    from crate.settings import Settings
    from crate.storage.roots import Roots


@dataclass
class Session:
    """One build. `contexts` are the trees by name, "" the build context itself; `image_contexts` images by name.

    `shows_output`: what RUNs say is seen as they say it, so that an error need not repeat it.
    `agents`: the sockets of --ssh, by id. `is_foreign`: the Dockerfile is somebody else's, as of sources/material.py.
    """

    roots: Roots
    settings: Settings
    request: Request
    dockerfile: Dockerfile
    arguments: Arguments
    graph: Graph
    resolver: Resolver
    digests: FileDigests
    contexts: dict[str, Tree] = field(default_factory=dict)
    image_contexts: dict[str, str] = field(default_factory=dict)
    staging: str = ""
    shows_output: bool = True
    is_foreign: bool = False
    agents: dict[str, str] = field(default_factory=dict)

    keyed_options = KEYED_OPTIONS

    def context(self, name: str) -> Tree:
        """The tree of a build context. UsageError where there is none."""
        tree = self.contexts.get(name)
        if tree is None:
            raise UsageError("there is no build context", "name a directory, or - for an archive on standard input")
        return tree
