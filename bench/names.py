"""Names on a user-defined network: all of a hundred containers look up all of them; `run` with one lookup.

podman's names are aardvark-dns's, where it has netavark as its backend: Debian's packages, or, for podman of the bench
alone, the directory of both programs in $CRATE_BENCH_HELPERS.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bench.engines import NAMES_SUBNETS
from bench.timing import Case, Row, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.engines import Engine
    from bench.stage import Stage

MANY = 100
AT_A_TIME = 4
NETWORK = "benchnames"

#: asks a server for each name once, without a second try; prints milliseconds, or null for an answer that never came
CLIENT = """
import json, os, socket, struct, sys, time
server, count, found = sys.argv[1], int(sys.argv[2]), []
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(5)
client.connect((server, 53))
for number in range(count):
    label = f"c{number}".encode()
    question = bytes([len(label)]) + label + b"\\0\\0\\1\\0\\1"
    identifier = os.urandom(2)
    begin = time.perf_counter()
    client.send(identifier + struct.pack(">5H", 0x100, 1, 0, 0, 0) + question)
    try:
        data = client.recv(4096)
    except OSError:
        found.append(None)
        continue
    elapsed = time.perf_counter() - begin
    answers = struct.unpack_from(">H", data, 6)[0]
    found.append(elapsed * 1000 if data[:2] == identifier and answers else None)
print(json.dumps(found))
"""


def all_pairs(stage: Stage, rounds: int) -> Iterator[Row]:
    """A hundred containers up on one network; each asks for the address of each."""
    for engine in _with_names(stage):
        begin = time.perf_counter()
        for number in range(MANY):
            engine("run", "-d", "--name", f"c{number}", "--network", NETWORK, stage.busybox, "sleep", "10000")
        yield Row(f"{MANY} containers up on a network with names", engine.name, [time.perf_counter() - begin], "s")
        time.sleep(2)  # monitors settle
        pids = [engine("inspect", "--format", "{{.State.Pid}}", f"c{number}") for number in range(MANY)]
        conf = engine("exec", "c0", "cat", "/etc/resolv.conf")
        server = next(line.split()[1] for line in conf.splitlines() if line.startswith("nameserver"))

        def ask(pid: str, server: str = server) -> list[float | None]:
            words = ["nsenter", "-t", pid, "-n", sys.executable, "-I", "-S", "-c", CLIENT, server, str(MANY)]
            answers: list[float | None] = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
            return answers

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            every = [answer for answers in pool.map(ask, pids) for answer in answers]
        answered = [answer for answer in every if answer is not None]
        title = f"{MANY} x {MANY} lookups"
        yield Row(f"{title}, median", engine.name, [statistics.median(answered)])
        yield Row(f"{title}, p99", engine.name, [statistics.quantiles(answered, n=100)[98]])
        yield Row(f"{title}, longest", engine.name, [max(answered)])
        yield Row(f"{title}, lost", engine.name, [len(every) - len(answered)], "answers")
        _clear(engine)


def run_with_a_lookup(stage: Stage, rounds: int) -> Iterator[Row]:
    """`run --rm` on a network with names, of a container that looks one up at once."""
    engines = list(_with_names(stage))
    for engine in engines:
        engine("run", "-d", "--name", "c0", "--network", NETWORK, stage.busybox, "sleep", "10000")
    arguments = ["run", "--rm", "--network", NETWORK, stage.busybox, "nslookup", "-type=a", "c0"]
    cases = [Case(engine.name, engine.command(*arguments), engine.environment) for engine in engines]
    yield from alternate("run --rm --network NET IMAGE nslookup", cases, rounds)
    for engine in engines:
        _clear(engine)


def _with_names(stage: Stage) -> Iterator[Engine]:
    """The engines, each with the network; without podman where it has no aardvark-dns."""
    for engine in stage.engines:
        if engine is stage.podman and engine("info", "--format", "{{.Host.NetworkBackend}}") != "netavark":
            print("podman has no netavark here: its names are left out", file=sys.stderr)
            continue
        engine("network", "create", "--subnet", NAMES_SUBNETS[engine.name], NETWORK)
        yield engine


def _clear(engine: Engine) -> None:
    engine.clear()
    engine("network", "rm", NETWORK)
