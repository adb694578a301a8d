"""The options that `crate run` and `crate create` share: docker's, and podman's further ones; cold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crate.cli.options import argument, commas, flag, many, number, text
from crate.plan.unsupported import UNSUPPORTED

if TYPE_CHECKING:
    from crate.cli.options import Row

_DEVICE_BPS = "from a device, in bytes per second (/dev/sda:1mb)"
_SIZE = "(format: <number>[<unit>], unit b, k, m or g)"


def rows() -> list[Row]:
    """Arguments and options, by topic; the help text sorts them by name and marks what the plan refuses."""
    found = [
        argument("image", "IMAGE"),
        argument("command", "[COMMAND] [ARG...]", required=False, several=True),
        *_container(),
        *_process(),
        *_image(),
        *_resources(),
        *_files(),
        *_security(),
        *_namespaces(),
        *_network(),
        *_logging(),
        *_health(),
    ]
    for row in found:
        if row.name in UNSUPPORTED:
            row.default.help += " (refused)"
    return found


def _container() -> list[Row]:
    return [
        text("--name", help="Assign a name to the container"),
        text("--cidfile", help="Write the container ID to the file", metavar="path"),
        text("--pidfile", help="Write the process ID of the container to the file", metavar="path"),
        flag("--rm", help="Automatically remove the container and its associated anonymous volumes when it exits"),
        flag("--replace", help="If a container with the same name exists, replace it"),
        many("--label", "-l", help="Set meta data on a container", metavar="key=value"),
        many("--label-file", help="Read in a line delimited file of labels", metavar="path"),
        many(
            "--annotation",
            help="Add an annotation to the container (passed through to the OCI runtime)",
            metavar="key=value",
        ),
        number("--stop-timeout", help="Timeout (in seconds) to stop a container (default 10)"),
        text("--stop-signal", help="Signal to stop the container", metavar="signal"),
        number("--timeout", help="Seconds that the container may run; then it is killed", metavar="seconds"),
        many("--requires", help="Container that must be started before this one"),
        text("--pod", help="Run the container in a pod; new:NAME makes it"),
        text("--pod-id-file", help="Run the container in the pod whose ID is in the file", metavar="path"),
        text("--runtime", help="Accepted for docker's scripts: the runtime is built in"),
    ]


def _process() -> list[Row]:
    return [
        flag("--interactive", "-i", help="Keep STDIN open even if not attached"),
        flag("--tty", "-t", help="Allocate a pseudo-TTY"),
        commas("--attach", "-a", help="Attach to STDIN, STDOUT or STDERR", metavar="stream"),
        text("--detach-keys", help='Override the key sequence for detaching a container (default "ctrl-p,ctrl-q")'),
        flag("--sig-proxy", help="Proxy received signals to the process (default true)"),
        many("--env", "-e", help="Set environment variables", metavar="name[=value]"),
        many("--env-file", help="Read in a file of environment variables", metavar="path"),
        flag("--env-host", help="Use all current host environment variables in the container"),
        many("--env-merge", help="Set a variable from those of the image: PATH=$PATH:/more", metavar="name=value"),
        many("--unsetenv", help="Unset a default environment variable", metavar="name"),
        flag("--unsetenv-all", help="Unset all default environment variables"),
        flag("--http-proxy", help="Pass the proxy variables of the host (default true)"),
        text("--workdir", "-w", help="Working directory inside the container", metavar="path"),
        text("--user", "-u", help="Username or UID (format: <name|uid>[:<group|gid>])"),
        commas("--group-add", help="Add additional groups to join", metavar="group"),
        text("--umask", help='Umask in the container (default "0022")', metavar="mask"),
        text("--entrypoint", help="Overwrite the default ENTRYPOINT of the image"),
        flag("--init", help="Run an init inside the container that forwards signals and reaps processes"),
        text("--init-path", help="Path of the init binary on the host", metavar="path"),
        many("--ulimit", help="Ulimit options", metavar="name=soft[:hard]"),
        number("--preserve-fds", help="Pass a number of additional file descriptors into the container"),
        text("--personality", help="Execution domain (LINUX, LINUX32)"),
        text("--tz", help="Set timezone in the container", metavar="zone"),
        text("--systemd", help='Run in systemd mode ("true", "false", "always")', metavar="mode"),
        text("--sdnotify", help='Who answers to NOTIFY_SOCKET ("container", "conmon", "ignore")', metavar="mode"),
    ]


def _image() -> list[Row]:
    return [
        text(
            "--pull",
            help='Pull image before running ("always", "missing", "never", "newer") (default "missing")',
            metavar="policy",
        ),
        text("--platform", help="Set platform if the image has several", metavar="os/arch[/variant]"),
        text("--arch", help="Architecture of the image instead of the machine's"),
        text("--os", help="Operating system of the image"),
        text("--variant", help="Variant of the architecture of the image"),
        flag("--quiet", "-q", help="Suppress the pull output"),
        flag("--rootfs", help="The first argument is not an image but the root directory of a container"),
        flag("--tls-verify", help="Require HTTPS and verify certificates when pulling (default true)"),
        text("--authfile", help="Path of the authentication file", metavar="path"),
        text(
            "--image-volume",
            help='What becomes of volumes of the image ("anonymous", "tmpfs", "ignore")',
            metavar="mode",
        ),
        text("--signature-policy", help="Signature policy instead of the one in force", metavar="path"),
        flag("--disable-content-trust", help="Accepted for docker's scripts (default true)"),
    ]


def limits() -> list[Row]:
    """What `update` can change of a container that is there."""
    return [
        text("--memory", "-m", help=f"Memory limit {_SIZE}", metavar="bytes"),
        text("--memory-reservation", help=f"Memory soft limit {_SIZE}", metavar="bytes"),
        text(
            "--memory-swap", help="Swap limit equal to memory plus swap: '-1' to enable unlimited swap", metavar="bytes"
        ),
        number("--memory-swappiness", help="Tune container memory swappiness (0 to 100) (default -1)"),
        many(
            "--network-rate",
            help="Limit the traffic of a container, to it (in), from it (out) or both: 10mbit, 1gbit:in, 500kbps:out",
            metavar="rate[:in|:out]",
        ),
        text("--cpus", help="Number of CPUs", metavar="decimal"),
        number("--cpu-shares", "-c", help="CPU shares (relative weight)"),
        number("--cpu-period", help="Limit CPU CFS (Completely Fair Scheduler) period, in microseconds"),
        number("--cpu-quota", help="Limit CPU CFS (Completely Fair Scheduler) quota, in microseconds"),
        number("--cpu-rt-period", help="Limit CPU real-time period in microseconds"),
        number("--cpu-rt-runtime", help="Limit CPU real-time runtime in microseconds"),
        text("--cpuset-cpus", "--cpuset", help="CPUs in which to allow execution (0-3, 0,1)", metavar="cpus"),
        text("--cpuset-mems", help="MEMs in which to allow execution (0-3, 0,1)", metavar="nodes"),
        number("--pids-limit", help="Tune container pids limit (set -1 for unlimited)"),
        *_block_io(),
        text("--restart", help='Restart policy to apply when a container exits (default "no")', metavar="policy"),
    ]


def _resources() -> list[Row]:
    return [
        *limits(),
        text("--kernel-memory", help="Kernel memory limit", metavar="bytes"),
        text("--shm-size", help=f"Size of /dev/shm {_SIZE}", metavar="bytes"),
        flag("--oom-kill-disable", help="Disable OOM Killer"),
        number("--oom-score-adj", help="Tune host's OOM preferences (-1000 to 1000)"),
        number("--cpu-count", help="CPU count of Windows"),
        number("--cpu-percent", help="CPU percent of Windows"),
        text("--io-maxbandwidth", help="Maximum IO bandwidth of Windows", metavar="bytes"),
        number("--io-maxiops", help="Maximum IO operations per second of Windows"),
        text("--cgroup-parent", help="Optional parent cgroup for the container", metavar="path"),
        many("--cgroup-conf", help="Write VALUE into the file KEY of the container's cgroup", metavar="key=value"),
        text(
            "--limits", help='Whether a limit that cannot be had is an error ("strict", "best-effort")', metavar="mode"
        ),
        text("--cgroups", help='Whether the container gets a cgroup ("enabled", "disabled")', metavar="mode"),
    ]


def _block_io() -> list[Row]:
    return [
        number("--blkio-weight", help="Block IO (relative weight), between 10 and 1000, or 0 to disable"),
        many("--blkio-weight-device", help="Block IO weight of a device (/dev/sda:500)", metavar="device:weight"),
        many("--device-read-bps", help=f"Limit read rate {_DEVICE_BPS}", metavar="device:rate"),
        many("--device-write-bps", help=f"Limit write rate {_DEVICE_BPS}", metavar="device:rate"),
        many("--device-read-iops", help="Limit read rate (IO per second) from a device", metavar="device:rate"),
        many("--device-write-iops", help="Limit write rate (IO per second) to a device", metavar="device:rate"),
    ]


def _files() -> list[Row]:
    return [
        many("--volume", "-v", help="Bind mount a volume", metavar="[source:]target[:options]"),
        many("--mount", help="Attach a filesystem mount to the container", metavar="type=...,target=..."),
        many("--tmpfs", help="Mount a tmpfs directory", metavar="path[:options]"),
        many("--volumes-from", help="Mount volumes from the specified container(s)"),
        text("--volume-driver", help="Optional volume driver for the container"),
        many("--storage-opt", help="Storage driver options for the container", metavar="key=value"),
        flag("--read-only", help="Mount the container's root filesystem as read only"),
        flag("--read-only-tmpfs", help="With --read-only, keep /run, /tmp and /var/tmp writable (default true)"),
        many("--device", help="Add a host device to the container", metavar="path[:target][:rwm]"),
        many("--device-cgroup-rule", help="Add a rule to the cgroup allowed devices list", metavar="rule"),
        flag("--use-api-socket", help="Mount the socket of docker's daemon"),
        text("--gpus", help="GPU devices to add to the container ('all' to pass all GPUs)"),
        many("--secret", help="Secret to give to the container: NAME[,type=mount|env,target=,uid=,gid=,mode=]"),
        commas(
            "--chrootdirs",
            help="Directory that gets the container's /etc/hosts and /etc/resolv.conf too",
            metavar="path",
        ),
        flag("--passwd", help="Add entries to /etc/passwd and /etc/group (default true)"),
        text("--passwd-entry", help="Entry to write to /etc/passwd"),
        many("--hostuser", help="User of the host to add to /etc/passwd"),
    ]


def _security() -> list[Row]:
    return [
        flag("--privileged", help="Give extended privileges to this container"),
        flag(
            "--diagnose", help="Report each refused call, the rule that refused it, and the option that would allow it"
        ),
        commas("--cap-add", help="Add Linux capabilities", metavar="capability"),
        commas("--cap-drop", help="Drop Linux capabilities", metavar="capability"),
        many("--security-opt", help="Security options (landlock: a second wall of Landlock rules)", metavar="option"),
        many("--sysctl", help="Sysctl options", metavar="name=value"),
        text("--userns", help="User namespace to use", metavar="mode"),
        many("--uidmap", help="UID map of the user namespace", metavar="inside:outside:count"),
        many("--gidmap", help="GID map of the user namespace", metavar="inside:outside:count"),
        text("--subuidname", help="Name of the range in /etc/subuid", metavar="name"),
        text("--subgidname", help="Name of the range in /etc/subgid", metavar="name"),
        text("--seccomp-policy", help='How to choose a seccomp profile ("default", "image")', metavar="policy"),
    ]


def _namespaces() -> list[Row]:
    return [
        text("--isolation", help="Container isolation technology", metavar="technology"),
        text("--pid", help="PID namespace to use (host|private|container:ID)", metavar="mode"),
        text("--ipc", help="IPC mode to use (host|private|shareable|none|container:ID)", metavar="mode"),
        text("--uts", help="UTS namespace to use (host|private|container:ID)", metavar="mode"),
        text("--cgroupns", help="Cgroup namespace to use (host|private)", metavar="mode"),
        text("--hostname", "-h", help="Container host name"),
        text("--domainname", help="Container NIS domain name"),
    ]


def _network() -> list[Row]:
    return [
        many(
            "--network",
            "--net",
            help="Connect a container to a network (bridge|host|none|container:ID|NAME)",
        ),
        many("--network-alias", "--net-alias", help="Add network-scoped alias for the container"),
        commas(
            "--publish", "-p", help="Publish a container's port(s) to the host", metavar="[[ip:]port:]port[/protocol]"
        ),
        flag("--publish-all", "-P", help="Publish all exposed ports to random ports"),
        commas("--expose", help="Expose a port or a range of ports", metavar="port[/protocol]"),
        many("--add-host", help="Add a custom host-to-IP mapping (host:ip)", metavar="host:ip"),
        flag("--no-hosts", help="Do not write /etc/hosts, use the image's"),
        commas("--dns", help="Set custom DNS servers", metavar="address"),
        commas("--dns-option", "--dns-opt", help="Set DNS options", metavar="option"),
        commas("--dns-search", help="Set custom DNS search domains", metavar="domain"),
        text("--ip", help="IPv4 address (e.g., 172.30.100.104)", metavar="address"),
        text("--ip6", help="IPv6 address (e.g., 2001:db8::33)", metavar="address"),
        text("--mac-address", help="Container MAC address (e.g., 92:d0:c6:0a:29:33)", metavar="address"),
        text(
            "--net-cls-classid",
            help="Class of the container's packets for tc and the firewall of the host, where net_cls is mounted: 10:1",
            metavar="major:minor",
        ),
        many("--link", help="Add link to another container: its address and variables", metavar="name[:alias]"),
        many("--link-local-ip", help="Container IPv4/IPv6 link-local addresses", metavar="address"),
    ]


def _logging() -> list[Row]:
    return [
        text(
            "--log-driver",
            help='Logging driver for the container: "json-file", "k8s-file", "journald", "syslog", "local", '
            '"passthrough" or "none"',
            metavar="driver",
        ),
        many("--log-opt", help="Log driver options (max-size=10m)", metavar="key=value"),
    ]


def _health() -> list[Row]:
    return [
        flag("--no-healthcheck", help="Disable any container-specified HEALTHCHECK"),
        text("--health-cmd", help="Command to run to check health", metavar="command"),
        text("--health-interval", help="Time between running the check (ms|s|m|h)", metavar="duration"),
        number("--health-retries", help="Consecutive failures needed to report unhealthy"),
        text("--health-timeout", help="Maximum time to allow one check to run (ms|s|m|h)", metavar="duration"),
        text("--health-start-period", help="Start period before failures count (ms|s|m|h)", metavar="duration"),
        text(
            "--health-start-interval", help="Time between checks during the start period (ms|s|m|h)", metavar="duration"
        ),
        text(
            "--health-on-failure",
            help='What to do when the container turns unhealthy ("none", "kill", "restart", "stop")',
            metavar="action",
        ),
        number("--health-max-log-count", help="Number of checks that the log keeps, 0 for all (default 5)"),
        number("--health-max-log-size", help="Characters of output that it keeps of each, 0 for all (default 500)"),
        text(
            "--health-log-destination",
            help='Where the log is kept: "local", or a directory of the host (default "local")',
            metavar="place",
        ),
    ]
