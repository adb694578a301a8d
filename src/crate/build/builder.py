"""`build`: a Dockerfile and its contexts become an image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crate.build.arguments import Arguments
from crate.build.file_digests import FileDigests
from crate.build.finishing import finish
from crate.build.session import Session
from crate.build.stage_build import StageBuild
from crate.build.stages import Resolver, resolve
from crate.build.step_process import sweep_groups
from crate.build.workers import Workers
from crate.oci import platform as platforms
from crate.storage import images, journal, staging
from crate.storage.trash import remove_tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.build.display import Display
    from crate.build.material import Material
    from crate.build.request import Request
    from crate.build.state import State
    from crate.build.workers import Reporter
    from crate.settings import Settings
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots


@dataclass
class Built:
    """`unused`: names of --build-arg that no ARG asked for."""

    state: State
    unused: list[str]


def build(
    roots: Roots, settings: Settings, request: Request, material: Material, names: Sequence[str], display: Display
) -> tuple[ImageRecord, list[str]]:
    """The image, known under full `names`, and the --build-arg that nobody asked for. Raises CrateError."""
    with images.bring_in(roots):
        built = build_target(roots, settings, request, material, display)
        record = finish(roots, request, built.state, names)
    journal.record(roots, "image", "build", record["id"], next(iter(names), ""))
    return record, built.unused


def build_target(roots: Roots, settings: Settings, request: Request, material: Material, display: Display) -> Built:
    """What the target stage becomes; the caller holds the lease of crate.storage.images."""
    dockerfile = material.dockerfile
    contexts = [*(name for name in material.trees if name), *material.images]
    arguments = Arguments(dockerfile, request.arguments, platforms.host(), request.platform, request.target)
    graph = resolve(dockerfile, arguments, request.target, contexts)
    staging.sweep(roots)
    sweep_groups()
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
    )
    display.plan(graph)

    def build_stage(index: int, reporter: Reporter) -> tuple[State, list[str]]:
        state = StageBuild(session, graph.stages[index], reporter).run()
        digests.save()
        return state, sorted(arguments.taken)

    try:
        workers = Workers(directory, graph.wanted, build_stage, display, request.jobs)
        state = workers.run(graph.target)
    finally:
        staging.sweep(roots)  # what was fetched for ADD
        remove_tree(f"{roots.graphroot}/stage", os.path.basename(directory))
    arguments.taken.update(workers.taken)
    return Built(state, arguments.not_consumed())
