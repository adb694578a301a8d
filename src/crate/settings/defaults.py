"""Every key of config.toml with its default and its meaning; docs/configuration.md is made from this table.

The type of a default is the type that a file must give. A default of `{}` is a table whose keys the user chooses.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    Value = bool | int | str | list[str] | dict[str, list[str]]

CAPABILITIES = (
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FSETID CAP_FOWNER CAP_MKNOD CAP_NET_RAW CAP_SETGID CAP_SETUID CAP_SETFCAP "
    "CAP_SETPCAP CAP_NET_BIND_SERVICE CAP_SYS_CHROOT CAP_KILL CAP_AUDIT_WRITE"
).split()

# key → (default, what it means)
DEFAULTS: dict[str, tuple[Value, str]] = {
    "containers.capabilities": (
        list(CAPABILITIES),
        "Capabilities of a container without `--privileged`; `--cap-add` and `--cap-drop` change them.",
    ),
    "containers.cgroup_parent": ("", "Cgroup that containers are made in, as with `--cgroup-parent`."),
    "containers.cgroupns": ("private", "Cgroup namespace of containers: `private` or `host`."),
    "containers.detach_keys": ("ctrl-p,ctrl-q", "Keys that detach from a container; empty: none."),
    "containers.env": ([], "Environment variables of every container, `KEY=VALUE`; the image and `--env` go before."),
    "containers.env_host": (False, "Whether containers get the environment of the caller, as with `--env-host`."),
    "containers.http_proxy": (
        True,
        "Whether containers get http_proxy, https_proxy, ftp_proxy and no_proxy of the caller, in capitals too, "
        "as with `--http-proxy`.",
    ),
    "containers.init": (False, "Whether containers get an init process that reaps zombies, as with `--init`."),
    "containers.init_path": ("", "The program of `--init`; empty: catatonit, tini or docker-init, whichever is there."),
    "containers.limits": (
        "strict",
        "What a limit is that cannot be had: `strict`, an error; `best-effort`, a warning, as with `--limits`.",
    ),
    "containers.pids_limit": (2048, "Processes that a container may have; 0 or -1: as many as the host."),
    "containers.pull": ("missing", "When `run` and `create` pull: `always`, `missing`, `newer` or `never`."),
    "containers.read_only": (False, "Whether the root filesystem of containers is read-only, as with `--read-only`."),
    "containers.restart": ("no", "Restart policy, as with `--restart`."),
    "containers.seccomp_profile": (
        "",
        "File with the seccomp profile of containers; empty: docker's default profile; `unconfined`: none.",
    ),
    "containers.shm_size": ("64m", "Size of /dev/shm."),
    "containers.stop_timeout": (10, "Seconds between the stop signal and the kill."),
    "containers.ulimits": ([], "Resource limits of containers, `NAME=SOFT[:HARD]`; others are those of the caller."),
    "containers.userns": ("", "User namespace of containers, as with `--userns`; empty: the caller's."),
    "logs.driver": ("json-file", "Log driver, as with `--log-driver`."),
    "logs.max_file": (2, "Log files kept for a container: the current one and those rotated away."),
    "logs.max_size": ("64m", "Size at which a log file is rotated; `-1`: never."),
    "network.address_pools": (
        ["10.88.0.0/16", "10.89.0.0/16/24", "10.90.0.0/15/24", "172.28.0.0/14/24", "192.168.192.0/18/24"],
        "Subnets for new networks, the first that overlaps nothing on the host; `/16/24` cuts pieces of /24.",
    ),
    "network.bridge": ("crate0", "Bridge of the default network."),
    "network.cni_config_directory": (
        "/etc/cni/net.d",
        "Directory of CNI network configurations, whose networks containers may use; empty: none.",
    ),
    "network.cni_plugin_directories": (["/usr/lib/cni", "/opt/cni/bin"], "Where CNI plugins are looked for."),
    "network.default": (
        "podman",
        "Name of the default network; `bridge`, `podman` and its bridge's name mean it, too.",
    ),
    "network.dns": ([], "DNS servers of containers, as with `--dns`; none: the host's."),
    "network.dns_options": ([], "Resolver options of containers, as with `--dns-option`."),
    "network.dns_search": ([], "DNS search domains of containers, as with `--dns-search`."),
    "network.ipv6_subnet": ("", "IPv6 subnet of the default network; empty: it has none."),
    "network.lease_root": ("/run/crate/addresses", "Directory that the addresses in use are kept in."),
    "network.rootless": (
        "pasta",
        "Network of an ordinary user's containers: `pasta`, `slirp4netns`, `none`, or `bridge`: one of the user's own.",
    ),
    "network.table": ("crate", "Name of crate's nftables table."),
    "pods.infra_image": (
        "",
        "Image of the infra containers of pods, as with `--infra-image`; empty: crate's own program.",
    ),
    "proxies.http": ("", "Proxy for http registries; the variable http_proxy goes before."),
    "proxies.https": ("", "Proxy for https registries; the variable https_proxy goes before."),
    "proxies.no_proxy": ("", "Hosts without a proxy, separated by commas; the variable no_proxy goes before."),
    "registries.insecure": (
        [],
        "Registries used without TLS or with any certificate: `host[:port]` or a subnet.",
    ),
    "registries.mirrors": ({}, 'Mirrors of a registry, tried first: `"docker.io" = ["mirror.example.org"]`.'),
    "shell.image": (
        "",
        "Image of `crate shell` without one; empty: that of the shell made last, else the host's distribution.",
    ),
    "storage.driver": (
        "",
        "Storage driver: `overlay`, `fuse-overlayfs` or `vfs`; empty: the first of them that works here.",
    ),
    "storage.root": ("", "Directory of images and containers, as with `--root`."),
    "storage.runroot": ("", "Directory of what lives until reboot, as with `--runroot`."),
}
