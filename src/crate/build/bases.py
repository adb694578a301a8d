"""What FROM and --from name: images, found here or pulled by a process of their own."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, NoReturn

from crate.build.state import State
from crate.errors import CrateError, HostError, NotFoundError
from crate.image.progress import Progress
from crate.image.wanted import fits
from crate.linux.process import PR_SET_PDEATHSIG, fork_child, prctl, set_name
from crate.oci import json
from crate.oci import platform as platforms
from crate.storage import image_record, last_use, layers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from crate.oci.platform import Platform
    from crate.settings import Settings
    from crate.storage.image_record import ImageRecord
    from crate.storage.roots import Roots

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class _Told(Progress):
    """Passes on what a pull tells in words."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell

    def begin(self, subject: str) -> None:
        self._tell(f"Trying to pull {subject}...")

    def done(self, digest: str) -> None:
        self._tell(f"Copying blob {digest.partition(':')[2][:12]} done")

    def note(self, text: str) -> None:
        self._tell(f"Warning: {text}")


def find_image(
    roots: Roots,
    settings: Settings,
    name: str,
    policy: str,
    options: Mapping[str, Any],
    tell: Callable[[str], object],
) -> ImageRecord:
    """The image of a name by a pull policy. Raises what a pull raises.

    A pull leaves requests and threads in its process, which forbid and slow the forks to come: it has one of its own.
    """
    if policy in ("missing", "never"):
        from crate.image import local

        found = local.find(roots, name.removeprefix("docker://"))
        if found and fits(found, options):
            last_use.image_used(roots, found["id"])
            return found
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)

    def child() -> NoReturn:
        os.close(read_fd)
        set_name("crate:pull")
        _pull(roots, settings, name, policy, options, write_fd)

    pid = fork_child(child)
    os.close(write_fd)
    answer: dict[str, Any] = {}
    with open(read_fd, "rb") as pipe:
        for line in pipe:
            answer = json.loads(line)
            if "tell" in answer:
                tell(answer["tell"])
    os.waitpid(pid, 0)
    if "id" in answer:
        record = image_record.by_id(roots, answer["id"])
        if record is None:
            raise NotFoundError(f"{name}: the image was removed meanwhile")
        return record
    if "message" in answer:
        kind = NotFoundError if answer["missing"] else CrateError
        raise kind(answer["message"], answer["hint"], answer["status"])
    raise HostError(f"the pull of {name} was killed", "look for an out-of-memory kill in dmesg")


def _pull(
    roots: Roots, settings: Settings, name: str, policy: str, options: Mapping[str, Any], write_fd: int
) -> NoReturn:
    """Process `crate:pull`: a child of a stage's process, tells on its pipe, a line of JSON each; ends with 0."""
    from crate.image import pull

    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # the stage has gone: nobody wants it any more

    def send(fields: dict[str, Any]) -> None:
        os.write(write_fd, json.dumps(fields).encode() + b"\n")

    try:
        record = pull.ensure(roots, settings, name, policy, options, _Told(lambda text: send({"tell": text})))
        send({"id": record["id"]})
    except CrateError as error:
        missing = isinstance(error, NotFoundError)
        send({"message": error.message, "hint": error.hint, "status": error.exit_status, "missing": missing})
    except KeyboardInterrupt:
        pass
    except OSError as error:
        send({"message": f"cannot pull {name}: {error}", "hint": None, "status": 125, "missing": False})
    os._exit(0)


def scratch(platform: Platform) -> State:
    """The image of nothing."""
    state = State(platform.architecture, platform.os, platform.variant)
    state.config = {"Env": [DEFAULT_PATH], "WorkingDir": "/"}
    return state


def of_image(roots: Roots, record: ImageRecord, name: str) -> State:
    """What a stage begins with that is built on an image: all of it is inherited."""
    document = record["config"]
    own = platforms.of(document)
    state = State(own.architecture, own.os, own.variant)
    state.author = str(document.get("author") or "")
    state.config = dict(document.get("config") or {})
    state.history = [dict(entry) for entry in document.get("history") or ()]
    state.layers = list(record["layers"])
    state.diff_ids = list((document.get("rootfs") or {}).get("diff_ids") or ())
    state.descriptors = [dict(one) for one in record["manifest"].get("layers") or ()]
    missing = len(state.layers) - sum(not entry.get("empty_layer") for entry in state.history)
    state.history = [{"created": record["created"]} for _ in range(max(missing, 0))] + state.history
    state.created = record["created"]
    state.base = (next(iter(record["names"]), name), record["digest"])
    state.inherited = (len(state.layers), len(state.history))
    state.onbuild = list(state.config.pop("OnBuild", None) or ())
    state.image = record["id"]
    gone = layers.missing(roots, state.layers)
    if gone:
        raise NotFoundError(f"layer {gone[0][:12]} of {name} is missing", f"crate pull {name}")
    return state
