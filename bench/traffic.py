"""Bytes through the networks: from container to container, and from the host to a published port; making networks.

iperf3 of the host runs in the containers' network namespaces: what differs is what the engines set up, no program.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from typing import TYPE_CHECKING

from bench.engines import NAMES_SUBNETS
from bench.timing import Case, Row, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.engines import Engine
    from bench.stage import Stage

SECONDS = 1
PORT = 5201
FIRST = ("chrt", "--fifo", "10")


def making(stage: Stage, rounds: int) -> Iterator[Row]:
    """A network is made and removed, without a container in it."""
    cases = []
    for engine in (stage.crate, stage.podman):
        words = shlex.join(engine.command("network"))
        subnet = NAMES_SUBNETS[engine.name]
        script = f"{words} create --subnet {subnet} benchmade >/dev/null && {words} rm benchmade >/dev/null"
        cases.append(Case(engine.name, ["sh", "-c", script], engine.environment))
    yield from alternate("network create and rm", cases, rounds)


def throughput(stage: Stage, rounds: int) -> Iterator[Row]:
    """Gigabits a second, turn by turn, the other engine first in each round.

    What else the machine does changes a turn by half: iperf3 runs before it (SCHED_FIFO), and the turns are many.
    """
    engines = [stage.crate, stage.podman]
    address, port, within = {}, {}, {}
    servers = []
    for engine in engines:
        for name, options in {"server": ["-p", f"127.0.0.1::{PORT}"], "client": []}.items():
            engine("run", "-d", "--name", name, *options, stage.busybox, "sleep", "10000")
        address[engine.name] = engine("inspect", "--format", "{{.NetworkSettings.IPAddress}}", "server")
        port[engine.name] = engine("port", "server").rpartition(":")[2]
        within[engine.name] = _within(engine, "client")
        server = [*_within(engine, "server"), *FIRST, "iperf3", "-s", "-p", str(PORT)]
        servers.append(subprocess.Popen(server, stdout=subprocess.DEVNULL))
    try:
        time.sleep(0.5)
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for engine in engines:
                one = engine.name
                across = _gigabits([*within[one], *FIRST, "iperf3", "-c", address[one], "-p", str(PORT)])
                found.setdefault(("container to container", one), []).append(across)
                inward = _gigabits([*FIRST, "iperf3", "-c", "127.0.0.1", "-p", port[one]])
                found.setdefault(("host to a published port", one), []).append(inward)
            engines.reverse()
        for (title, name), values in found.items():
            yield Row(title, name, values, "Gbit/s")
    finally:
        for process in servers:
            process.kill()
            process.wait()
        for engine in engines:
            engine.clear()


def _within(engine: Engine, name: str) -> list[str]:
    return ["nsenter", "-t", engine("inspect", "--format", "{{.State.Pid}}", name), "-n"]


def _gigabits(command: list[str]) -> float:
    for _ in range(10):
        done = subprocess.run([*command, "-t", str(SECONDS), "-J"], check=False, capture_output=True, text=True)
        found = json.loads(done.stdout)
        if "error" not in found:
            return float(found["end"]["sum_received"]["bits_per_second"]) / 1e9
        time.sleep(0.5)  # the server has not finished with the client before
    raise RuntimeError(f"{' '.join(command)}: {found['error']}")
