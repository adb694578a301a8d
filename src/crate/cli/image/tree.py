"""`crate image tree`: shows the layers of an image, and the images that stand on it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints podman's form."""
    import crate.engine
    from crate.cli import human, output
    from crate.cli.image import trees
    from crate.image import local, tree
    from crate.storage import image_record

    engine = crate.engine.open(options["globals"])
    record = local.get(engine.roots, options["image"])
    records = image_record.list_all(engine.roots)
    output.line(f"Image ID: {record['id'][:12]}")
    output.line(f"Tags:     [{' '.join(record['names'])}]")
    output.line(f"Size:     {human.size(record['size'])}")
    own = tree.layers_of(engine.roots, record, records)
    if not own:
        output.line("No Image Layers")
        return 0
    from rich.tree import Tree

    root = Tree("Image Layers")
    branch = root
    for layer in own:
        branch = root.add(trees.podmans_line(layer))
    if options["whatrequires"]:
        known = {layer.chain_id: branch for layer in own}
        for other in sorted(tree.requiring(record, records), key=lambda one: len(one["layers"])):
            branch = known[own[-1].chain_id]
            for layer in tree.layers_of(engine.roots, other, records)[len(own) :]:
                if layer.chain_id not in known:
                    known[layer.chain_id] = branch.add(trees.podmans_line(layer))
                branch = known[layer.chain_id]
    output.write(trees.drawn([root]))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "tree",
        main,
        argument("image", "IMAGE"),
        flag("--whatrequires", help="Show the images that stand on this one, and their layers"),
        help="Show the layers of an image as a tree",
        examples="""
            crate image tree nginx
            crate image tree --whatrequires debian
        """,
    )
