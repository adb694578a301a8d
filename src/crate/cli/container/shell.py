"""`crate shell`: a development shell with the caller's home and identity, in an image of his choice."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.engine.context import Engine


def main(options: dict[str, Any]) -> int:
    """The exit status of the command in the shell."""
    import crate.engine
    from crate.cli import output
    from crate.cli.container.run import pull
    from crate.engine import shell
    from crate.errors import NotFoundError, UsageError

    engine = crate.engine.open(options["globals"], pull, output.warn)
    if options["list"]:
        return _list(engine)
    image, command = _words(options)
    image = image or shell.default_image(engine)
    if options["rm"] or options["reset"]:
        if options["rm"] and command:
            raise UsageError("conflicting options: --rm removes the shell, and runs no command")
        found = shell.find(engine, image)
        if found:
            shell.remove(engine, found)
        elif options["rm"]:
            raise NotFoundError(f"no shell of the image {image}", "crate shell --list")
        if options["rm"]:
            return 0
    return shell.enter(engine, image, command, options)


def _words(options: dict[str, Any]) -> tuple[str | None, list[str]]:
    """Image and command: what follows a first `--` is the command, with an image before it or without."""
    import sys

    image, command = options["image"], list(options["command"] or ())
    given = [image, *command] if image is not None else []
    if "--" in sys.argv and sys.argv[sys.argv.index("--") + 1 :] == given:
        return None, given
    return image, command[1:] if command[:1] == ["--"] else command


def _list(engine: Engine) -> int:
    from crate.cli import formats, human, output
    from crate.engine import shell

    rows = [["NAME", "IMAGE", "CREATED", "STATUS"]]
    for one in shell.listing(engine):
        created, status = human.stamp(one.record["created"])[:16], one.state(engine)["status"]
        rows.append([one.name, one.record["labels"][shell.LABEL], created, status])
    output.write(formats.table(rows))
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, many, text

    command(
        app,
        "shell",
        main,
        argument("image", "[IMAGE]", required=False),
        argument("command", "[-- COMMAND [ARG...]]", required=False, several=True),
        many("--dir", help="Further directory of the host, at the same place, for a new shell", metavar="path"),
        many("--env", "-e", help="Set environment variables", metavar="name[=value]"),
        flag("--root", help="Be root inside, to install something"),
        flag("--reset", help="Make the shell anew first, without what was installed in it"),
        flag("--rm", help="Remove the shell"),
        flag("--list", "-l", help="List the shells"),
        text(
            "--pull", help='Pull the image before a new shell is made ("always", "missing", "never")', metavar="policy"
        ),
        stop_at_argument=True,
        help="Work in an image with your own home, user and terminal",
        description="""
            The shell is a container that stays between calls, one for each image: what is installed in it (--root) is
            there the next time. It has your user and home, /tmp, the network, the ssh agent, locale and terminal of the
            host; it is no confinement. Without an image it is that of the setting shell.image, that of the shell made
            last, or the distribution of the host.
        """,
        examples="""
            crate shell debian:bookworm
            crate shell --root debian:bookworm -- apt-get install -y gcc
            crate shell debian:bookworm -- make -j4
            crate shell --list
        """,
    )
