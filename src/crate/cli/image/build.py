"""`crate build`: makes an image by a Dockerfile."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Shows the steps, then prints the ID of the image; with --prove 1 when two builds differ."""
    import os

    import crate.engine
    from crate.build.builder import build
    from crate.build.refused import check_options
    from crate.build.request import make_request
    from crate.build.sources.material import open_material
    from crate.cli import output
    from crate.cli.build_display import display_of
    from crate.cli.image import build_result, push
    from crate.engine.files.commit import local_name

    check_options(options)
    if options["retry_delay"]:
        options["retry_delay"] = push.seconds(options["retry_delay"])
    platforms = [one for text in options["platform"] or ("",) for one in text.split(",")]
    requests = [make_request({**options, "platform": platform}, os.environ) for platform in platforms]
    named = [*requests[0].names, *(name for one in requests[0].outputs for name in one.names)]
    names = list(dict.fromkeys(local_name(name) for name in named))
    listed = options["manifest"] or build_result.list_name(requests, names)
    display = display_of(options)
    engine = crate.engine.open(options["globals"])
    with open_material(engine.roots, engine.settings, options) as material:
        for warning in material.dockerfile.warnings:
            output.warn(f"[Warning] {warning}")
        if options["check"]:
            return 0
        if options["prove"]:
            return build_result.prove_it(engine, requests[0], material, names, display, options)
        unused: list[str] = []
        records = []
        with display:
            for request in requests:
                own = names if len(requests) == 1 else []
                record, unused = build(engine.roots, engine.settings, request, material, own, display)
                records.append(record)
    if unused:
        output.warn(f"[Warning] one or more build args were not consumed: [{' '.join(unused)}]")
    display.done(names)
    build_result.tell(engine, [record for record in records if record], names, listed, options)
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
