"""What the `prune` commands share: the question on a terminal, which objects are meant, and how it is told; cold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from crate.cli import filters, human, output
from crate.engine import prune
from crate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.engine.context import Engine

_FILTERS = ("until", "label", "label!")


class Pruned:
    """What was removed, by heading, and the bytes that went."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = {}
        self.freed = 0

    def add(self, heading: str, lines: Sequence[str], freed: int = 0) -> None:
        """Notes what was removed of one kind."""
        self.freed += freed
        if lines:
            self.lines[heading] = list(lines)

    def show(self, total: bool = True) -> None:
        """Prints it as docker does."""
        for heading, lines in self.lines.items():
            output.write(f"{heading}:\n" + "".join(f"{line}\n" for line in lines) + "\n")
        if total:
            output.line(f"Total reclaimed space: {human.size(self.freed, 4)}")


def confirm(options: dict[str, Any], warning: str) -> bool:
    """Whether the user means it: --force, or a yes. UsageError where nobody can be asked."""
    if options["force"]:
        return True
    output.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    answer = b""
    while not answer.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            output.write("\n")
            raise UsageError("nobody confirmed what is to be removed", "answer y, or give --force")
        answer += piece
    return answer.strip().lower() in (b"y", b"yes")


def check(options: dict[str, Any], known: Sequence[str] = _FILTERS) -> None:
    """Refuses filters that the command does not have, before anything is asked or removed."""
    filters.parse(options["filter"] or (), known)


def containers(engine: Engine, options: dict[str, Any], pruned: Pruned) -> None:
    """Removes the containers that do not run and match."""
    idle = prune.idle_containers(engine)
    if options["filter"]:
        idle = filters.containers(engine, options["filter"], idle)
    pruned.add("Deleted Containers", *prune.containers(engine, idle))


def pods(engine: Engine, options: dict[str, Any], pruned: Pruned) -> None:
    """Removes the pods that have ended, unless only what matches a filter is to go."""
    if not options["filter"]:
        from crate.engine.pods import verbs as pod_verbs

        pruned.add("Deleted Pods", pod_verbs.prune(engine))


def cache(engine: Engine, options: dict[str, Any], pruned: Pruned) -> None:
    """Removes what the cache of builds keeps; without --all only what no image stands on."""
    from crate.build.pruning import prune as prune_cache
    from crate.cli.image.users import users

    removed, freed = prune_cache(engine.roots, users(engine).layers, everything=bool(options["all"]))
    pruned.add("Deleted build cache objects", [item.id[:25] for item in removed if item.id != "-"], freed)


def images(engine: Engine, options: dict[str, Any], pruned: Pruned) -> None:
    """Removes the images without a name, with --all those without a container, that match."""
    from crate.cli.image.users import users
    from crate.engine import containers as engine_containers
    from crate.image import listing

    lines, total = [], 0
    while True:
        used = {container.record["image"] for container in engine_containers.listing(engine)}
        found = listing.images(engine.roots, filters=options["filter"] or (), show_all=True)
        chosen = [i["id"] for i in found if (options["all"] or i["dangling"]) and i["id"] not in used]
        removals, freed = prune.images(engine, chosen, users(engine))
        for removal in removals:
            lines += [f"untagged: {name}" for name in removal.untagged] + [f"deleted: sha256:{removal.id}"]
        total += freed
        if not removals:
            break
    pruned.add("Deleted Images", lines, total)


def volumes(engine: Engine, options: dict[str, Any], pruned: Pruned, named: bool) -> None:
    """Removes the anonymous volumes, with `named` all, that no container uses and that match."""
    given = options["filter"] or ()
    named = named or any(filters.boolean(text[4:]) for text in given if text.startswith("all="))
    unused = [record for record in prune.unused_volumes(engine) if named or record["anonymous"]]
    matching = filters.volumes(engine, [text for text in given if not text.startswith("all=")], unused)
    pruned.add("Deleted Volumes", *prune.volumes(engine, matching))


def networks(engine: Engine, options: dict[str, Any], pruned: Pruned) -> None:
    """Removes the networks that no container uses and that match."""
    unused = filters.networks(engine, options["filter"], prune.unused_networks(engine))
    pruned.add("Deleted Networks", prune.networks(engine, unused))
