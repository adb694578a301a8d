"""`crate pod create`: makes a pod."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typer import Typer

    from crate.cli.options import Row

#: options of `run` that mean the same for the sandbox of a pod, or for the cgroup around its containers
_OF_RUN = (
    *("add_host", "cgroup_parent", "cpu_period", "cpu_quota", "cpu_shares", "cpus", "cpuset_cpus", "cpuset_mems"),
    *("blkio_weight", "blkio_weight_device", "device_read_bps", "device_write_bps", "device_read_iops"),
    *("device_write_iops", "memory", "memory_swap", "memory_reservation", "pids_limit", "device", "dns", "dns_option"),
    *("dns_search", "gidmap", "hostname", "ip", "ip6", "label", "label_file", "limits", "mac_address", "network"),
    *("network_alias", "no_hosts", "pid", "publish", "restart", "security_opt", "shm_size", "subgidname", "subuidname"),
    *("sysctl", "uidmap", "userns", "uts", "volume", "volumes_from"),
)


def main(options: dict[str, Any]) -> int:
    """Prints its id."""
    import sys

    import crate.engine
    from crate.cli import output
    from crate.cli.container.run import pull
    from crate.engine.pods import verbs as pod_verbs
    from crate.errors import UsageError

    given = options.pop("pod")
    if given and options["name"] and given != options["name"]:
        raise UsageError("cannot specify --name and a name of the pod")
    options["name"] = options["name"] or given
    options["create_command"] = ["crate", *sys.argv[1:]]
    engine = crate.engine.open(options["globals"], pull, output.warn)
    output.line(pod_verbs.create(engine, options).id)
    return 0


def shared_rows() -> list[Row]:
    """The options that `pod clone` has too."""
    from crate.cli.container import run_options
    from crate.cli.options import text

    return [
        text("--infra-command", help="Command of the sandbox, for --infra-image", metavar="command"),
        text("--infra-name", help="Assign a name to the sandbox"),
        text("--infra-conmon-pidfile", help="Refused: crate has no conmon", metavar="path", hidden=True),
        *(row for row in run_options.rows() if row.name in _OF_RUN),
    ]


def declare(app: Typer) -> None:
    from crate.cli.options import argument, command, flag, text

    command(
        app,
        "create",
        main,
        argument("pod", "[NAME]", required=False),
        text("--name", "-n", help="Assign a name to the pod"),
        text("--exit-policy", help='What happens when the last container exits (default "continue")', metavar="policy"),
        flag("--infra", help="Make a sandbox whose namespaces the containers share (default true)"),
        text("--infra-image", help="Image of the sandbox instead of crate's own program", metavar="image"),
        text("--pod-id-file", help="Write the pod ID to the file", metavar="path"),
        flag("--replace", help="If a pod with the same name exists, replace it"),
        text("--share", help='Namespaces to share: cgroup, ipc, net, pid, uts, none (default "ipc,net,uts")'),
        flag("--share-parent", help="Put the containers into the cgroup of the pod (default true)"),
        *shared_rows(),
        help="Create a pod",
        description="""
            The containers of a pod share the network, the IPC objects and the hostname of a sandbox, which the first
            of them starts. Published ports, addresses and names of hosts are the pod's; limits hold for all of its
            containers together.
        """,
        examples="""
            crate pod create --name web -p 8080:80
            crate run -d --pod web nginx
        """,
    )
