"""Draws images with rich: names, platforms, layers; colours on a terminal, plain lines elsewhere; cold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from crate.cli import human, output

if TYPE_CHECKING:
    from rich.tree import Tree

    from crate.engine.context import Engine
    from crate.image.tree import Layer

_STEP_MAX = 60


def images(engine: Engine, listed: list[Any], no_trunc: bool = False) -> str:
    """A tree an image: its names, below them the platforms with their layers."""
    from crate.image import tree
    from crate.storage import image_record

    records = image_record.list_all(engine.roots)
    roots = []
    for image in listed:
        names = ", ".join(_clean(name) for name in image["names"]) or "<none>"
        root = _branch(f"[bold]{names}[/]  {_id(image['id'], no_trunc)}  {human.size(image['size'])}")
        for variant in tree.variants(engine.roots, image, records):
            line = f"[cyan]{_clean(variant.platform)}[/]  {_id(variant.id, no_trunc)}  {human.size(variant.size)}"
            branch = root.add(line if variant.layers is not None else f"{line}  (not here)")
            for layer in variant.layers or ():
                branch.add(_layer(layer, no_trunc))
        roots.append(root)
    return drawn(roots)


def _layer(layer: Layer, no_trunc: bool) -> str:
    step = " ".join(layer.step.split())
    step = step if no_trunc or len(step) <= _STEP_MAX else step[: _STEP_MAX - 1] + "…"
    return f"{_id(layer.diff_id.partition(':')[2], no_trunc)}  {human.size(layer.size)}  [dim]{_clean(step)}[/]"


def podmans_line(layer: Layer) -> str:
    """A layer as `podman image tree` shows it."""
    tops = f" Top Layer of: [{' '.join(layer.top_of)}]" if layer.top_of else ""
    return _clean(f"ID: {layer.chain_id[:12]} Size: {human.size(layer.size)}{tops}")


def _id(image_id: str, no_trunc: bool) -> str:
    return f"sha256:{image_id}" if no_trunc else image_id[:12]


def _clean(text: str) -> str:
    """What images say is no markup, and does not command the terminal."""
    from rich.markup import escape

    return escape(output.one_line(text))


def _branch(label: str) -> Tree:
    from rich.tree import Tree

    return Tree(label)


def drawn(roots: list[Tree]) -> str:
    """The trees as text, a line a branch."""
    import io

    from rich.console import Console

    is_terminal = os.isatty(1) and os.environ.get("TERM", "dumb") != "dumb"
    console = Console(
        file=io.StringIO(),
        force_terminal=is_terminal,
        no_color=not is_terminal or None,
        highlight=False,
        width=4096,  # lines are cut by the terminal, not here
        legacy_windows=False,
    )
    for root in roots:
        console.print(root)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())
