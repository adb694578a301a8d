"""What `crate build` does with what it has built: IDs, files that tell, manifest lists, and the proof; cold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crate.cli import output
from crate.errors import HostError, UsageError
from crate.storage.durable import write_file

if TYPE_CHECKING:
    from crate.build.request import Request
    from crate.build.sources.material import Material
    from crate.cli.build_display import Shown
    from crate.engine.context import Engine
    from crate.storage.image_record import ImageRecord


def list_name(requests: list[Request], names: list[str]) -> str:
    """The manifest list that the images of several platforms become; "" for one platform. UsageError."""
    if len(requests) == 1:
        return ""
    if any(one.type != "image" for one in requests[0].outputs):
        raise UsageError("cannot write files of several platforms", "build each by itself")
    if len(names) != 1:
        raise UsageError("a build for several platforms wants one name", "give it with --manifest, or --tag")
    return names[0]


def tell(engine: Engine, records: list[ImageRecord], names: list[str], listed: str, options: dict[str, Any]) -> None:
    """Adds the images to a list, if that is wanted, and writes the ID of it, or of the image, where it is wanted."""
    from crate.build.finishing import describe

    if not records:
        return
    image_id = records[-1]["id"]
    if listed:
        from crate.image.manifest import entries as manifest_entries

        images = [record["id"] for record in records]
        found = manifest_entries.create(engine.roots, engine.settings, listed, images, {"amend": True})
        image_id = found["id"] if len(records) > 1 else image_id
    if options["iidfile"]:
        _write(options["iidfile"], f"sha256:{image_id}")
    if options["metadata_file"]:
        _write(options["metadata_file"], json.dumps(describe(engine.roots, records[-1], names), indent=2) + "\n")
    if not any(text == "-" or "dest=-" in text for text in options["output"] or ()):
        output.line(image_id)  # else standard output is an archive


def _write(path: str, text: str) -> None:
    try:
        write_file(None, path, text, durable=False, mode=0o644)
    except OSError as error:
        raise HostError(f"cannot write {path}: {error.strerror}", "the image is there all the same") from None


def prove_it(
    engine: Engine, request: Request, material: Material, names: list[str], display: Shown, options: dict[str, Any]
) -> int:
    """--prove: 1, and what differs, when two builds do."""
    from crate.build.builder import deliver
    from crate.build.proving import prove
    from crate.storage import images

    with images.bring_in(engine.roots):
        with display:
            request, state, difference = prove(engine.roots, engine.settings, request, material, display)
        if difference:
            output.write(f"the two builds differ: {output.one_line(difference)}\n", 2)
            return 1
        record = deliver(engine.roots, engine.settings, request, state, names)
    tell(engine, [record] if record else [], names, "", options)
    return 0
