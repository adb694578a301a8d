"""spec.linux and hooks: namespaces, cgroups, seccomp, id maps, time; what is refused and what is ignored."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from program import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundles import Bundle, Ran

    Run = Callable[[], Ran]

pytestmark = pytest.mark.requires("root", "runc", "busybox")


@pytest.mark.parametrize("kind", ["pid", "network", "ipc", "uts", "mount", "cgroup"])
def test_namespaces_are_new(bundle: Bundle, run: Run, kind: str) -> None:
    if kind not in bundle.namespaces():
        bundle.linux["namespaces"].append({"type": kind})
    file = {"network": "net", "mount": "mnt"}.get(kind, kind)
    bundle.process["args"] = ["readlink", f"/proc/self/ns/{file}"]
    assert run().out.strip() not in ("", os.readlink(f"/proc/self/ns/{file}"))


def test_hostname(bundle: Bundle, run: Run) -> None:
    bundle.spec["hostname"] = "a-name"
    bundle.process["args"] = ["hostname"]
    assert run().out == "a-name\n"


@pytest.mark.parametrize("kind", ["network", "ipc", "uts"])
def test_join_a_namespace(bundle: Bundle, run: Run, kind: str) -> None:
    flag, file = {"network": ("--net", "net"), "ipc": ("--ipc", "ipc"), "uts": ("--uts", "uts")}[kind]
    with subprocess.Popen(["unshare", flag, "sleep", "60"]) as holder:
        try:
            path = f"/proc/{holder.pid}/ns/{file}"
            while os.readlink(path) == os.readlink(f"/proc/self/ns/{file}"):
                pass
            bundle.linux["namespaces"] = [e for e in bundle.linux["namespaces"] if e["type"] != kind]
            bundle.linux["namespaces"].append({"type": kind, "path": path})
            bundle.spec.pop("hostname", None)
            bundle.process["args"] = ["readlink", f"/proc/self/ns/{file}"]
            assert run().out.strip() == os.readlink(path)
        finally:
            holder.kill()


def test_loopback_is_up(bundle: Bundle, crate_run: Run) -> None:
    bundle.process["args"] = ["ip", "link", "show", "lo"]
    assert "LOOPBACK,UP" in crate_run().out


def seccomp(action: str, *names: str, **more: Any) -> dict[str, Any]:
    """A filter that allows everything but the named calls."""
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [{"names": list(names), "action": action, **more}],
    }


def test_seccomp_errno(bundle: Bundle, run: Run) -> None:
    bundle.linux["seccomp"] = seccomp("SCMP_ACT_ERRNO", "mkdir", "mkdirat", errnoRet=28)
    bundle.shell("mkdir /tmp/x 2>&1")
    assert "No space left" in run().out


def test_seccomp_argument(bundle: Bundle, run: Run) -> None:
    args = [{"index": 1, "value": 15, "op": "SCMP_CMP_EQ"}]
    bundle.linux["seccomp"] = seccomp("SCMP_ACT_ERRNO", "kill", errnoRet=1, args=args)
    bundle.shell("kill -TERM $$ 2>/dev/null || echo refused; kill -0 $$ && echo allowed")
    assert run().out.split() == ["refused", "allowed"]


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_seccomp_with_and_without_no_new_privileges(bundle: Bundle, run: Run, no_new_privileges: bool) -> None:
    bundle.process["noNewPrivileges"] = no_new_privileges
    bundle.linux["seccomp"] = seccomp("SCMP_ACT_ERRNO", "mkdir", "mkdirat")
    bundle.shell("mkdir /tmp/x 2>/dev/null || echo refused; grep Seccomp: /proc/self/status")
    assert run().out.split() == ["refused", "Seccomp:", "2"]


@pytest.mark.requires("cgroup-v1")
def test_limits_v1(bundle: Bundle, run: Run) -> None:
    bundle.linux["resources"] = {
        "memory": {"limit": 64 << 20},
        "pids": {"limit": 77},
        "cpu": {"shares": 300, "quota": 50000, "period": 100000, "cpus": "0"},
    }
    script = [
        f"awk -F: '$2 == \"{name}\" {{print $3}}' /proc/self/cgroup" for name in ("memory", "pids", "cpu", "cpuset")
    ]
    bundle.shell("; ".join(script) + "; until test -e /tmp/seen; do sleep 0.05; done")
    place = bundle.linux["cgroupsPath"].lstrip("/")
    seen: list[str] = []

    def look() -> None:
        root = Path("/sys/fs/cgroup")
        for file in (
            f"memory/{place}/memory.limit_in_bytes", f"pids/{place}/pids.max", f"cpu/{place}/cpu.shares",
            f"cpu/{place}/cpu.cfs_quota_us", f"cpuset/{place}/cpuset.cpus",
        ):  # fmt: skip
            seen.append((root / file).read_text().strip())

    def later() -> None:
        def is_there() -> bool:
            try:
                members = Path(f"/sys/fs/cgroup/memory/{place}/tasks").read_text().split()
                return bool(members) and Path(f"/proc/{members[0]}/comm").read_text() in ("sh\n", "sleep\n")
            except OSError:
                return False

        try:
            until(is_there, 50)
            look()
        finally:
            (bundle.rootfs / "tmp/seen").touch()

    watcher = threading.Thread(target=later)
    watcher.start()
    run()
    watcher.join()
    assert seen == [str(64 << 20), "77", "300", "50000", "0"]
    assert not Path(f"/sys/fs/cgroup/memory/{place}").exists()


def test_user_namespace(bundle: Bundle, run: Run) -> None:
    bundle.linux["namespaces"].append({"type": "user"})
    maps = [{"containerID": 0, "hostID": 200000, "size": 65536}]
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = maps
    bundle.process["args"] = ["cat", "/proc/self/uid_map"]
    subprocess.run(["chown", "200000:200000", bundle.rootfs], check=True)
    assert run().out.split() == ["0", "200000", "65536"]


def test_id_mapped_bind(bundle: Bundle, crate_run: Run) -> None:
    host = bundle.place / "host"
    host.mkdir()
    (host / "file").touch()
    maps = [{"containerID": 0, "hostID": 1000, "size": 1}]
    entry = {"destination": "/m", "type": "bind", "source": str(host), "options": ["bind", "idmap"]}
    bundle.spec["mounts"].append({**entry, "uidMappings": maps, "gidMappings": maps})
    bundle.shell("stat -c '%u %g' /m/file")
    assert crate_run().out == "1000 1000\n"


def test_time_namespace(bundle: Bundle, crate_run: Run) -> None:
    bundle.linux["namespaces"].append({"type": "time"})
    bundle.linux["timeOffsets"] = {"boottime": {"secs": 10_000_000, "nanosecs": 0}}
    bundle.process["args"] = ["cut", "-d.", "-f1", "/proc/uptime"]
    with open("/proc/uptime", encoding="ascii") as file:
        here = float(file.read().split()[0])
    assert -1 < int(crate_run().out) - here - 10_000_000 < 60


def hook(bundle: Bundle, name: str, script: str, **more: Any) -> dict[str, Any]:
    """A hook that runs a shell script of the host; its stdin is the state."""
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin", f"HOOK={name}"], **more}


def test_hooks_in_their_order(bundle: Bundle, run: Run) -> None:
    log = bundle.place / "log"
    kinds = ["prestart", "createRuntime", "poststart", "poststop"]
    bundle.spec["hooks"] = {kind: [hook(bundle, kind, f"cat >/dev/null; echo $HOOK >> {log}")] for kind in kinds}
    bundle.process["args"] = ["true"]
    assert run().status == 0
    assert log.read_text().split() == kinds


def test_hook_is_told_the_state(bundle: Bundle, run: Run) -> None:
    bundle.spec["annotations"] = {"some.key": "some value"}
    log = bundle.place / "state"
    bundle.spec["hooks"] = {"createRuntime": [hook(bundle, "it", f"cat > {log}")]}
    bundle.process["args"] = ["true"]
    assert run().status == 0
    state = json.loads(log.read_text())
    assert (state["bundle"], state["annotations"]) == (str(bundle.place), {"some.key": "some value"})
    assert state["pid"] > 1
    assert state["status"] in ("creating", "created")


def test_hook_that_says_much_and_listens_to_nothing(bundle: Bundle, crate_run: Run) -> None:
    bundle.spec["annotations"] = {"some.key": "x" * 200_000}
    bundle.spec["hooks"] = {"createRuntime": [hook(bundle, "it", "head -c 300000 /dev/zero | tr '\\0' x")]}
    bundle.process["args"] = ["echo", "started"]
    assert crate_run().out == "started\n"
    bundle.spec["hooks"] = {"createRuntime": [hook(bundle, "it", "head -c 300000 /dev/zero; echo; echo end; exit 9")]}
    ran = crate_run()
    assert ran.status == 125 and "ended with status 9: end" in ran.err


def test_start_container_hook_is_inside(bundle: Bundle, run: Run) -> None:
    inside = {"path": "/bin/sh", "args": ["sh", "-c", "echo yes > /hooked"], "env": ["PATH=/bin"]}
    bundle.spec["hooks"] = {"startContainer": [inside]}
    bundle.process["args"] = ["cat", "/hooked"]
    assert run().out == "yes\n"


def test_failing_hook_ends_it(bundle: Bundle, run: Run) -> None:
    bundle.spec["hooks"] = {"createRuntime": [hook(bundle, "it", "cat >/dev/null; echo broken >&2; exit 9")]}
    bundle.process["args"] = ["echo", "started"]
    ran = run()
    assert ran.status != 0
    assert ran.out == ""
    assert "broken" in ran.err


def test_hook_with_a_time_limit(bundle: Bundle, crate_run: Run) -> None:
    bundle.spec["hooks"] = {"createRuntime": [hook(bundle, "it", "sleep 60", timeout=1)]}
    bundle.process["args"] = ["echo", "started"]
    ran = crate_run()
    assert ran.status != 0
    assert ran.out == ""


def test_unknown_field_is_ignored(bundle: Bundle, run: Run) -> None:
    bundle.spec["somethingNew"] = {"a": 1}
    bundle.process["args"] = ["echo", "fine"]
    assert run().out == "fine\n"


def test_known_field_that_is_not_there_is_refused(bundle: Bundle, crate_run: Run) -> None:
    bundle.linux["intelRdt"] = {"closID": "x"}
    ran = crate_run()
    assert ran.status == 125
    assert "intelRdt" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"ociVersion": "7.0.0"}'])
def test_config_that_is_none(bundle: Bundle, crate: Any, text: str) -> None:
    (bundle.place / "config.json").write_text(text)
    assert "config.json" in crate.fails(125, "runtime", "run", "--bundle", str(bundle.place), "broken")
