"""The manual pages, from the same declarations as the help: docs/man/crate-*.1.md; cold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crate.cli import application, commands, generate

if TYPE_CHECKING:
    from crate.cli.pflag import DockerCommand

_STATUSES = """\
| Status | Meaning |
|---|---|
| 0 | success |
| 125 | crate failed; this includes wrong usage |
"""

_RUN_STATUSES = """\
| Status | Meaning |
|---|---|
| 125 | crate failed; this includes wrong usage |
| 126 | the command exists but cannot be invoked |
| 127 | the command was not found |
| 128+n | the command was killed by signal n |
| other | the status of the command |
"""

_REMOVE_STATUSES = """\
| Status | Meaning |
|---|---|
| 0 | success |
| 1 | one of them does not exist, and nothing else went wrong |
| 2 | one of them is in use |
| 125 | crate failed otherwise; this includes wrong usage |
"""

_EXISTS_STATUSES = """\
| Status | Meaning |
|---|---|
| 0 | it exists |
| 1 | it does not |
| 125 | crate failed; this includes wrong usage |
"""

_EXIT = {
    "container.run": _RUN_STATUSES,
    "container.exec": _RUN_STATUSES,
    "container.start": _RUN_STATUSES.replace("| other |", "| 0 | without --attach: all were started |\n| other |"),
    "container.rm": _REMOVE_STATUSES,
    "image.rmi": _REMOVE_STATUSES,
    "volume.rm": _REMOVE_STATUSES,
    "container.exists": _EXISTS_STATUSES,
    "image.exists": _EXISTS_STATUSES,
    "network.exists": _EXISTS_STATUSES,
    "volume.exists": _EXISTS_STATUSES,
}

_SEE = {
    "container.run": ("create", "start", "exec", "logs", "ps", "rm"),
    "container.create": ("run", "start"),
    "container.exec": ("run", "ps"),
    "image.pull": ("images", "run", "rmi"),
}


def files() -> dict[str, str]:
    """Path below `docs` -> content, of every manual page."""
    loaded = {module: application.load(module) for module in commands.modules() if module != "system.complete"}
    pages = {f"man/crate-{page_name(module)}.1.md": _page(module, command) for module, command in loaded.items()}
    pages["man/crate.1.md"] = _overview(loaded)
    return pages


def page_name(module: str) -> str:
    """`container-exists`: the command's own spelling with hyphens."""
    return commands.spellings(module)[0].replace(" ", "-")


def _escaped(text: str) -> str:
    for letter in "\\*<>[]|_":
        text = text.replace(letter, "\\" + letter)
    return text


def _link(words: str) -> str:
    name = words.replace(" ", "-")
    return f"[crate-{name}(1)](crate-{name}.1.md)"


def _page(module: str, command: DockerCommand) -> str:
    names = commands.spellings(module)
    parts = generate.paragraphs(command)
    lines = [f"# crate-{page_name(module)} 1", "", "## NAME", ""]
    lines += [f"crate {names[0]} - {parts[0][:1].lower()}{parts[0][1:]}", "", "## SYNOPSIS", ""]
    lines += [f"**crate {name}**{_escaped(generate.usage(command))}" + "  " * (name != names[-1]) for name in names]
    lines += ["", "## DESCRIPTION", "", parts[0] + "."]
    for part in parts[1:]:
        lines += ["", _escaped(part)]
    options = generate.visible(command)
    if options:
        lines += ["", "## OPTIONS", *_options(options)]
    lines += ["", "## EXIT STATUS", "", _EXIT.get(module, _STATUSES).rstrip()]
    if generate.examples(command):
        lines += ["", "## EXAMPLES", "", *(f"    {line}" for line in generate.examples(command))]
    see = [_link(words) for words in _SEE.get(module, ())]
    lines += ["", "## SEE ALSO", "", ", ".join(["[crate(1)](crate.1.md)", *see])]
    return "\n".join(lines) + "\n"


def _options(options: list[Any]) -> list[str]:
    lines = []
    for option in options:
        short = [name for name in option.opts if not name.startswith("--")]
        shown = ", ".join(f"**{name}**" for name in [*generate.long_names(option), *short])
        value = "" if option.is_flag else f" *{_escaped(option.metavar)}*"
        lines += ["", f"#### {shown}{value}", "", _escaped(option.help or "") + "."]
    return lines


def _overview(loaded: dict[str, DockerCommand]) -> str:
    root = application.build()
    lines = ["# crate 1", "", "## NAME", "", "crate - containers without a daemon", "", "## SYNOPSIS", ""]
    lines += ["**crate** \\[OPTIONS\\] COMMAND", "", "## DESCRIPTION", ""]
    lines += ["A Docker-compatible, Podman-like container engine in one program.", "", "## COMMANDS", ""]
    lines += ["| Command | |", "|---|---|"]
    lines += [
        f"| {_link(commands.spellings(module)[0])} | {_escaped(generate.summary(command))} |"
        for module, command in sorted(loaded.items(), key=lambda item: page_name(item[0]))
    ]
    lines += ["", "## OPTIONS", *_options(generate.visible(root))]
    lines += ["", "## EXIT STATUS", "", _STATUSES.rstrip(), "", "See the pages of the commands for more."]
    lines += ["", "## EXAMPLES", "", "    crate run --rm -it alpine sh", "    crate ps -a"]
    lines += ["", "## SEE ALSO", "", "docker(1), podman(1)"]
    return "\n".join(lines) + "\n"
