"""`crate build`: makes an image by a Dockerfile."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Shows the steps, then prints the ID of the image."""
    import os

    import crate.engine
    from crate.build.builder import build
    from crate.build.material import open_material
    from crate.build.refused import check_options
    from crate.build.request import make_request
    from crate.cli import output
    from crate.cli.build_display import display_of
    from crate.engine.commit import local_name

    check_options(options)
    request = make_request(options, os.environ)
    names = [local_name(name) for name in request.names]
    engine = crate.engine.open(options["globals"])
    with open_material(engine.roots, engine.settings, options) as material, display_of(options, names) as display:
        for warning in material.dockerfile.warnings:
            output.warn(f"[Warning] {warning}")
        record, unused = build(engine.roots, engine.settings, request, material, names, display)
    if unused:
        output.warn(f"[Warning] one or more build args were not consumed: [{' '.join(unused)}]")
    output.line(record["id"])
    return 0


def declare(app: Typer) -> None:
    from crate.cli.image import build_options
    from crate.cli.options import command

    command(
        app,
        "build",
        main,
        *build_options.rows(),
        help="Build an image from a Dockerfile",
        examples="""
            crate build -t app .
            crate build -f Containerfile.dev --target test --build-arg VERSION=2 src
            crate build -o type=local,dest=out --secret id=token,src=token.txt .
        """,
    )
