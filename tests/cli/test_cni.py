"""Networks of CNI plugins: Debian's own, and one of the tests' that notes what it is told and fails when it shall."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from program import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Crate

IMAGE = "crate.local/busybox"
SERVER = ("sh", "-c", "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www")
PLUGINS = "/usr/lib/cni"

pytestmark = [
    pytest.mark.requires("root", "overlay", "busybox", "nft", "cni-plugins"),
    pytest.mark.usefixtures("busybox"),
]

PROBE = textwrap.dedent("""\
    #!/usr/bin/python3
    import json, os, sys
    given = json.load(sys.stdin)
    with open("{notes}", "a") as file:
        json.dump({{"given": given, **{{k: v for k, v in os.environ.items() if k.startswith("CNI_")}}}}, file)
        file.write("\\n")
    if os.path.exists("{notes}.fail-" + os.environ["CNI_COMMAND"]):
        print(json.dumps({{"cniVersion": "1.0.0", "code": 11, "msg": "not\\nnow", "details": "ask later"}}))
        sys.exit(1)
    print(json.dumps(given.get("prevResult", {{}})))
""")


class Network:
    """A bridge of the plugins' own with host-local addresses, portmap and the probe."""

    def __init__(self, crate: Crate, subnet: str) -> None:
        self.crate, self.bridge = crate, f"cb{crate.mark}"
        self.subnet = subnet.removesuffix(".0/24")
        self.plugins, self.notes = crate.place / "plugins", crate.place / "notes"
        self.addresses = crate.place / "addresses"
        self.plugins.mkdir()
        probe = self.plugins / "probe"
        probe.write_text(PROBE.format(notes=self.notes))
        probe.chmod(0o755)
        (crate.place / "cni").mkdir()
        self.write("50-lan.conflist", {
            "cniVersion": "1.0.0", "name": "lan", "plugins": [
                {
                    "type": "bridge", "bridge": self.bridge, "isGateway": True, "ipMasq": False, "hairpinMode": True,
                    "capabilities": {"ips": True, "mac": True},
                    "ipam": {
                        "type": "host-local", "dataDir": str(self.addresses),
                        "ranges": [[{"subnet": f"{self.subnet}.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
                {"type": "probe", "capabilities": {"aliases": True, "portMappings": True}},
            ],
        })  # fmt: skip

    def write(self, name: str, configuration: dict[str, Any]) -> None:
        (self.crate.place / "cni" / name).write_text(json.dumps(configuration))

    def calls(self) -> list[dict[str, Any]]:
        """What the probe was told since the last time."""
        found = [json.loads(line) for line in self.notes.read_text().splitlines()]
        self.notes.write_text("")
        return found

    def leased(self) -> list[str]:
        directory = self.addresses / "lan"
        return sorted(name for name in os.listdir(directory) if name[0].isdigit()) if directory.is_dir() else []


@pytest.fixture
def lan(crate: Crate, subnet: str) -> Iterator[Network]:
    made = Network(crate, subnet)
    with crate.config.open("a") as file:
        file.write(f'cni_plugin_directories = ["{PLUGINS}", "{made.plugins}"]\n')
    yield made
    crate.ok("rm", "--all", "--force", "--time", "0")
    subprocess.run(["ip", "link", "del", made.bridge], check=False, capture_output=True)


def get(url: str) -> str:
    command = ["curl", "-s", "--max-time", "10", url]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def test_add_and_del(crate: Crate, lan: Network) -> None:
    lines = crate.ok("network", "ls", "--format", "{{.Name}} {{.Driver}}").splitlines()
    assert "lan cni" in lines
    crate.ok("run", "-d", "--name", "web", "--network", "lan:alias=www", "-p", "127.0.0.1::80", IMAGE, *SERVER)
    network = crate.inspect("web")["NetworkSettings"]["Networks"]["lan"]
    assert network["IPAddress"].startswith(lan.subnet) and network["Gateway"] == f"{lan.subnet}.1"
    assert lan.leased() == [network["IPAddress"]]
    assert network["MacAddress"] in crate.ok("exec", "web", "cat", "/sys/class/net/eth0/address")
    assert until(lambda: get(f"http://{network['IPAddress']}/")) == "served"
    published = crate.ok("port", "web", "80")
    assert until(lambda: get(f"http://{published}/")) == "served"  # by portmap
    (call,) = lan.calls()
    assert call["CNI_COMMAND"] == "ADD" and call["CNI_IFNAME"] == "eth0"
    assert call["CNI_CONTAINERID"] == crate.inspect("web")["Id"]
    assert call["given"]["prevResult"]["ips"][0]["address"] == f"{network['IPAddress']}/24"
    assert "www" in call["given"]["runtimeConfig"]["aliases"]["lan"]
    (mapping,) = call["given"]["runtimeConfig"]["portMappings"]
    assert mapping["containerPort"] == 80 and mapping["hostIP"] == "127.0.0.1"
    assert "capabilities" not in call["given"] and call["given"]["name"] == "lan"

    # names among crate's containers
    found = crate.ok("run", "--rm", "--network", "lan", IMAGE, "nslookup", "www", "127.0.0.11")
    assert network["IPAddress"] in found
    lan.calls()
    crate.ok("stop", "-t", "0", "web")
    (call,) = lan.calls()
    assert call["CNI_COMMAND"] == "DEL" and call["given"]["prevResult"]["ips"] and call["CNI_NETNS"] == ""
    assert lan.leased() == [] and get(f"http://{published}/") == ""

    wanted = f"lan:ip={lan.subnet}.77,mac=02:00:00:00:00:77"
    crate.ok("run", "-d", "--name", "fixed", "--network", wanted, IMAGE, "sleep", "99")
    fixed = crate.inspect("fixed")["NetworkSettings"]["Networks"]["lan"]
    assert (fixed["IPAddress"], fixed["MacAddress"]) == (f"{lan.subnet}.77", "02:00:00:00:00:77")
    refused = crate.fails(125, "run", "--rm", "--network", f"lan:ip={lan.subnet}.77", IMAGE, "true")
    assert "cannot connect to network lan: CNI plugin bridge: code" in refused
    assert lan.leased() == [f"{lan.subnet}.77"]
    assert "it is a file" in crate.fails(125, "network", "rm", "lan")


def test_connected_while_it_runs_and_killed(crate: Crate, lan: Network) -> None:
    crate.ok("run", "-d", "--name", "one", IMAGE, "sleep", "99")
    crate.ok("network", "connect", "lan", "one")
    assert lan.subnet in crate.ok("exec", "one", "ip", "addr", "show", "eth1")
    crate.ok("network", "disconnect", "lan", "one")
    assert [call["CNI_COMMAND"] for call in lan.calls()] == ["ADD", "DEL"] and lan.leased() == []
    crate.ok("run", "-d", "--name", "two", "--network", "lan", IMAGE, "sleep", "99")
    # one that died between its ADD and its state: the next container of the network undoes it
    (note,) = (crate.runroot.parent / "addresses").glob("*/.cni.*")
    kept = json.loads(note.read_text())
    kept["record"] |= {"container": "f" * 64, "owner": [2**22 + 1, 1]}
    (note.parent / f".cni.{'f' * 64}.eth0").write_text(json.dumps(kept))
    (note.parent / f".cni.{'e' * 64}.eth0").write_text("")
    crate.ok("run", "--rm", "--network", "lan", IMAGE, "true")
    calls = [(call["CNI_COMMAND"], call["CNI_CONTAINERID"] == "f" * 64) for call in lan.calls()]
    assert calls == [("ADD", False), ("DEL", True), ("ADD", False), ("DEL", False)]
    os.kill(int(crate.ok("inspect", "--format", "{{.State.ConmonPid}}", "two")), 9)
    until(lambda: crate("ps", "-q", "--filter", "name=two").out == "", what="the healing")
    assert [call["CNI_COMMAND"] for call in lan.calls()] == ["DEL"] and lan.leased() == []
    crate.ok("network", "connect", "lan", "one")
    os.kill(int(crate.ok("inspect", "--format", "{{.State.ConmonPid}}", "one")), 9)
    until(lambda: crate("ps", "-q", "--filter", "name=one").out == "", what="the healing of one connected late")
    assert [call["CNI_COMMAND"] for call in lan.calls()] == ["ADD", "DEL"] and lan.leased() == []


def test_failures(crate: Crate, lan: Network) -> None:
    Path(f"{lan.notes}.fail-ADD").touch()
    refused = crate.fails(125, "run", "--rm", "--network", "lan", IMAGE, "true")
    assert "cannot connect to network lan: CNI plugin probe: code 11: not now: ask later" in refused
    assert lan.leased() == []  # what came before it is undone
    assert [call["CNI_COMMAND"] for call in lan.calls()] == ["ADD", "DEL"]
    lan.write("60-more.conf", {"cniVersion": "0.4.0", "name": "more", "type": "absent"})
    lan.write("61-old.conf", {"cniVersion": "0.2.0", "name": "old", "type": "bridge"})
    (crate.place / "cni" / "62-broken.conf").write_text("{")
    (crate.place / "cni" / "63-no-name.conf").write_text('{"type": "bridge"}')
    lan.write("64-path.conf", {"cniVersion": "0.4.0", "name": "path", "type": "../../bin/sh"})
    names = crate.ok("network", "ls", "--filter", "driver=cni", "--format", "{{.Name}}").split()
    assert names == ["lan", "more", "old", "path"]
    assert "cannot find the CNI plugin absent" in crate.fails(125, "run", "--rm", "--network", "more", IMAGE, "true")
    assert "CNI version 0.2.0 is not supported" in crate.fails(125, "run", "--rm", "--network", "old", IMAGE, "true")
    assert "invalid CNI plugin" in crate.fails(125, "run", "--rm", "--network", "path", IMAGE, "true")
    assert "no such network" in crate.fails(125, "run", "--rm", "--network", "nowhere", IMAGE, "true")
