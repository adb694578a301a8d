"""`inspect` of every kind of object: looks names up, prints JSON or the output of a template."""

from __future__ import annotations

from crate.cli import app, output
from crate.errors import CrateError, NotFoundError, UsageError
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from crate.engine.context import Engine

KINDS = ("container", "image", "volume", "network", "pod")

# Fields whose values Go has as maps: a key that is missing is no error there.
_MAPS = (
    "Annotations", "Config", "Data", "DriverOpts", "ExposedPorts", "Labels", "LogOpts", "Networks", "Options", "Opts",
    "PortBindings", "Ports", "Storage", "StorageOpt", "Sysctls", "Tmpfs", "Volumes", "Containers", "Status",
)  # fmt: skip


def main(options: dict[str, Any]) -> int:
    """Prints what exists of the named objects; 125 when something does not."""
    import crate.engine

    kind = options["type"] or "all"
    if kind not in (*KINDS, "all"):
        raise UsageError(f'invalid --type "{kind}"', f"one of {', '.join(KINDS)}")
    names = list(options["names"] or [])
    implied = "latest" if options["latest"] else "all" if options.get("all") else ""
    if implied and names:
        raise UsageError(f"--{implied} and arguments cannot be used together")
    if not implied and not names:
        raise UsageError("you must provide at least one name or id")
    engine = crate.engine.open(options["globals"])
    if implied:
        names, kind = _implied(engine, options, kind)
    found, failures = [], []
    for name in names:
        try:
            if options.get("platform"):
                from crate.image import wanted

                wanted.check(engine.roots, name, options)
            found.append(_look_up(engine, kind, name, bool(options["size"])))
        except CrateError as error:
            failures.append(error)
    output.write(shown(found, options["format"]))
    for failure in failures:
        app.report(failure)
    return max((failure.exit_status for failure in failures), default=0)


def shown(found: list[dict[str, Any]], form: str | None) -> str:
    """JSON, or each through a template."""
    if form is None or form == "":
        return json.pretty(found) + "\n"
    if form == "json":
        from crate.cli.template.values import json_text

        return json_text(found) + "\n"
    from crate.cli.template import Template

    template = Template(form.replace("\\t", "\t").replace("\\n", "\n"), "inspect")
    return "".join(template.execute(with_maps(value)) + "\n" for value in found)


def with_maps(value: Any, field: str = "") -> Any:
    """The same data, with `GoMap` where Go has a map (there a missing key is `<no value>`), else `GoStruct`."""
    if isinstance(value, dict):
        from crate.cli.template.values import GoMap, GoStruct, NetworksMap

        items = {key: with_maps(item, key) for key, item in value.items()}
        is_map = field in _MAPS and not (field == "Config" and "Env" in value)
        return NetworksMap(items) if field == "Networks" else GoMap(items) if is_map else GoStruct(items)
    if isinstance(value, list):
        return [with_maps(item) for item in value]
    return value


def _implied(engine: Engine, options: dict[str, Any], kind: str) -> tuple[list[str], str]:
    if options["latest"]:
        from crate.cli import targets

        return [targets.latest(engine).id], "container"
    from crate.engine import volumes

    return [record["name"] for record in volumes.listing(engine)], kind


def _look_up(engine: Engine, kind: str, name: str, size: bool) -> dict[str, Any]:
    """The object of that name: with `all`, the first kind that has one."""
    for candidate in KINDS if kind == "all" else (kind,):
        try:
            return _LOOK[candidate](engine, name, size)
        except NotFoundError:
            if kind != "all":
                raise
    raise NotFoundError(f'no such object: "{name}"')


def _container(engine: Engine, name: str, size: bool) -> dict[str, Any]:
    from crate.engine import containers
    from crate.engine.inspect import container as inspect

    return inspect.inspect(engine, containers.find(engine, name), size=size)


def _image(engine: Engine, name: str, size: bool) -> dict[str, Any]:
    from crate.image import inspect, local
    from crate.storage import layers

    record = local.get(engine.roots, name)
    directories = [layers.diff_path(engine.roots, layer) for layer in record["layers"]]
    return inspect.inspect(engine.roots, record, engine.roots.driver or "overlay", directories)


def _volume(engine: Engine, name: str, size: bool) -> dict[str, Any]:
    from crate.engine import volumes

    return volumes.inspect(engine, name)


def _network(engine: Engine, name: str, size: bool) -> dict[str, Any]:
    from crate.engine.networks import verbs as networks

    return networks.inspect(engine, name)


def _pod(engine: Engine, name: str, size: bool) -> dict[str, Any]:
    from crate.engine.pods import inspect as pod_inspect
    from crate.engine.pods import pod as pods

    return pod_inspect.inspect(engine, pods.find(engine, name))


_LOOK: dict[str, Callable[[Engine, str, bool], dict[str, Any]]] = {
    "container": _container,
    "image": _image,
    "volume": _volume,
    "network": _network,
    "pod": _pod,
}
