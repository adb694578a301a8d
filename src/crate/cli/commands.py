"""Which words name which command file; what the Typer application and the generated table are built from."""

from __future__ import annotations

# Spelling -> module under `crate.cli`. The first spelling of a module is its own name, the others are aliases.
COMMANDS = {
    "run": "container.run",
    "create": "container.create",
    "start": "container.start",
    "stop": "container.stop",
    "restart": "container.restart",
    "kill": "container.kill",
    "pause": "container.pause",
    "unpause": "container.unpause",
    "rename": "container.rename",
    "rm": "container.rm",
    "exec": "container.exec",
    "logs": "container.logs",
    "ps": "container.ps",
    "wait": "container.wait",
    "port": "container.port",
    "inspect": "system.inspect",
    "images": "image.images",
    "pull": "image.pull",
    "rmi": "image.rmi",
    "tag": "image.tag",
    "untag": "image.untag",
    "load": "image.load",
    "history": "image.history",
    "info": "system.info",
    "version": "system.version",
    "completion": "system.completion",
    "help": "system.help",
    "container run": "container.run",
    "container create": "container.create",
    "container start": "container.start",
    "container stop": "container.stop",
    "container restart": "container.restart",
    "container kill": "container.kill",
    "container pause": "container.pause",
    "container unpause": "container.unpause",
    "container rename": "container.rename",
    "container rm": "container.rm",
    "container remove": "container.rm",
    "container exec": "container.exec",
    "container logs": "container.logs",
    "container ls": "container.ps",
    "container list": "container.ps",
    "container ps": "container.ps",
    "container wait": "container.wait",
    "container port": "container.port",
    "container inspect": "container.inspect",
    "container exists": "container.exists",
    "image ls": "image.images",
    "image list": "image.images",
    "image pull": "image.pull",
    "image rm": "image.rmi",
    "image remove": "image.rmi",
    "image tag": "image.tag",
    "image untag": "image.untag",
    "image load": "image.load",
    "image history": "image.history",
    "image inspect": "image.inspect",
    "image exists": "image.exists",
    "runtime run": "runtime.run",
    "network ls": "network.ls",
    "network list": "network.ls",
    "network inspect": "network.inspect",
    "network exists": "network.exists",
    "volume ls": "volume.ls",
    "volume list": "volume.ls",
    "volume create": "volume.create",
    "volume rm": "volume.rm",
    "volume remove": "volume.rm",
    "volume inspect": "volume.inspect",
    "volume exists": "volume.exists",
    "pod create": "pod.create",
    "pod start": "pod.start",
    "pod stop": "pod.stop",
    "pod restart": "pod.restart",
    "pod kill": "pod.kill",
    "pod pause": "pod.pause",
    "pod unpause": "pod.unpause",
    "pod rm": "pod.rm",
    "pod exists": "pod.exists",
    "pod prune": "pod.prune",
    "system info": "system.info",
    "__complete": "system.complete",
}

GROUPS = {
    "container": "Manage containers",
    "image": "Manage images",
    "network": "Manage networks",
    "pod": "Manage pods",
    "runtime": "Run OCI bundles",
    "volume": "Manage volumes",
    "system": "Manage crate",
}

# The sections of `crate --help`, as docker has them.
COMMON = ("run", "exec", "ps", "pull", "images", "version", "info")


def spellings(module: str) -> list[str]:
    """Every spelling of a command, its own name first."""
    return [words for words, name in COMMANDS.items() if name == module]


def modules() -> list[str]:
    """Every command file once, in the order of the table."""
    return list(dict.fromkeys(COMMANDS.values()))
