"""`inspect` of containers: docker's fields, and podman's further ones."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

IMAGE = "crate.local/busybox"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]

# of `docker inspect` 27 and `podman inspect` 4.3, without what only Windows, swarm or a daemon has
DOCKER = {
    "": "AppArmorProfile Args Config Created Driver ExecIDs GraphDriver HostConfig HostnamePath HostsPath Id "
    "Image LogPath MountLabel Mounts Name NetworkSettings Path Platform ProcessLabel ResolvConfPath "
    "RestartCount State",
    "State": "Dead Error ExitCode FinishedAt OOMKilled Paused Pid Restarting Running StartedAt Status",
    "Config": "AttachStderr AttachStdin AttachStdout Cmd Domainname Entrypoint Env Hostname Image Labels OnBuild "
    "OpenStdin StdinOnce Tty User Volumes WorkingDir StopSignal StopTimeout ExposedPorts",
    "HostConfig": "AutoRemove Binds BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps "
    "BlkioWeight BlkioWeightDevice CapAdd CapDrop Cgroup CgroupParent CgroupnsMode ContainerIDFile "
    "CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpuShares CpusetCpus CpusetMems "
    "DeviceCgroupRules Devices Dns DnsOptions DnsSearch ExtraHosts GroupAdd Init IpcMode Links LogConfig "
    "MaskedPaths Memory MemoryReservation MemorySwap MemorySwappiness NanoCpus NetworkMode OomKillDisable "
    "OomScoreAdj PidMode PidsLimit PortBindings Privileged PublishAllPorts ReadonlyPaths ReadonlyRootfs "
    "RestartPolicy Runtime SecurityOpt ShmSize Sysctls Tmpfs UTSMode Ulimits UsernsMode VolumeDriver "
    "VolumesFrom",
    "NetworkSettings": "Bridge EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen IPAddress IPPrefixLen "
    "IPv6Gateway MacAddress Networks Ports SandboxID SandboxKey",
}
PODMAN = {
    "": "BoundingCaps ConmonPidFile Dependencies EffectiveCaps ImageDigest ImageName IsInfra Namespace "
    "OCIConfigPath OCIRuntime PidFile Pod Rootfs StaticDir",
    "State": "CgroupPath ConmonPid OciVersion CheckpointedAt RestoredAt",
    "Config": "Annotations CreateCommand Timeout Umask",
    "HostConfig": "CgroupConf CgroupManager CgroupMode Cgroups",
}


def test_has_the_fields_of_docker_and_podman(crate: Crate) -> None:
    crate.ok("create", "--name", "box", IMAGE)
    found = crate.inspect("box")
    for fields in (DOCKER, PODMAN):
        for part, names in fields.items():
            assert set(names.split()) <= (found[part] if part else found).keys(), part


@pytest.mark.requires("nft")
def test_values(crate: Crate, tmp_path: Path) -> None:
    made = crate.ok(
        "run", "-d", "--name", "box", "-e", "A=b", "-l", "x=y", "-u", "33:50", "-w", "/tmp", "-h", "inner",
        "--domainname", "org", "-v", f"{tmp_path}:/mnt:ro", "-v", "data:/data", "--tmpfs", "/t:size=1m",
        "-p", "127.0.0.1::80/udp", "--expose", "99",
        "-m", "64m", "--memory-swap", "128m", "--cpus", "0.5", "--cpuset-cpus", "0", "--pids-limit", "50",
        "--ulimit", "nofile=64:128",
        "--cap-add", "net_admin", "--cap-drop", "MKNOD", "--security-opt", "no-new-privileges", "--dns", "192.0.2.1",
        "--add-host", "a:1.2.3.4", "--stop-signal", "INT", "--stop-timeout", "3", "--shm-size", "1m", "--read-only",
        "--restart", "no", "--oom-score-adj", "10", "--entrypoint", "sleep", IMAGE, "1000",
    )  # fmt: skip
    found = crate.inspect("box")
    state, config, host, network = (found[key] for key in ("State", "Config", "HostConfig", "NetworkSettings"))
    assert (found["Id"], found["Name"], found["Path"], found["Args"]) == (made, "box", "sleep", ["1000"])
    assert (state["Status"], state["Running"], state["ExitCode"], state["OOMKilled"]) == ("running", True, 0, False)
    assert state["Pid"] > 0 and state["FinishedAt"] == "0001-01-01T00:00:00Z" < state["StartedAt"]
    with open(f"/proc/{state['Pid']}/cmdline", "rb") as file:
        assert file.read() == b"sleep\x001000\x00"
    assert (config["User"], config["WorkingDir"], config["Hostname"], config["Domainname"]) == (
        "33:50",
        "/tmp",
        "inner",
        "org",
    )
    assert config["Cmd"] == ["1000"] and config["Entrypoint"] == ["sleep"] and "A=b" in config["Env"]
    assert config["Labels"]["x"] == "y" and config["StopSignal"] == "SIGINT" and config["StopTimeout"] == 3
    assert (
        config["Image"] == IMAGE
        and found["ImageName"] == f"{IMAGE}:latest"
        and config["ExposedPorts"] == {"80/udp": {}, "99/tcp": {}}
    )
    expected = {
        "Memory": 64 << 20, "MemorySwap": 128 << 20, "NanoCpus": 500_000_000, "CpusetCpus": "0", "PidsLimit": 50,
        "ShmSize": 1 << 20,
        "CapAdd": ["CAP_NET_ADMIN"], "CapDrop": ["CAP_MKNOD"], "SecurityOpt": ["no-new-privileges"],
        "Dns": ["192.0.2.1"],
        "ExtraHosts": ["a:1.2.3.4"], "ReadonlyRootfs": True, "OomScoreAdj": 10, "NetworkMode": "bridge",
        "Privileged": False,
        "Ulimits": [{"Name": "nofile", "Soft": 64, "Hard": 128}],
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "PortBindings": {"80/udp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}, "AutoRemove": False,
    }  # fmt: skip
    assert {key: host[key] for key in expected} == expected
    assert "size=1048576" in host["Tmpfs"]["/t"] and host["LogConfig"]["Type"] == "json-file"
    mounts = {mount["Destination"]: mount for mount in found["Mounts"]}
    assert (
        mounts["/mnt"].items()
        >= {"Type": "bind", "Source": str(tmp_path), "RW": False, "Propagation": "rprivate"}.items()
    )
    assert mounts["/data"].items() >= {"Type": "volume", "Name": "data", "Driver": "local", "RW": True}.items()
    _check_network(network, state["Pid"])
    assert "CAP_NET_ADMIN" in found["BoundingCaps"] and "CAP_MKNOD" not in found["BoundingCaps"]
    assert os.path.exists(found["OCIConfigPath"]) and os.path.isdir(found["GraphDriver"]["Data"]["UpperDir"])


def _check_network(network: dict[str, Any], pid: int) -> None:
    assert re.match(r"^10\.\d+\.\d+\.\d+$", network["IPAddress"]) and network["IPPrefixLen"] == 24
    assert network["SandboxKey"] == f"/proc/{pid}/ns/net" and network["MacAddress"].count(":") == 5
    ports = network["Ports"]
    assert (
        ports["99/tcp"] is None
        and ports["80/udp"][0]["HostIp"] == "127.0.0.1"
        and int(ports["80/udp"][0]["HostPort"]) > 0
    )
    (attached,) = network["Networks"].values()
    assert attached["IPAddress"] == network["IPAddress"] and attached["Gateway"] == network["Gateway"]


def test_after_the_end(crate: Crate) -> None:
    crate.ok("run", "--name", "box", IMAGE, "sh", "-c", "head -c 5000 /dev/zero > /file; exit 0")
    found = crate.inspect("box")
    assert found["State"]["Pid"] == 0 and found["State"]["StartedAt"] < found["State"]["FinishedAt"]
    assert found["NetworkSettings"]["IPAddress"] == "" == found["NetworkSettings"]["SandboxKey"]
    (sized,) = json.loads(crate.ok("inspect", "--size", "box"))
    assert sized["SizeRw"] == 5000 and sized["SizeRootFs"] > 5000


def test_formats_and_failures(crate: Crate) -> None:
    made = crate.ok("create", "--name", "box", "-l", "x=y", IMAGE, "a", "b")
    for form, expected in {
        "{{.Id}} {{.ID}}": f"{made} {made}",
        "{{.State.Status}}": "created",
        "{{range .Args}}[{{.}}]{{end}}": "[b]",
        '{{index .Config.Labels "x"}}{{.Config.Labels.none}}': "y<no value>",
        "{{json .Config.Cmd}}": '["a","b"]',
        "{{.HostConfig.PortBindings}} {{.HostConfig.CapAdd}}": "map[] []",
        "{{len .Mounts}} {{if .State.Running}}up{{else}}down{{end}}": "0 down",
    }.items():
        assert crate.ok("inspect", "-f", form, made[:8]) == expected, form
    result = crate("inspect", "box", "gone")
    assert result.status == 125 and json.loads(result.out)[0]["Id"] == made and "gone" in result.err
    assert "Nonsense" in crate.fails(125, "inspect", "-f", "{{.Nonsense}}", "box")
    assert json.loads(crate.ok("inspect", "--latest"))[0]["Name"] == "box"
    assert crate.ok("inspect", "--type", "image", "-f", "{{.Architecture}}", IMAGE)
    assert "--type" in crate.fails(125, "inspect", "--type", "pig", "box")
    assert crate("inspect", "--type", "volume", "box").status == 125
