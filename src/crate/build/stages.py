"""The graph of stages: what each one builds upon and copies from, and which of them the target needs.

A name after FROM is an earlier stage, a --build-context, `scratch` or an image; after --from it may also be the number
of a stage. Stages are looked for before contexts and images, a later stage of the same name hides an earlier one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crate.build.language import instructions as kinds
from crate.build.language.dockerfile import parse_trigger
from crate.build.language.dockerfile_error import Fault, located, suggestion
from crate.build.language.expansion import Lexer
from crate.build.records import dataclass
from crate.errors import UsageError
from crate.oci import platform as platforms

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from crate.build.arguments import Arguments
    from crate.build.language.instructions import Dockerfile, Instruction, Stage

STAGE, IMAGE, CONTEXT, SCRATCH = "stage", "image", "context", "scratch"


@dataclass(frozen=True)
class Source:
    """Where files come from. `kind` is one of stage (`index`), image (`name`), context (`name`) and scratch.

    `likely` is ` (did you mean X?)` where a name looks like that of a stage: for the error if there is no such image.
    """

    kind: str
    name: str = ""
    index: int = -1
    likely: str = ""


@dataclass(frozen=True)
class ResolvedStage:
    """A stage whose FROM is expanded. `platform` is "" where the target's holds.

    `origins` has what each `--from` of COPY and RUN --mount in this stage means, triggers of base stages included.
    `needs` are the indexes of the stages that must be built before, in their order. `context` names the --build-context
    that stands in for the whole stage: its instructions are not executed then.
    """

    stage: Stage
    base: Source
    platform: str
    origins: dict[str, Source]
    needs: tuple[int, ...]
    context: str = ""


class Graph:
    """All stages, the target's index, and `wanted`: the indexes of the stages that it needs, itself last."""

    def __init__(self, dockerfile: Dockerfile, stages: Sequence[ResolvedStage], target: int) -> None:
        self.dockerfile = dockerfile
        self.stages = tuple(stages)
        self.target = target
        reached: set[int] = set()
        todo = [target]
        while todo:
            index = todo.pop()
            if index not in reached:
                reached.add(index)
                todo += self.stages[index].needs
        self.wanted = tuple(sorted(reached))  # a stage needs only earlier ones


def resolve(dockerfile: Dockerfile, arguments: Arguments, target: str = "", contexts: Collection[str] = ()) -> Graph:
    """The graph for a target (a name or number; "" is the last stage). `contexts` are the names of --build-context.

    Raises DockerfileError for what cannot be expanded, unknown and circular references; UsageError for the target.
    """
    resolver = Resolver(dockerfile, contexts)
    stages: list[ResolvedStage] = []
    for stage in dockerfile.stages:
        try:
            stages.append(resolver.stage(stage, stages, arguments))
        except Fault as fault:
            raise located(fault, dockerfile.name, stage.line, dockerfile.source) from None
    return Graph(dockerfile, stages, _target(dockerfile, target))


def _target(dockerfile: Dockerfile, target: str) -> int:
    if not target:
        return len(dockerfile.stages) - 1
    for stage in reversed(dockerfile.stages):
        if stage.name == target.lower():
            return stage.index
    if target.isascii() and target.isdigit() and int(target) < len(dockerfile.stages):
        return int(target)
    names = [stage.name for stage in dockerfile.stages if stage.name]
    close = suggestion(target, names)
    hint = None if close or not names else f"the stages are {', '.join(dict.fromkeys(names))}"
    raise UsageError(f'target stage "{target}" could not be found{close}', hint)


class Resolver:
    """Says what names mean, from the place of one stage."""

    def __init__(self, dockerfile: Dockerfile, contexts: Collection[str]) -> None:
        self._dockerfile = dockerfile
        self._contexts = {_familiar(name): name for name in contexts}

    def stage(self, stage: Stage, before: Sequence[ResolvedStage], arguments: Arguments) -> ResolvedStage:
        lexer = Lexer(self._dockerfile.escape)
        base_name = lexer.expand(stage.base, arguments.globals)
        if not base_name.text:
            close = "".join(suggestion(name, list(arguments.globals)) for name in sorted(base_name.unset))
            raise Fault(f"base name ({stage.base}) should not be blank{close}", stage.base)
        platform = self._platform(stage, lexer, arguments)
        context = self._contexts.get(stage.name, "") if stage.name else ""
        if context:
            return ResolvedStage(stage, Source(CONTEXT, context), platform, {}, (), context)
        base = self.source(base_name.text, stage.index, for_from=True)
        origins: dict[str, Source] = {}
        triggers = self._triggers(before[base.index]) if base.kind == STAGE else []
        for instruction in (*triggers, *stage.instructions):
            for name in origin_names(instruction):
                origins[name] = self._origin(name, instruction, stage)
        needs = {source.index for source in (base, *origins.values()) if source.kind == STAGE}
        return ResolvedStage(stage, base, platform, origins, tuple(sorted(needs)))

    def _platform(self, stage: Stage, lexer: Lexer, arguments: Arguments) -> str:
        if not stage.platform:
            return ""
        found = lexer.expand(stage.platform, arguments.globals)
        if not found.text:
            close = "".join(suggestion(name, list(arguments.globals)) for name in sorted(found.unset))
            raise Fault(f"empty platform value from expression {stage.platform}{close}", stage.platform)
        try:
            return str(platforms.parse(found.text))
        except UsageError as error:
            raise Fault(f"failed to parse platform {stage.platform}: {error.message}", stage.platform) from None

    def _triggers(self, base: ResolvedStage) -> list[Instruction]:
        """What ONBUILD of a base stage adds to those built upon it; those of images are known only later."""
        name = base.stage.name or str(base.stage.index)
        found = base.stage.instructions
        return [parse_trigger(one.trigger, name) for one in found if isinstance(one, kinds.OnBuild)]

    def _origin(self, name: str, instruction: Instruction, stage: Stage) -> Source:
        try:
            return self.source(name, stage.index)
        except Fault as fault:
            line, last = (instruction.line, instruction.last_line) if instruction.line else (stage.line, stage.line)
            raise located(fault, self._dockerfile.name, line, self._dockerfile.source, last) from None

    def source(self, name: str, index: int, *, for_from: bool = False) -> Source:
        """What a name means in stage number `index`. Raises Fault."""
        stages = self._dockerfile.stages
        if not for_from and "$" in name:
            raise Fault(
                "variable expansion is not supported for --from, "
                "define a new stage with FROM using ARG from global scope as a workaround",
                name,
            )
        found = self._stage_index(name, index, for_from)
        if found is not None:
            if found == index:
                raise Fault(f"circular dependency detected on stage: {stages[index].name or index}", name)
            if found > index:
                raise Fault(
                    f'cannot copy from stage "{name}", it needs to be defined before current stage '
                    f'"{stages[index].name or f"stage-{index}"}"',
                    name,
                )
            return Source(STAGE, stages[found].name, found)
        if name.lower() == SCRATCH:
            return Source(SCRATCH)
        context = self._contexts.get(_familiar(name))
        if context is not None:
            return Source(CONTEXT, context)
        names = [stage.name for stage in stages[:index] if stage.name]
        return Source(IMAGE, name, likely=suggestion(name, names))

    def _stage_index(self, name: str, index: int, for_from: bool) -> int | None:
        """The stage of this name or number; FROM looks at earlier ones only, and at names only."""
        stages = self._dockerfile.stages
        if not for_from and name.isascii() and name.isdigit():
            if int(name) >= len(stages):
                raise Fault(f"invalid stage index {name}", name)
            return int(name)
        wanted = name if for_from else name.lower()
        named = [stage.index for stage in stages if stage.name and stage.name == wanted]
        earlier = [found for found in named if found < index]
        if earlier:
            return earlier[-1]
        return named[0] if named and not for_from else None


def origin_names(instruction: Instruction) -> list[str]:
    """The values of --from that an instruction has."""
    if isinstance(instruction, kinds.Copy):
        return [instruction.origin] if instruction.origin else []
    if isinstance(instruction, kinds.Run):
        return [mount.origin for mount in instruction.mounts if mount.origin]
    return []


def _familiar(name: str) -> str:
    """An image's name as people write it: without docker.io, library and latest."""
    return name.lower().removeprefix("docker.io/").removeprefix("library/").removesuffix(":latest")
