"""The trees that a stage takes files from: build contexts, other stages and images, each opened once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crate.build import bases
from crate.build.sources.tree import Tree
from crate.build.stages import CONTEXT, IMAGE, STAGE, Source
from crate.errors import NotFoundError, UsageError
from crate.oci import platform as platforms
from crate.storage.rootfs import mount_layers

if TYPE_CHECKING:
    from crate.build.session import Session
    from crate.build.stages import ResolvedStage
    from crate.build.state import State
    from crate.build.workers import Reporter
    from crate.oci.platform import Platform


class Trees:
    """`platform` is the one that images are wanted of."""

    def __init__(self, session: Session, stage: ResolvedStage, reporter: Reporter) -> None:
        self._session = session
        self._stage = stage
        self._reporter = reporter
        self._opened: dict[tuple[str, str, int], Tree] = {}
        self._states: dict[tuple[str, str, int], State] = {}
        self.platform: Platform = session.request.platform

    def source(self, origin: str) -> Source:
        """What the value of a --from means; "" is the build context."""
        if not origin:
            return Source(CONTEXT)
        found = self._stage.origins.get(origin)
        if found is None:  # of a trigger of an image
            found = self._session.resolver.source(origin, self._stage.stage.index)
        return found

    def tree(self, source: Source) -> Tree:
        """The files of a source. Raises what their image raises."""
        key = (source.kind, source.name, source.index)
        tree = self._opened.get(key)
        if tree is None:
            if source.kind == CONTEXT and not self._image_of(source.name):
                tree = self._session.context(source.name)
            else:
                state = self.state(source)
                label = f"stage {source.name or source.index}" if source.kind == STAGE else f"image {source.name}"
                tree = Tree(mount_layers(self._session.roots, state.layers), label)
            self._opened[key] = tree
        return tree

    def layers(self, source: Source) -> list[str] | None:
        """The chain ids that a source is made of; None for a context."""
        if source.kind == CONTEXT and not self._image_of(source.name):
            return None
        return self.state(source).layers

    def identity(self, source: Source) -> Any:
        """What stands for all files of a source in a key, without reading them; None for a context."""
        if source.kind == CONTEXT and not self._image_of(source.name):
            return None
        return self.state(source).diff_ids

    def state(self, source: Source) -> State:
        """The stage or image that a source is."""
        key = (source.kind, source.name, source.index)
        state = self._states.get(key)
        if state is None:
            if source.kind == STAGE:
                state = self._reporter.need(source.index)
            elif source.kind == IMAGE or self._image_of(source.name):
                name = self._image_of(source.name) or self._named(source.name)
                state = self.image(name, self.platform, source.likely)
            else:
                state = bases.scratch(self.platform)
            self._states[key] = state
        return state

    def image(self, name: str, platform: Platform, likely: str = "") -> State:
        """The state of an image, pulled where that is wanted."""
        request, session = self._session.request, self._session
        options = dict(request.pull_options)
        if platform != platforms.host():
            options["platform"] = str(platform)
        try:
            record = bases.find_image(session.roots, session.settings, name, request.pull, options, self._reporter.note)
        except NotFoundError as error:
            error.message = f"creating build container: {error.message}{likely}"
            raise
        return bases.of_image(session.roots, record, name)

    def _named(self, name: str) -> str:
        """A name of the Dockerfile. UsageError where somebody else's asks for a file of this host."""
        session = self._session
        if session.is_foreign and name != session.request.base and _is_archive(name):
            raise UsageError(
                f"cannot use {name}: the Dockerfile is not of this host, so it may read no files of it",
                "--build-context NAME=oci-layout://PATH, or crate load, gives an image to it",
            )
        return name

    def _image_of(self, name: str) -> str:
        """The image that a --build-context stands for; "" for one of files."""
        return self._session.image_contexts.get(name, "") if name else ""

    def base(self, source: Source, platform: Platform) -> State:
        """What a stage begins with that is built on an image or a --build-context."""
        if source.kind == IMAGE:
            return self.image(self._named(source.name), platform, source.likely)
        image = self._image_of(source.name)
        if not image:
            raise UsageError(
                f"cannot build on context {source.name}: it is no image",
                f"--build-context {source.name}=docker-image://NAME",
            )
        return self.image(image, platform)


def _is_archive(name: str) -> bool:
    """Does a name mean an archive of this host?"""
    from crate.image import transports

    return transports.from_registry(name) is None
