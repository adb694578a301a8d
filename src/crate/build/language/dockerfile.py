"""Parsing a Dockerfile as BuildKit's frontend does: text in, stages of typed instructions out. Nothing is expanded.

    lines.LineReader       logical lines, parser directives, heredocs
    grammar.instruction    one line → one of instructions.py
    parse                  instructions → global ARGs and stages

decisions/0130 says why the parser is our own.
"""

from __future__ import annotations

from crate.build.language.dockerfile_error import DockerfileError, Fault, located
from crate.build.language.grammar import Written, instruction
from crate.build.language.instructions import Arg, Dockerfile, From, Instruction, Stage
from crate.build.language.lines import LineReader
from crate.build.records import replace

_SIZE_MAX = 16 << 20


def parse(text: bytes | str, name: str) -> Dockerfile:
    """Parses a Dockerfile; `name` is how messages call it. Raises DockerfileError."""
    if len(text) > _SIZE_MAX:
        raise DockerfileError(f"the Dockerfile is larger than {_SIZE_MAX >> 20} MiB", name=name)
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if not text:
        raise DockerfileError("the Dockerfile cannot be empty", name=name)
    reader = LineReader(text, name)
    global_args: list[Arg] = []
    stages: list[tuple[From, list[Instruction]]] = []
    is_empty = True
    for found in _instructions(reader, name):
        is_empty = False
        if isinstance(found, From):
            stages.append((found, []))
        elif stages:
            stages[-1][1].append(found)
        elif isinstance(found, Arg):
            global_args.append(found)
        else:
            raise located(Fault("no build stage in current context", found.text), name, found.line, reader.source)
    if is_empty:
        raise DockerfileError("file with no instructions", name=name)
    if not stages:
        raise DockerfileError("dockerfile contains no stages to build", name=name)
    return Dockerfile(
        name=name,
        directives=reader.directives.values,
        escape=reader.directives.escape,
        global_args=tuple(global_args),
        stages=tuple(
            Stage(
                name=start.name,
                index=index,
                base=start.base,
                platform=start.platform,
                instructions=tuple(rest),
                line=start.line,
                text=start.text,
            )
            for index, (start, rest) in enumerate(stages)
        ),
        warnings=tuple(reader.warnings),
        source=reader.source,
    )


def parse_trigger(text: str, image: str) -> Instruction:
    """A trigger of an image's OnBuild; `image` is how messages call that. Raises DockerfileError."""
    name = f"ONBUILD of {image}"
    reader = LineReader(text, name)
    found = list(_instructions(reader, name))
    if len(found) != 1 or isinstance(found[0], From):
        raise DockerfileError("onbuild trigger should be a single expression", name=name, line=1, excerpt=text)
    return replace(found[0], line=0, last_line=0)


def _instructions(reader: LineReader, name: str) -> list[Instruction]:
    found: list[Instruction] = []
    for logical in reader:
        try:
            written = Written(logical.text, reader.directives.escape, logical.first, logical.last)
            written.heredocs = tuple(reader.heredoc(doc, logical.first) for doc in written.announced())
            written.last = reader.line
            found.append(instruction(written))
        except Fault as fault:
            raise located(fault, name, logical.first, reader.source, logical.last) from None
    return found
