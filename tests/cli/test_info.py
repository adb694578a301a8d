"""`info` and `version`."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def test_info(crate: Crate) -> None:
    crate.ok("create", IMAGE)
    crate.ok("run", "-d", "--network", "none", IMAGE, "sleep", "1000")
    found = json.loads(crate.ok("info", "--format", "json"))
    assert {"bridge", "macvlan", "ipvlan", "vxlan", "cni"} <= set(found["Plugins"]["Network"])
    assert (found["Containers"], found["ContainersRunning"], found["ContainersStopped"], found["Images"]) == (
        2,
        1,
        1,
        1,
    )
    assert found["NCPU"] == os.cpu_count() and found["KernelVersion"] == os.uname().release
    assert found["DockerRootDir"] == str(crate.root) == found["store"]["graphRoot"]
    assert crate.ok("info", "-f", "{{.Host.Arch}} {{.Store.GraphDriverName}} {{.Host.Security.Rootless}}").endswith(
        " overlay false"
    )
    bridge = found["settings"]["network.bridge"]
    assert bridge["origin"] == str(crate.config) and crate.config.read_text().count(bridge["value"])
    text = crate.ok("info")
    assert f" network.bridge: {bridge['value']} ({crate.config})" in text.splitlines()
    assert " containers.stop_timeout: 10 (default)" in text.splitlines()


def test_version(crate: Crate) -> None:
    version = crate.ok("version", "--format", "{{.Client.Version}}")
    assert version and crate.ok("version", "-f", "{{.Server.Version}}") == version
    assert crate.ok("--version") == f"crate version {version}"
    assert crate.ok("version").splitlines()[0].split() == ["Version:", version]
    built = crate.ok("version", "-f", "{{.Server.Built}}")
    assert built.isdigit() and crate.ok("version", "-f", "{{.Server.APIVersion}}").startswith("1.")


def test_settings_are_defaults_of_options(crate: Crate) -> None:
    crate.config.write_text(
        crate.config.read_text().replace(
            "[containers]",
            '[containers]\nread_only = true\npids_limit = 77\nulimits = ["nofile=99:99"]\nenv = ["FROM=settings"]',
        )
    )
    result = crate("run", "--name", "box", "--network", "none", IMAGE, "sh", "-c", "ulimit -n; echo $FROM; touch /x")
    assert result.out.split() == ["99", "settings"] and "Read-only" in result.err
    assert crate.inspect("box")["HostConfig"]["PidsLimit"] == 77


def test_wrong_settings(crate: Crate) -> None:
    good = crate.config.read_text()
    for text, named in (
        ("colour = 1", "colour"),
        ("[containers]\npids_limit = 'many'", "pids_limit"),
        ("[[", "config.toml"),
    ):
        crate.config.write_text(text)
        assert named in crate.fails(125, "ps")
    crate.config.write_text(good)
    assert crate.ok("ps", "-q") == ""


def test_levels_of_messages(crate: Crate) -> None:
    """`--log-level` shows what is at or above it, on standard error."""
    shown = {}
    for level in ("trace", "debug", "info", "warn", "error"):
        done = crate("--log-level", level, "images", "-q")
        assert done.status == 0 and len(done.out.split()) == 1
        shown[level] = set(re.findall(r'^time="[^"]+" level=(\w+) msg=".+"$', done.err, re.MULTILINE))
    assert shown.pop("trace") == {"trace", "debug", "info"} and shown.pop("debug") == {"debug", "info"}
    assert shown == {"info": {"info"}, "warn": set(), "error": set()}
    assert " level=debug " in crate("-D", "version").err
    ports = ("create", "--network", "host", "-p", "80:80", IMAGE)
    assert crate(*ports).err and not crate("--log-level", "error", *ports).err
