"""--cache-to and --cache-from: the cache of one build, carried to another host as an image.

It has the layers of a stage and, in its config, the records of the steps that made them (`crate.build.cache`), so that
any registry and any layout of OCI holds it. A directory has one for each stage, a registry that of the target.

    type=local,dest=DIR | src=DIR        type=registry,ref=NAME  or  NAME        type=inline: nothing to do
"""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING, Any

from crate.build.bases import find_image
from crate.build.records import dataclass
from crate.errors import CrateError, HostError, UsageError
from crate.image import making
from crate.linux.process import fork_child
from crate.oci import json, moment
from crate.storage import build_cache, images, layers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import NoReturn

    from crate.build.request import Request
    from crate.build.state import State
    from crate.settings import Settings
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

FIELD = "crate.build.cache"
_NOT_HERE = ("gha", "s3", "azblob")
_TEXT_MAX = 1 << 16


@dataclass
class Place:
    """A directory, or the name of an image."""

    directory: str = ""
    name: str = ""


def parse_places(option: str, texts: Iterable[str]) -> list[Place]:
    """UsageError for what is none."""
    found = []
    for text in texts:
        if "=" not in text:
            found.append(Place(name=text))
            continue
        try:
            pairs = dict(word.partition("=")[::2] for word in next(csv.reader([text], strict=True)))
        except (csv.Error, StopIteration):
            raise UsageError(f"invalid --{option} {text}") from None
        kind = pairs.get("type", "")
        if kind == "local":
            path = pairs.get("dest") or pairs.get("src") or ""
            if not path:
                raise UsageError(f"invalid --{option} {text}: no directory", "type=local,src=DIR or dest=DIR")
            found.append(Place(directory=os.path.abspath(path)))
        elif kind == "registry" and pairs.get("ref"):
            found.append(Place(name=pairs["ref"]))
        elif kind != "inline":
            hint = "crate has type=local and type=registry" if kind in _NOT_HERE else "type=local or type=registry,ref="
            raise UsageError(f'invalid --{option} {text}: cannot use type "{kind}"', hint)
    return found


def bring_in(
    roots: Roots, settings: Settings, request: Request, places: Iterable[Place], note: Callable[[str], object]
) -> None:
    """Takes the records of caches in, with their layers. One that is not there is no error: `note` is told."""
    for place in places:
        from crate.image import load

        try:
            if place.directory:
                policy = request.pull_options.get("signature_policy")
                found = [loaded.record for loaded in load.load(roots, place.directory, signature_policy=policy)]
                _learn(roots, found)
                for record in found:
                    _forget(roots, record)
            else:
                record = find_image(roots, settings, place.name, "newer", request.pull_options, note)
                _learn(roots, [record])
        except CrateError as error:
            note(f"cannot use the cache {place.directory or place.name}: {error.message}")


def _learn(roots: Roots, found: Iterable[ImageRecord]) -> None:
    for image in found:
        known = image["config"].get(FIELD)
        for record in known if isinstance(known, list) else ():
            made = _record(record, image)
            if made and build_cache.find(roots, made["key"]) is None:
                build_cache.put(roots, made.pop("key"), made)


def _record(told: Any, image: ImageRecord) -> dict[str, Any] | None:
    """A record of a step by what a stranger tells of it; None for what is none, or whose layer the image has not.

    What the layer is, the image says: a registry has its blob compressed.
    """
    if not isinstance(told, dict):
        return None
    key, chain, created = (told.get(name) for name in ("key", "layer", "created"))
    if not isinstance(key, str) or len(key) != 64 or key.strip("0123456789abcdef"):
        return None
    if not isinstance(created, str) or moment.rfc3339(created) is None or chain not in ("", *image["layers"]):
        return None
    size, text = told.get("size"), str(told.get("text") or "")[:_TEXT_MAX]
    found: dict[str, Any] = {"key": key, "layer": chain, "created": created, "parent": ""}
    found |= {"size": size if type(size) is int and size >= 0 else 0, "text": text}
    if chain:
        at = image["layers"].index(chain)
        descriptor = image["manifest"]["layers"][at]
        found["parent"] = image["layers"][at - 1] if at else ""
        found["diff_id"] = image["config"]["rootfs"]["diff_ids"][at]
        found["descriptor"] = {name: descriptor[name] for name in ("mediaType", "digest", "size")}
    return found


def _forget(roots: Roots, record: ImageRecord) -> None:
    """The image of a cache is no image to run: its layers stay, for the cache names them."""
    if FIELD in record["config"]:
        images.remove(roots, record["id"], lambda: layers.list_ids(roots))


def take_out(
    roots: Roots, settings: Settings, request: Request, states: Sequence[State], places: Iterable[Place]
) -> None:
    """Writes the cache of stages, the target's last. Raises what a push raises, HostError."""
    for place in places:
        from crate.image import save

        made = [_image(roots, state) for state in (states if place.directory else states[-1:])]
        try:
            if place.directory:
                save.save(roots, [(record, []) for record in made], "oci-dir", place.directory)
            else:
                push_apart(roots, settings, made[-1]["id"], place.name, request.pull_options)
        except OSError as error:
            raise HostError(f"cannot write {place.directory}: {os.strerror(error.errno or 0)}") from None
        finally:
            for record in made:
                _forget(roots, record)


def _image(roots: Roots, state: State) -> ImageRecord:
    records = [record for key in state.keys if (record := build_cache.find(roots, key))]
    config = {
        "created": state.created or making.now(),
        "architecture": state.architecture,
        "os": state.os,
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": state.diff_ids},
        "history": [],
        FIELD: records,
    }
    descriptors: Any = state.descriptors
    return making.make(roots, config, descriptors)


def push_apart(roots: Roots, settings: Settings, image: str, destination: str, options: dict[str, Any]) -> None:
    """Pushes an image in a process of its own: requests and its threads stay out of this one."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)

    def child() -> NoReturn:
        from crate.image import push

        answer: dict[str, Any] = {}
        try:
            push.push(roots, settings, image, destination, options)
        except CrateError as error:
            answer = {"message": error.message, "hint": error.hint, "status": error.exit_status}
        os.write(write_fd, json.dumps(answer).encode())
        os._exit(0)

    pid = fork_child(child)
    os.close(write_fd)
    with open(read_fd, "rb") as pipe:
        told = pipe.read()
    os.waitpid(pid, 0)
    if not told:
        raise HostError(f"the push of {destination} was killed")
    answer = json.loads(told)
    if answer:
        raise CrateError(answer["message"], answer["hint"], answer["status"])
