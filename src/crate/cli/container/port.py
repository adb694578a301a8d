"""`crate port`: shows which ports of the host lead to a container."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.engine.containers import Container
    from crate.engine.context import Engine


def _published(engine: Engine, container: Container) -> list[tuple[str, str]]:
    """(`80/tcp`, `0.0.0.0:8080`) of each published port of a container that runs."""
    from crate.engine.networks.published import published

    found = []
    for port in published(engine, container):
        address = port["host_ip"] or "0.0.0.0"
        address = f"[{address}]" if ":" in address else address
        found.append((f"{port['container_port']}/{port['protocol']}", f"{address}:{port['host_port']}"))
    return sorted(found, key=lambda pair: (int(pair[0].partition("/")[0]), pair))


def main(options: dict[str, Any]) -> int:
    """Prints `80/tcp -> 0.0.0.0:8080`, or for one port of the container only the addresses."""
    import crate.engine
    from crate.cli import output, targets
    from crate.engine import containers
    from crate.errors import NotFoundError, UsageError

    if options["all"] and (options["container"] or options["latest"]):
        raise UsageError("--all and --latest or containers cannot be used together")
    if not (options["all"] or options["container"] or options["latest"]):
        raise UsageError("you must supply a running container name or id")
    engine = crate.engine.open(options["globals"])
    if options["all"]:
        for container in containers.listing(engine):
            for port, address in _published(engine, container):
                output.line(f"{container.id[:12]}\t{port} -> {address}")
        return 0
    container = targets.one(engine, options)
    wanted = options["port"]
    if wanted and "/" not in wanted:
        wanted += "/tcp"
    found = [(port, address) for port, address in _published(engine, container) if wanted in (None, port)]
    if wanted and not found:
        raise NotFoundError(f"no public port {wanted!r} published for {container.name}", exit_status=1)
    for port, address in found:
        output.line(address if wanted else f"{port} -> {address}")
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag

    command(
        app,
        "port",
        main,
        argument("container", "CONTAINER", required=False),
        argument("port", "[PRIVATE_PORT[/PROTO]]", required=False),
        flag("--all", "-a", help="Show the ports of all containers"),
        flag("--latest", "-l", help="Act on the container created last"),
        help="List port mappings or a specific mapping for the container",
        examples="""
            crate port web
            crate port web 80/tcp
        """,
    )
