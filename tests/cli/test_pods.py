"""Pods: what their containers share, what the sandbox holds for them, and the commands on them."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from claims import free_port
from program import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from program import Crate

IMAGE = "crate.local/busybox"
SLEEP = (IMAGE, "sleep", "1000")
SERVER = ("sh", "-c", "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www")
SHARED = "network cannot be configured when it is shared with a pod"

pytestmark = pytest.mark.requires("root", "overlay", "busybox", "nft")


@pytest.fixture
def pods(crate: Crate) -> Iterator[Crate]:
    """crate whose pods are removed at the end."""
    yield crate
    crate.ok("pod", "rm", "--all", "--force", "--time", "0")


def show(crate: Crate, pod: str) -> dict[str, Any]:
    """`pod inspect`."""
    found = json.loads(crate.ok("pod", "inspect", pod))
    assert isinstance(found, dict)
    return found


def sandbox_of(crate: Crate, pod: str) -> str:
    return str(show(crate, pod)["InfraContainerID"])


def pid_of(crate: Crate, name: str) -> int:
    return int(crate.inspect(name)["State"]["Pid"])


def namespaces(pid: int) -> dict[str, str]:
    return {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in os.listdir(f"/proc/{pid}/ns")}


def status(crate: Crate, pod: str) -> str:
    return crate.ok("pod", "ps", "--filter", f"name=^{pod}$", "--format", "{{.Status}}")


def answers(port: int) -> bool:
    """Whether a web server does, at this port of the host."""
    with socket.socket() as connection:
        if connection.connect_ex(("127.0.0.1", port)):
            return False
        try:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"200 OK" in connection.recv(4096)
        except ConnectionError:  # the forwarder listens before the server does
            return False


def test_life_of_a_pod(pods: Crate) -> None:
    made = pods.ok("pod", "create", "--name", "web", "--label", "tier=front")
    assert len(made) == 64 and show(pods, "web")["State"] == "Created"
    heading, line = pods.ok("pod", "ps").splitlines()
    assert heading.split("  ")[0] == "POD ID" and heading.endswith("# OF CONTAINERS")
    assert line.split()[:3] == [made[:12], "web", "Created"] and line.split()[-1] == "1"
    assert pods("pod", "exists", made[:10]).status == 0 and pods("pod", "exists", "nobody").status == 1
    assert 'name "web" is in use: pod already exists' in pods.fails(125, "pod", "create", "web")
    pods.ok("create", "--pod", "web", "--name", "one", *SLEEP)
    pods.ok("run", "-d", "--pod", made, "--name", "two", *SLEEP)
    assert status(pods, "web") == "Degraded"
    assert pods.ok("pod", "start", "web") == made
    assert status(pods, "web") == "Running" and show(pods, "web")["NumContainers"] == 3
    assert "is running" in pods.fails(125, "pod", "rm", "web")
    assert pods.ok("pod", "stop", "-t", "0", "web") == made
    assert status(pods, "web") == "Exited"
    assert pods.inspect(sandbox_of(pods, "web"))["State"]["ExitCode"] == 0
    first = pods.inspect("one")["State"]["StartedAt"]
    assert pods.ok("pod", "restart", "-t", "0", "web") == made
    assert pods.inspect("one")["State"]["StartedAt"] > first
    assert pods.ok("pod", "kill", "web") == made
    assert status(pods, "web") == "Exited" and pods.inspect("two")["State"]["ExitCode"] == 137
    assert pods.ok("pod", "rm", "web") == made
    assert pods.ok("ps", "-aq") == "" and pods.ok("pod", "ps", "-q") == ""
    assert "no such pod" in pods.fails(1, "pod", "rm", "web")
    assert "no such pod" in pods.fails(125, "pod", "start", "web")
    assert pods.ok("pod", "rm", "--ignore", "web") == ""


def test_sandboxes_have_an_image(pods: Crate) -> None:
    """It is made once, is in use as long as there is a pod, and takes the pods along where that is forced."""
    name = "localhost/podman-pause:" + pods.ok("version", "--format", "{{.Server.Version}}-{{.Server.Built}}")
    pods.ok("pod", "create", "--name", "p")
    image = pods.ok("inspect", "--format", "{{.Id}}", name)
    layer = pods.root / "layers" / pods.ok("inspect", "--format", "{{index .RootFS.Layers 0}}", name)[7:] / "diff"
    assert os.listdir(layer) == ["crate:sandbox"]
    made = (layer / "crate:sandbox").stat()
    pods.ok("create", "--pod", "new:q", *SLEEP)
    pods.ok("run", "-d", "--pod", "p", *SLEEP)
    assert pods.ok("images", "-q", "localhost/podman-pause") == image[:12]
    assert (layer / "crate:sandbox").stat() == made
    assert pods.ok("ps", "-a", "--filter", f"ancestor={name}", "--format", "{{.Image}}").splitlines() == [name, name]
    in_use = "image is in use by a container: consider listing external containers and force-removing image"
    assert in_use in pods.fails(2, "rmi", name)
    told = pods("rmi", "--all").err.splitlines()
    assert told[0] == "Error: 2 errors occurred:" and [in_use in line for line in told[1:]] == [True, True]
    pods.ok("image", "prune", "-af")
    assert pods("image", "exists", name).status == 0
    assert pods.ok("rmi", "--force", name).splitlines() == [f"Untagged: {name}", f"Deleted: {image}"]
    assert pods.ok("ps", "-aq") == pods.ok("pod", "ps", "-q") == ""
    pods.ok("run", "--rm", "--pod", "new:p", IMAGE, "true")
    lines = pods.ok("rmi", "--all", "--force").splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Untagged", "Untagged", "Deleted", "Deleted"]
    assert f"Deleted: {image}" in lines and pods.ok("images", "-q") == pods.ok("pod", "ps", "-q") == ""


def test_containers_share_the_sandbox(pods: Crate) -> None:
    pods.ok("pod", "create", "--name", "p")
    pods.ok("run", "-d", "--pod", "p", "--name", "one", IMAGE, *SERVER)
    pods.ok("run", "-d", "--pod", "p", "--name", "two", *SLEEP)
    sandbox = namespaces(pid_of(pods, sandbox_of(pods, "p")))
    for name in ("one", "two"):
        own = namespaces(pid_of(pods, name))
        assert {kind for kind in own if own[kind] == sandbox[kind]} - {"time", "time_for_children", "user"} == {
            "net", "ipc", "uts",
        }  # fmt: skip
    until(lambda: "served" in pods("exec", "two", "wget", "-qO-", "http://localhost").out, what="one, from two")
    pods.ok("exec", "one", "touch", "/dev/shm/shared")
    pods.ok("exec", "two", "test", "-f", "/dev/shm/shared")
    assert pods.ok("run", "--rm", "--pod", "p", IMAGE, "sh", "-c", "hostname; echo $HOSTNAME") == "p\np"
    hosts = pods.ok("exec", "two", "cat", "/etc/hosts").splitlines()
    address = pods.inspect(sandbox_of(pods, "p"))["NetworkSettings"]["IPAddress"]
    assert any(line.startswith(f"{address}\tp ") for line in hosts) and {"127.0.0.1\tone", "127.0.0.1\ttwo"} <= set(
        hosts
    )
    pods.ok("rm", "-f", "-t", "0", "one")
    pods.ok("run", "--rm", "--pod", "p", "--name", "three", IMAGE, "grep", "three", "/etc/hosts")
    assert "127.0.0.1\tone" not in pods.ok("exec", "two", "cat", "/etc/hosts").splitlines()
    apart = pods.ok("run", "--rm", "--pod", "p", "--network", "none", "--ipc", "private", IMAGE, "ip", "-o", "link")
    assert "eth0" not in apart


def test_hosts_that_a_container_made_its_own(pods: Crate) -> None:
    """The file is the containers' to write: a huge one is left to them, and read by nobody."""
    pods.ok("pod", "create", "--name", "p")
    pods.ok("run", "-d", "--pod", "p", "--name", "one", *SLEEP)
    pods.ok("exec", "one", "truncate", "-s", "64G", "/etc/hosts")
    size = ("run", "--rm", "--pod", "p", IMAGE, "stat", "-c", "%s", "/etc/hosts")
    assert pods.ok(*size) == str(64 << 30)


def test_shared_pid_namespace_is_reaped(pods: Crate) -> None:
    """The sandbox is pid 1; what a container left without a parent goes to it, and leaves no zombie."""
    pods.ok("pod", "create", "--name", "p", "--share", "+pid")
    pods.ok("run", "-d", "--pod", "p", "--name", "one", *SLEEP)
    names = pods.ok("run", "--rm", "--pod", "p", IMAGE, "ps", "-o", "pid,comm").splitlines()
    assert names[1].split() == ["1", "crate:sandbox"] and any(line.split()[-1] == "sleep" for line in names)
    pods.ok("exec", "one", "sh", "-c", "(sleep 0.1 & exec true) & wait")
    sandbox = pid_of(pods, sandbox_of(pods, "p"))
    namespace = os.readlink(f"/proc/{sandbox}/ns/pid")

    def states() -> list[str]:
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/ns/pid") == namespace:
                    found.append(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
            except OSError:
                continue
        return found

    until(lambda: sorted(states()) == ["S", "S"], what="two processes, none of them a zombie")


def test_sandbox_has_no_right_and_little_memory(pods: Crate) -> None:
    pods.ok("pod", "create", "--name", "p")
    pods.ok("pod", "start", "p")
    lines = Path(f"/proc/{pid_of(pods, sandbox_of(pods, 'p'))}/status").read_text().splitlines()
    found = dict(line.split(":\t") for line in lines)
    assert found["Name"] == "crate:sandbox" and found["NoNewPrivs"] == "1" and found["Seccomp"] == "2"
    assert {found[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert int(found["VmRSS"].split()[0]) < 200


def test_ports_and_network_are_the_pods(pods: Crate) -> None:
    port = free_port()
    pods.ok("pod", "create", "--name", "p", "-p", f"{port}:80", "--add-host", "gate:192.0.2.7", "--dns", "192.0.2.9")
    assert show(pods, "p")["InfraConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": str(port)}]}
    pods.ok("run", "-d", "--pod", "p", "--name", "one", IMAGE, *SERVER)
    until(lambda: answers(port), what="the published port")
    assert pods.ok("port", "one") == f"80/tcp -> 0.0.0.0:{port}"
    assert f":{port}->80/tcp" in pods.ok("ps", "--filter", "name=one", "--format", "{{.Ports}}")
    assert "192.0.2.7\tgate" in pods.ok("exec", "one", "cat", "/etc/hosts")
    assert "nameserver 192.0.2.9" in pods.ok("exec", "one", "cat", "/etc/resolv.conf")
    pods.ok("pod", "stop", "-t", "0", "p")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))


def test_what_a_container_cannot_ask_for(pods: Crate) -> None:
    pods.ok("pod", "create", "--name", "p")
    for options, said in (
        (("-p", "80:80"), f"published or exposed ports must be defined when the pod is created: {SHARED}"),
        (("--ip", "10.0.0.9"), f"networks must be defined when the pod is created: {SHARED}"),
        (("--network", "other"), f"networks must be defined when the pod is created: {SHARED}"),
        (("--add-host", "a:1.2.3.4"), f"extra host entries must be specified on the pod: {SHARED}"),
        (("--hostname", "own"), "cannot set hostname when joining the pod UTS namespace: invalid configuration"),
        (("--pod-id-file", "/etc/hostname"), "cannot specify both --pod and --pod-id-file"),
    ):
        assert said in pods.fails(125, "run", "--rm", "--pod", "p", *options, IMAGE, "true")
    assert pods.ok("ps", "-aq") == sandbox_of(pods, "p")[:12]


def test_refused_pods_leave_nothing(pods: Crate) -> None:
    for options, said in (
        (("--share", "net,moon"), "invalid kernel namespace to share: moon"),
        (("--exit-policy", "never"), 'invalid pod exit policy: "never"'),
        (("--infra=false", "--share", "net"), "cannot set share(net) namespaces without an infra container"),
        (("--infra=false", "-p", "80"), "cannot set --publish without an infra container"),
        (("--name", "a/b"), 'invalid pod name "a/b"'),
        (("-p", "80:90:100:110"), "invalid"),
        (("--cpus", "0.001"), "range of CPUs"),
        (("--network", "nosuch"), "nosuch"),
    ):
        assert said in pods.fails(125, "pod", "create", *options)
    assert pods.ok("pod", "ps", "-q") == "" and pods.ok("ps", "-aq") == ""


def test_limits_hold_for_all_together(pods: Crate) -> None:
    pods.ok("pod", "create", "--name", "p", "--memory", "64m", "--cpuset-cpus", "0")
    pods.ok("run", "-d", "--pod", "p", "--name", "one", *SLEEP)
    group = show(pods, "p")["CgroupPath"]
    limits = [
        Path(place + group) / file
        for place, file in (
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup/unified", "memory.max"),
            ("/sys/fs/cgroup", "memory.max"),
        )
    ]
    assert "67108864" in [path.read_text().strip() for path in limits if path.exists()]
    inside = Path(f"/proc/{pid_of(pods, 'one')}/cgroup").read_text()
    assert f"{group}/{pods.inspect('one')['Id']}" in inside
    assert "Cpus_allowed_list:\t0\n" in Path(f"/proc/{pid_of(pods, 'one')}/status").read_text()
    assert (show(pods, "p")["memory_limit"], show(pods, "p")["cpuset_cpus"]) == (67108864, "0")


def test_nothing_shared_without_a_sandbox(pods: Crate) -> None:
    pods.ok("pod", "create", "--name", "p", "--share", "none")
    pods.ok("run", "-d", "--pod", "p", "--name", "one", "-p", "127.0.0.1::80", *SLEEP)
    found = show(pods, "p")
    assert (found["CreateInfra"], found["NumContainers"], status(pods, "p")) == (False, 1, "Running")
    assert pods.ok("exec", "one", "hostname") == pods.inspect("one")["Id"][:12]
    assert pods.ok("pod", "stop", "-t", "0", "p") == found["Id"]


def test_another_image_of_the_sandboxes_name_is_none(pods: Crate) -> None:
    """One that an archive brought, say: whatever its program is, it is not run."""
    name = "localhost/podman-pause:" + pods.ok("version", "--format", "{{.Server.Version}}-{{.Server.Built}}")
    pods.ok("run", "--name", "c", IMAGE, "cp", "/bin/busybox", "/crate:sandbox")
    pods.ok("commit", "--change", 'ENTRYPOINT ["/crate:sandbox"]', "--change", "CMD []", "c", name)
    pods.ok("rm", "c")
    forged = pods.ok("image", "inspect", "-f", "{{.Id}}", name)
    pods.ok("pod", "create", "--name", "p")
    pods.ok("pod", "start", "p")
    pid = pods.inspect(pods.ok("ps", "-q", "--no-trunc"))["State"]["Pid"]
    assert Path(f"/proc/{pid}/exe").stat().st_size < 1000
    own = pods.ok("image", "inspect", "-f", "{{.Id}}", name)
    assert own != forged
    pods.ok("pod", "create", "--name", "q")
    pods.ok("pod", "start", "q")
    assert pods.ok("image", "inspect", "-f", "{{.Id}}", name) == own


def test_pause(pods: Crate) -> None:
    pods.ok("pod", "create", "--name", "p")
    pods.ok("run", "-d", "--pod", "p", "--name", "one", *SLEEP)
    pods.ok("pod", "pause", "p")
    assert status(pods, "p") == "Paused"
    pods.ok("pod", "unpause", "p")
    assert status(pods, "p") == "Running"
    pods.ok("pod", "pause", "p")
    pods.ok("pod", "rm", "--force", "p")


def test_exit_policy(pods: Crate) -> None:
    for policy, end in (("continue", "Degraded"), ("stop", "Exited")):
        pods.ok("pod", "create", "--name", policy, "--exit-policy", policy)
        pods.ok("run", "-d", "--pod", policy, "--name", f"{policy}-1", *SLEEP)
        pods.ok("run", "--pod", policy, IMAGE, "true")
        assert status(pods, policy) == "Degraded"
        pods.ok("kill", f"{policy}-1")
        until(lambda end=end, policy=policy: status(pods, policy) == end, what=f"{policy}: {end}")  # type: ignore[misc]


def test_prune_takes_what_has_ended(pods: Crate) -> None:
    pods.ok("pod", "create", "--name", "fresh")
    ended = pods.ok("pod", "create", "--name", "ended")
    pods.ok("pod", "start", "ended")
    assert pods("pod", "prune", input="n\n").status == 0 and pods("pod", "prune").status == 125
    assert pods.ok("pod", "prune", "--force") == ""
    pods.ok("pod", "stop", "ended")
    assert pods.ok("pod", "prune", "--force") == ended
    assert pods.ok("pod", "ps", "--format", "{{.Name}}") == "fresh"


def test_new_pod_of_run(pods: Crate) -> None:
    assert pods.ok("run", "--rm", "--pod", "new:mine", "--hostname", "own", IMAGE, "hostname") == "own"
    assert show(pods, "mine")["NumContainers"] == 1
    assert "already exists" in pods.fails(125, "run", "--rm", "--pod", "new:mine", IMAGE, "true")
    assert "invalid" in pods.fails(125, "create", "--pod", "new:other", "--memory", "nonsense", IMAGE)
    assert pods.ok("pod", "ps", "--format", "{{.Name}}") == "mine"


def test_files_with_the_id(pods: Crate, tmp_path: Path) -> None:
    path = str(tmp_path / "id")
    made = pods.ok("pod", "create", "--pod-id-file", path)
    assert Path(path).read_text() == made
    assert "found" in pods.fails(125, "pod", "create", "--pod-id-file", path)
    pods.ok("run", "-d", "--pod-id-file", path, "--name", "one", *SLEEP)
    assert pods.inspect("one")["Pod"] == made
    assert pods.ok("pod", "stop", "-t", "0", "--pod-id-file", path) == made
    assert pods.ok("pod", "rm", "--pod-id-file", path) == made


def test_replace(pods: Crate) -> None:
    pods.ok("pod", "create", "--name", "p")
    old = pods.ok("run", "-d", "--pod", "p", *SLEEP)
    pods.ok("pod", "create", "--name", "p", "--replace")
    assert pods("container", "exists", old).status == 1 and show(pods, "p")["NumContainers"] == 1


def test_options_for_every_container(pods: Crate, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("of the pod")
    pods.ok(
        "pod", "create", "--name", "p", "-v", f"{tmp_path}:/given:ro", "-v", "/own", "--restart", "on-failure",
        "--shm-size", "1m", "--sysctl", "net.ipv4.ip_forward=0",
    )  # fmt: skip
    assert pods.ok("run", "--rm", "--pod", "p", IMAGE, "cat", "/given/file") == "of the pod"
    pods.ok("run", "--rm", "--pod", "p", IMAGE, "touch", "/own/kept")
    script = "ls /own; df -k /dev/shm | tail -1; cat /proc/sys/net/ipv4/ip_forward"
    kept, shm, forward = pods.ok("run", "--pod", "p", "--name", "one", IMAGE, "sh", "-c", script).splitlines()
    assert (kept, shm.split()[1], forward) == ("kept", "1024", "0")
    assert pods.inspect("one")["HostConfig"]["RestartPolicy"]["Name"] == "on-failure"
    assert len(pods.ok("volume", "ls", "-q").split()) == 1
    pods.ok("pod", "rm", "p")
    assert pods.ok("volume", "ls", "-q") == ""


def test_files_of_the_image(pods: Crate) -> None:
    pods.ok("pod", "create", "--name", "p", "--no-hosts", "--dns", "none")
    assert pods("run", "--rm", "--pod", "p", IMAGE, "grep", "-q", "localhost", "/etc/hosts").status
    assert pods("run", "--rm", "--pod", "p", IMAGE, "grep", "-q", "nameserver", "/etc/resolv.conf").status


def test_sandbox_goes_with_its_pod_only(pods: Crate) -> None:
    pods.ok("pod", "create", "--name", "p")
    pods.ok("run", "-d", "--pod", "p", "--name", "one", *SLEEP)
    sandbox = sandbox_of(pods, "p")
    assert "cannot be removed without removing the pod" in pods.fails(125, "rm", sandbox)
    assert "cannot be removed without removing the pod" in pods.fails(125, "rm", "-f", sandbox)
    pods.ok("rm", "--all", "--force", "--time", "0")
    assert pods.ok("pod", "ps", "-q") == "" and pods.ok("ps", "-aq") == ""


def test_lists(pods: Crate) -> None:
    made = pods.ok("pod", "create", "--name", "p", "--label", "tier=front")
    pods.ok("pod", "create", "--name", "q")
    pods.ok("run", "-d", "--pod", "p", "--name", "one", *SLEEP)
    line = pods.ok("ps", "--pod", "--filter", "name=one", "--noheading").split()
    assert line[-2:] == [made[:12], "p"]
    assert pods.ok("ps", "-a", "--filter", "pod=p", "--format", "{{.PodName}} {{.IsInfra}}").splitlines() == [
        "p false", "p true",
    ]  # fmt: skip
    for given in ("name=p", "label=tier", "status=running", "ctr-names=one", "ctr-number=2", f"id={made[:8]}"):
        assert pods.ok("pod", "ls", "--filter", given, "--format", "{{.Name}}") == "p", given
    assert pods.ok("pod", "ps", "--sort", "name", "--format", "{{.Name}} {{.NumberOfContainers}}") == "p 2\nq 1"
    names = pods.ok("pod", "ps", "--ctr-names", "--ctr-status", "--no-trunc", "--noheading", "--filter", "name=p")
    assert names.split()[-2:] == [f"{made[:12]}-infra,one", "running,running"] and names.startswith(made)
    assert json.loads(pods.ok("inspect", "--type", "pod", "p"))[0]["Id"] == made
    assert "p\tpod" in pods.ok("__complete", "--", "pod", "start", "").splitlines()
    (found,) = json.loads(pods.ok("pod", "ps", "--format", "json", "--filter", "name=p"))
    assert (found["Id"], found["Status"], len(found["Containers"])) == (made, "Running", 2)
    assert pods.ok("pod", "inspect", "--format", "{{.ID}} {{.SharedNamespaces}}", "p") == f"{made} [ipc net uts]"


def test_logs(pods: Crate) -> None:
    pods.ok("pod", "create", "--name", "p")
    for name in ("one", "two"):
        pods.ok("run", "--pod", "p", "--name", name, IMAGE, "echo", f"said by {name}")
    assert pods.ok("pod", "logs", "--names", "p").splitlines() == ["one said by one", "two said by two"]
    assert pods.ok("pod", "logs", "-c", "two", "p") == "said by two"
    assert "no container" in pods.fails(125, "pod", "logs", "-c", "three", "p")


def test_top_and_stats(pods: Crate) -> None:
    made = pods.ok("pod", "create", "--name", "p")
    assert "no running containers" in pods.fails(125, "pod", "top", "p")
    for name in ("one", "two"):
        pods.ok("run", "-d", "--pod", "p", "--name", name, *SLEEP)
    heading, *lines = pods.ok("pod", "top", "p", "pid,args").splitlines()
    assert heading.split() == ["PID", "COMMAND"] and [line.split() for line in lines] == [["1", "sleep", "1000"]] * 2
    pods.ok("pod", "create", "--name", "other")
    heading, *lines = pods.ok("pod", "stats", "--no-stream", "p").splitlines()
    assert heading.split()[:3] == ["POD", "CID", "NAME"] and all(line.startswith(made[:12]) for line in lines)
    assert [line.split()[2] for line in lines] == [f"{made[:12]}-infra", "one", "two"]


def test_clone(pods: Crate) -> None:
    pods.ok("pod", "create", "--name", "p", "--label", "tier=front", "--memory", "64m")
    script = "echo $COLOR; exec sleep 1000"
    pods.ok("run", "-d", "--pod", "p", "--name", "one", "-e", "COLOR=blue", IMAGE, "sh", "-c", script)
    pods.ok("pod", "clone", "--start", "--label", "tier=back", "p", "copy")
    found = show(pods, "copy")
    assert (found["State"], found["Labels"], found["memory_limit"]) == ("Running", {"tier": "back"}, 67108864)
    assert [one["Name"] for one in found["Containers"]] == [f"{found['Id'][:12]}-infra", "one-clone"]
    pods.await_line("one-clone", "blue")
    assert pods.ok("exec", "one-clone", "hostname") == "copy"
    pods.ok("container", "clone", "--pod", "copy", "one", "other")
    pods.ok("container", "clone", "one", "third")
    assert [pods.inspect(name)["Pod"] for name in ("other", "third")] == [found["Id"], show(pods, "p")["Id"]]
    assert pods.inspect("other")["HostConfig"]["NetworkMode"] == f"container:{found['InfraContainerID']}"
    assert "infra container" in pods.fails(125, "container", "clone", found["InfraContainerID"])
    pods.ok("pod", "clone", "--destroy", "--name", "last", "copy")
    assert pods("pod", "exists", "copy").status == 1 and show(pods, "last")["State"] == "Created"


def test_sandbox_of_an_image(pods: Crate) -> None:
    pods.ok("pod", "create", "--name", "p", "--infra-image", IMAGE, "--infra-command", "sleep", "--infra-name", "mine")
    assert pods.inspect("mine")["ImageName"].startswith(IMAGE)
    assert "already in use" in pods.fails(125, "pod", "create", "--infra-name", "mine")


@pytest.mark.requires("unprivileged-user")
def test_pod_of_an_ordinary_user(rootless_crate: Crate) -> None:
    crate = rootless_crate
    crate.ok("pod", "create", "--name", "p", "--network", "none", "--share", "+pid")
    crate.ok("run", "-d", "--pod", "p", "--name", "one", IMAGE, *SERVER)
    until(lambda: "served" in crate("exec", "one", "wget", "-qO-", "http://localhost").out, what="the server")
    script = "wget -qO- http://localhost && hostname && ps -o pid,comm"
    lines = crate.ok("run", "--rm", "--pod", "p", IMAGE, "sh", "-c", script).splitlines()
    assert lines[:2] == ["served", "p"] and "1 crate:sandbox" in [line.strip() for line in lines]
    crate.ok("pod", "stop", "-t", "0", "p")
    assert show(crate, "p")["State"] == "Exited"
    crate.ok("pod", "rm", "p")


@pytest.mark.requires("unprivileged-user", "pasta")
def test_ports_of_an_ordinary_user(rootless_crate: Crate) -> None:
    port = free_port()
    rootless_crate.ok("pod", "create", "--name", "p", "-p", f"{port}:80")
    rootless_crate.ok("run", "-d", "--pod", "p", "--name", "one", IMAGE, *SERVER)
    until(lambda: answers(port), what="the published port")
    rootless_crate.ok("pod", "rm", "--force", "p")
