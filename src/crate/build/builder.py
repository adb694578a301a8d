"""`build`: a Dockerfile and its contexts become an image."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

from crate.build.arguments import Arguments
from crate.build.cache_exchange import bring_in, push_apart, take_out
from crate.build.finishing import finish
from crate.build.outputs import write_files, write_image
from crate.build.records import dataclass, replace
from crate.build.running.step_process import sweep_groups
from crate.build.session import Session
from crate.build.sources.file_digests import FileDigests
from crate.build.stage_build import StageBuild
from crate.build.stages import Resolver, resolve
from crate.build.workers import Workers
from crate.oci import platform as platforms
from crate.storage import images, journal, staging
from crate.storage.trash import remove_tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from crate.build.display import Display
    from crate.build.request import Request
    from crate.build.sources.material import Material
    from crate.build.state import State
    from crate.build.workers import Reporter
    from crate.settings import Settings
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots


#: --build-arg that mean something without an ARG
_OWN_ARGUMENTS = ("SOURCE_DATE_EPOCH", "BUILDKIT_")


@dataclass
class Built:
    """`states`: of all stages that were needed, the target last; `unused`: --build-arg that no ARG asked for."""

    states: list[State]
    unused: list[str]

    @property
    def state(self) -> State:
        """The target."""
        return self.states[-1]


def build(
    roots: Roots, settings: Settings, request: Request, material: Material, names: Sequence[str], display: Display
) -> tuple[ImageRecord | None, list[str]]:
    """The image, known under full `names`, and the --build-arg that nobody asked for. Raises CrateError.

    There is no image where the outputs that were asked for are files alone.
    """
    with images.bring_in(roots):
        bring_in(roots, settings, request, request.cache_from, lambda text: display.show(-1, "note", {"text": text}))
        built = build_target(roots, settings, request, material, display)
        take_out(roots, settings, request, built.states, request.cache_to)
        record = deliver(roots, settings, request, built.state, names)
    return record, [name for name in built.unused if not name.startswith(_OWN_ARGUMENTS)]


def deliver(
    roots: Roots, settings: Settings, request: Request, state: State, names: Sequence[str]
) -> ImageRecord | None:
    """Makes the image and writes the outputs; the caller holds the lease of crate.storage.images."""
    outputs = request.outputs
    for output in outputs:
        if not output.wants_image:
            write_files(roots, state, output)
    if outputs and not any(output.wants_image for output in outputs):
        return None
    record = finish(roots, request, state, names)
    for output in outputs:
        if output.type in ("oci", "docker"):
            write_image(roots, record, names, output)
        if output.pushes:
            for name in names:
                push_apart(roots, settings, record["id"], name, request.pull_options)
    journal.record(roots, "image", "build", record["id"], next(iter(names), ""))
    return record


def build_target(roots: Roots, settings: Settings, request: Request, material: Material, display: Display) -> Built:
    """What the target stage becomes; the caller holds the lease of crate.storage.images."""
    dockerfile = material.dockerfile
    if request.base:
        first, *rest = dockerfile.stages
        dockerfile = replace(dockerfile, stages=(replace(first, base=request.base), *rest))
    contexts = [*(name for name in material.trees if name), *material.images]
    arguments = Arguments(dockerfile, request.arguments, platforms.host(), request.platform, request.target)
    graph = resolve(dockerfile, arguments, request.target, contexts)
    staging.sweep(roots)
    sweep_groups(str(request.run.get("cgroup_parent") or settings.get("containers.cgroup_parent") or "/crate"))
    label = f"build-{os.urandom(8).hex()}"
    directory = staging.make(roots, label)
    os.makedirs(f"{roots.graphroot}/cache/build/steps", 0o700, exist_ok=True)
    digests = FileDigests(f"{roots.graphroot}/cache/build/files")
    session = Session(
        roots,
        settings,
        request,
        dockerfile,
        arguments,
        graph,
        Resolver(dockerfile, contexts),
        digests,
        material.trees,
        material.images,
        directory,
        display.shows_output,
        material.is_foreign,
    )
    display.plan(graph)

    def build_stage(index: int, reporter: Reporter) -> tuple[State, list[str]]:
        state = StageBuild(session, graph.stages[index], reporter).run()
        digests.save()
        return state, sorted(arguments.taken)

    try:
        wanted = graph.wanted[::-1] if request.backwards else graph.wanted
        workers = Workers(directory, wanted, build_stage, display, request.jobs)
        with _agents(request, directory) as session.agents:
            workers.run()
        states = [workers.state(index) for index in graph.wanted]
    finally:
        staging.sweep(roots)  # what was fetched for ADD
        remove_tree(f"{roots.graphroot}/stage", os.path.basename(directory))
    arguments.taken.update(workers.taken)
    return Built(states, arguments.not_consumed())


def _agents(request: Request, directory: str) -> AbstractContextManager[dict[str, str]]:
    """The sockets of --ssh, while the stages are built."""
    if not request.agents:
        return nullcontext({})
    from crate.build.running import agents

    return agents.serve(request.agents, directory)
