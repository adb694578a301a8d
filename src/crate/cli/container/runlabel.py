"""`crate container runlabel`: executes the command that a label of an image holds."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from typer import Typer

_PROGRAMS = ("podman", "docker", "crate", "/usr/bin/podman", "/usr/bin/docker")


def words_of(label: str, image: str, name: str, more: Sequence[str], program: Sequence[str]) -> list[str]:
    """The command line: IMAGE, NAME and PWD are filled in, the engine that it names is this one. UsageError."""
    import os
    import shlex

    from crate.errors import UsageError

    try:
        words = shlex.split(label)
    except ValueError as error:
        raise UsageError(f"cannot read the label: {str(error).lower()}") from None
    if not words:
        raise UsageError("cannot run the label: it is empty")
    values = {"IMAGE": image, "NAME": name, "PWD": os.getcwd()}
    filled = []
    for word in words:
        for key, value in values.items():
            word = word.replace(f"${{{key}}}", value).replace(f"${key}", value).replace(f"={key}", f"={value}")
            word = value if word == key else word
        filled.append(word)
    begin = list(program) if filled[0] in _PROGRAMS else [filled[0]]
    return [*begin, *filled[1:], *more]


def _look(options: dict[str, Any]) -> dict[str, str]:
    """The label, the full name of the image, and the name for a container; --replace makes that one free."""
    import crate.engine
    from crate.errors import NotFoundError
    from crate.image import local, pull

    engine = crate.engine.open(options["globals"])
    if local.find(engine.roots, options["image"]) is None:
        pull.pull(engine.roots, engine.settings, options["image"], options)
    record = local.get(engine.roots, options["image"])
    label = ((record["config"].get("config") or {}).get("Labels") or {}).get(options["label"])
    if not label:
        raise NotFoundError(f"cannot find the value of label: {options['label']} in image: {options['image']}")
    full = record["names"][0] if record["names"] else record["id"]
    name = options["name"] or full.rpartition("/")[2].partition("@")[0].partition(":")[0]
    if options["replace"] and not options["display"]:
        from crate.engine import containers, remove

        try:
            remove.remove(engine, containers.find(engine, name), force=True)
        except NotFoundError:
            pass
    return {"label": label, "image": full, "name": name}


def main(options: dict[str, Any]) -> int:
    """The exit status of the command; with --display 0."""
    import os
    import shlex

    from crate.cli import apart, output
    from crate.errors import UsageError

    found = apart.call(lambda: _look(options))  # the command runs outside of the namespace that an engine enters
    program = apart.own_words(options["globals"])
    words = words_of(found["label"], found["image"], found["name"], options["arguments"] or (), program)
    is_own = words[: len(program)] == program
    shown = ["crate", *words[len(program) :]] if is_own else words
    if options["display"]:
        output.line(f"command: {' '.join(shown)}")
        return 0
    if not options["quiet"]:
        output.warn(f"command: {' '.join(shown)}")
    try:
        status = os.spawnvp(os.P_WAIT, words[0], words)
    except OSError as error:
        raise UsageError(f"cannot execute {shlex.quote(words[0])}: {error.strerror}") from None
    return status if status >= 0 else 128 - status


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "runlabel",
        main,
        argument("label", "LABEL"),
        argument("image", "IMAGE"),
        argument("arguments", "[ARG...]", required=False, several=True),
        flag("--display", help="Print the command, and do not execute it"),
        text("--name", "-n", help="What NAME stands for (default: the name of the image)"),
        flag("--replace", help="Remove a container of that name first"),
        flag("--rm", help="Accepted for podman's scripts", hidden=True),
        flag("--quiet", "-q", help="Do not print the command"),
        text("--authfile", help="Path of the authentication file", metavar="path"),
        text("--cert-dir", help="Directory of certificates for the registry", metavar="path"),
        text("--creds", help="Credentials for the registry", metavar="user:password"),
        flag("--tls-verify", help="Require HTTPS and verify certificates (default true)"),
        stop_at_argument=True,
        help="Execute the command described by an image label",
        description="For images that are trusted only: the command runs on the host, as whoever calls. IMAGE, NAME and"
        " PWD in it are filled in, and podman or docker stand for crate.",
        examples="""
            crate container runlabel --display run web
            crate container runlabel install tool /usr/local
        """,
    )
