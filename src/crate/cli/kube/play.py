"""`crate kube play`, `play kube`: makes the pods that Kubernetes YAML describes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer


def main(options: dict[str, Any]) -> int:
    """Prints the ids of pods and containers."""
    import crate.engine
    from crate.cli import output
    from crate.cli.container.run import pull
    from crate.cli.kube import documents
    from crate.engine.pods import kube

    found = documents.read(options["file"])
    engine = crate.engine.open(options["globals"], pull, output.warn)
    if options["down"]:
        kube.down(engine, found, False, output.write)
    else:
        kube.play(engine, found, options, output.line)
    return 0


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, commas, flag, many, text

    command(
        app,
        "play",
        main,
        argument("file", "KUBEFILE|-"),
        commas("--annotation", help="Add annotations to the containers", metavar="key=value"),
        flag("--down", help="Stop and remove the pods instead"),
        text("--ip", help="Address of the pod", metavar="address"),
        text("--log-driver", help="Logging driver for the containers", metavar="driver"),
        many("--log-opt", help="Log driver options", metavar="key=value"),
        text("--mac-address", help="MAC address of the pod", metavar="address"),
        many("--network", "--net", help="Connect the pod to a network"),
        flag("--no-hosts", help="Do not write /etc/hosts, use the image's"),
        flag("--quiet", "-q", help="Suppress the pull output"),
        flag("--replace", help="Remove pods of the same names first"),
        flag("--start", help="Start the pods (default true)"),
        help="Create pods from Kubernetes YAML",
        description="""
            The kinds are Pod, Deployment (one replica) and PersistentVolumeClaim, which is a volume. A container is
            named POD-CONTAINER. What crate does not have and what would change a container is refused by its name.
        """,
        examples="""
            crate kube play web.yaml
            crate kube play --replace web.yaml
            crate kube down web.yaml
        """,
    )
