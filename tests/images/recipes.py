"""What the test images hold: busybox from the host's binary, Debian by debootstrap, nginx and redis by apt on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from images.layers import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITE = "bookworm"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
APT = "apt-get install -q -y --no-install-recommends -o DPkg::Options::=--force-unsafe-io"
NO_SERVICES = "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d"
CLEAN = (
    "apt-get clean; rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/*.log /var/cache/ldconfig/aux-cache"
    " /var/cache/debconf/*-old /tmp/* /etc/resolv.conf /usr/sbin/policy-rc.d"
)

NGINX = f"""
{NO_SERVICES}
apt-get update -q && {APT} nginx-light
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log
{CLEAN}
"""
NGINX_CONFIG = {
    "Env": [PATH],
    "Cmd": ["nginx", "-g", "daemon off;"],
    "ExposedPorts": {"80/tcp": {}},
    "StopSignal": "SIGQUIT",
    "Labels": {"maintainer": "crate tests"},
}
REDIS = f"""
{NO_SERVICES}
apt-get update -q && {APT} redis-server
mkdir -p /data && chown redis:redis /data
{CLEAN}
"""
REDIS_CONFIG = {
    "Env": [PATH],
    "Entrypoint": ["redis-server"],
    "Cmd": ["--bind", "0.0.0.0", "--protected-mode", "no", "--dir", "/data"],
    "ExposedPorts": {"6379/tcp": {}},
    "Volumes": {"/data": {}},
    "User": "redis",
    "WorkingDir": "/data",
}


def busybox_binary() -> Path:
    """The host's static busybox (package busybox-static). FileNotFoundError when there is none."""
    for candidate in ("/usr/bin/busybox", "/bin/busybox"):
        if Path(candidate).is_file():
            return Path(candidate)
    raise FileNotFoundError("no busybox: install busybox-static")


def make_busybox(layout: Layout, work: Path) -> None:
    """Adds `busybox:latest`: one layer, the applets as hard links."""
    tree = work / "busybox"
    for folder in ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr/bin", "var/tmp"):
        (tree / folder).mkdir(parents=True)
    (tree / "tmp").chmod(0o1777)
    (tree / "var/tmp").chmod(0o1777)
    (tree / "root").chmod(0o700)
    (tree / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nnobody:x:65534:65534::/:/bin/false\n"
    )
    (tree / "etc/group").write_text("root:x:0:\ndaemon:x:1:\ntty:x:5:\nwww-data:x:33:\nnogroup:x:65534:\n")
    binary = tree / "bin/busybox"
    shutil.copyfile(busybox_binary(), binary)
    binary.chmod(0o755)
    for applet in subprocess.run([binary, "--list"], check=True, capture_output=True, text=True).stdout.split():
        if not (tree / "bin" / applet).exists():
            os.link(binary, tree / "bin" / applet)
    layer = layout.add_layer(tree)
    layout.add_image("busybox:latest", [layer], {"Env": [PATH], "Cmd": ["sh"]})


def apt_mirror() -> str:
    """The first mirror of Debian's main archive among the host's apt sources. LookupError when there is none."""
    words: list[str] = []
    for source in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.*"))]:
        if source.suffix in (".list", ".sources") and source.is_file():
            words += [word for line in source.read_text().splitlines() if line[:1] != "#" for word in line.split()]
    for word in words:
        if word.startswith(("http://", "https://")) and word.rstrip("/").endswith("/debian"):
            return word
    raise LookupError("no Debian mirror in the host's apt sources")


def make_debian(layout: Layout, work: Path) -> None:
    """Adds `debian:bookworm`, `nginx:latest` and `redis:latest`; `work/debian` stays as the base of the two. Root."""
    base = work / "debian"
    _run("debootstrap", "--variant=minbase", SUITE, str(base), apt_mirror())
    (base / "etc/dpkg/dpkg.cfg.d/tests").write_text("force-unsafe-io\n")
    _run("chroot", str(base), "sh", "-c", CLEAN)
    debian = layout.add_layer(base)
    layout.add_image(f"debian:{SUITE}", [debian], {"Env": [PATH], "Cmd": ["bash"]})
    for name, script, config in (("nginx", NGINX, NGINX_CONFIG), ("redis", REDIS, REDIS_CONFIG)):
        layer = _layer_on(base, work / name, layout, script)
        layout.add_image(f"{name}:latest", [debian, layer], config)


def _layer_on(base: Path, work: Path, layout: Layout, script: str) -> tuple[dict[str, Any], str]:
    with _overlay(base, work) as merged:
        shutil.copyfile("/etc/resolv.conf", merged / "etc/resolv.conf")
        _run("chroot", str(merged), "sh", "-e", "-c", script)
    return layout.add_layer(work / "upper")


@contextlib.contextmanager
def _overlay(lower: Path, work: Path) -> Iterator[Path]:
    for folder in ("upper", "work", "merged"):
        (work / folder).mkdir(parents=True)
    options = f"lowerdir={lower},upperdir={work}/upper,workdir={work}/work"
    _run("mount", "-t", "overlay", "overlay", "-o", options, str(work / "merged"))
    try:
        yield work / "merged"
    finally:
        _run("umount", str(work / "merged"))


def _run(*command: str) -> None:
    """Runs a step of a recipe; its whole output is the message of the failure."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command,
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:200]} ended with {done.returncode}:\n{done.stdout[-4000:]}")
