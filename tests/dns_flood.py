"""Ten thousand packets a second to the resolver of a sandbox, from a process in the sandbox's network.

What a busy machine held up is sent at once. The kernel takes every packet, and drops what the resolver has no room for.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_RATE = 10_000
#: what a flood is to have reached at its end; a machine that is busy with more sends it slower
LEAST = 0.3 * _RATE


def start(enter: Sequence[str], seconds: int, packets: Sequence[bytes]) -> subprocess.Popen[str]:
    """Sends the packets in turn, each behind a random id. `enter`: a command that goes there."""
    words = [*enter, sys.executable, __file__, str(seconds), *(packet.hex() for packet in packets)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def rate(flood: subprocess.Popen[str]) -> float:
    """Packets a second, when it has ended."""
    return float(flood.communicate(timeout=120)[0])


def _flood(seconds: int, packets: list[bytes]) -> float:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setblocking(False)
    client.connect(("127.0.0.11", 53))
    begin, sent = time.monotonic(), 0
    while sent < seconds * _RATE:
        while sent < min(time.monotonic() - begin, seconds) * _RATE:
            try:
                client.send(os.urandom(2) + packets[sent % len(packets)])
                sent += 1
            except OSError:
                pass
        time.sleep(0.002)
    return sent / (time.monotonic() - begin)


if __name__ == "__main__":
    print(_flood(int(sys.argv[1]), [bytes.fromhex(text) for text in sys.argv[2:]]))
