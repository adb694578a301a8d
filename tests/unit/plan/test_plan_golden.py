"""Options → the whole plan, against files; `CRATE_UPDATE_GOLDEN=1 pytest` writes them anew, to be read in the diff."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from unit.plan.oci_schema import CONFIG
from unit.plan.plan_cases import IMAGE, PLAIN, MemoryHost, make

GOLDEN = Path(__file__).parent / "golden"

CASES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "main-job": {"command": ["sh"], "cpuset_cpus": "0,1", "memory": "128m", "rm": True},
    "image": {"image_record": IMAGE},
    "image-changed": {
        "image_record": IMAGE,
        "entrypoint": "/other",
        "command": ["-x"],
        "workdir": "/a//b/../c/",
        "user": "1000:1000",
        "group_add": ["audio", "5"],
        "env": ["LANG=de", "HOME=/x", "NEW=1"],
        "label": ["vendor=me", "flag"],
        "publish_all": True,
        "publish": ["127.0.0.1:8080:80"],
        "stop_signal": "9",
        "stop_timeout": 3,
        "no_healthcheck": True,
    },
    "terminal": {"tty": True, "interactive": True, "hostname": "box", "domainname": "example", "name": "box"},
    "resources": {
        "memory": "256m",
        "memory_swap": "512m",
        "memory_reservation": "64m",
        "memory_swappiness": 10,
        "oom_kill_disable": True,
        "oom_score_adj": 500,
        "cpus": "1.5",
        "cpu_shares": 512,
        "cpuset_cpus": "0-2",
        "cpuset_mems": "0",
        "pids_limit": 100,
        "blkio_weight": 300,
        "blkio_weight_device": ["/dev/sda:200"],
        "device_read_bps": ["/dev/sda:1mb"],
        "device_write_bps": ["/dev/sda:2mb"],
        "device_read_iops": ["/dev/sda:100"],
        "device_write_iops": ["/dev/sda:200"],
        "cgroup_conf": ["memory.high=1000000"],
        "cgroup_parent": "/mine",
        "ulimit": ["nofile=100:200", "core=-1"],
    },
    "mounts": {
        "volume": ["/srv:/deep/er:ro", "./here:/here:rshared,nosuid", "named:/named:nocopy", "/anonymous"],
        "mount": ["type=bind,src=/srv/file,dst=/file,ro,bind-recursive=writable", "type=tmpfs,dst=/t,tmpfs-size=1m"],
        "tmpfs": ["/deep:size=64k,exec"],
        "shm_size": "1m",
        "read_only": True,
        "init": True,
    },
    "privileged": {"privileged": True},
    "locked-down": {
        "cap_drop": ["ALL"],
        "cap_add": ["net_bind_service"],
        "security_opt": ["no-new-privileges", "seccomp=unconfined", "mask=/secret:/other", "unmask=/proc/a*"],
        "read_only": True,
        "read_only_tmpfs": False,
        "network": ["none"],
    },
    "host-namespaces": {"network": ["host"], "pid": "host", "ipc": "host", "uts": "host", "cgroupns": "host"},
    "container-namespaces": {"network": ["container:n"], "pid": "container:p", "ipc": "container:i"},
    "network": {
        "network": ["web:ip=10.1.0.5,alias=www", "back"],
        "mac_address": "92-D0-C6-0A-29-33",
        "publish": ["80:80", "8000-8002:8000-8002/udp", "[::1]:9:9", "10.0.0.1::5", "7"],
        "expose": ["100-101/udp"],
        "add_host": ["db:10.0.0.9"],
        "dns": ["1.1.1.1"],
        "dns_search": ["example.org"],
        "dns_option": ["ndots:1"],
        "sysctl": ["net.ipv4.ip_forward=1", "kernel.shmmax=1000"],
    },
    "devices": {"device": ["/dev/fuse", "/dev/sda:/dev/xvda:r", "/dev/snd"], "device_cgroup_rule": ["c 42:* rwm"]},
    "rootless": {"host": MemoryHost(rootless=True), "network": ["host"], "device": ["/dev/fuse"], "pid": "host"},
}


def plan_of(case: dict[str, Any]) -> Any:
    options = dict(case)
    return make(options.pop("image_record", PLAIN), options.pop("host", None), **options)


@pytest.mark.parametrize("name", CASES)
def test_plan_is_the_golden_one(name: str) -> None:
    made = plan_of(CASES[name])
    seccomp = made["spec"]["linux"].pop("seccomp", None)
    made["spec"]["linux"]["seccomp"] = seccomp and "default profile"
    del made["record"]  # these two have tests of their own
    path = GOLDEN / f"{name}.json"
    text = json.dumps(made, indent=1) + "\n"
    if os.environ.get("CRATE_UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("name", CASES)
def test_spec_fits_the_schema(name: str) -> None:
    jsonschema.validate(plan_of(CASES[name])["spec"], CONFIG)
