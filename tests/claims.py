"""Numbers of this host that a test has to itself, beside every other test that runs here, of other checkouts too.

A claim is the name of an abstract socket: the kernel frees it with the process that made it, however that ends.
"""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: below net.ipv4.ip_local_port_range, out of which the kernel gives ports to whoever names none
_SINGLE, _MANY = range(20_000, 32_000), range(10_000, 20_000, 1000)


class Claims:
    """What one test, or one process, has claimed; `release` gives it back."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def take(self, words: Iterable[str]) -> bool:
        """Claims all of the words, or none where somebody has one of them."""
        made: list[socket.socket] = []
        for word in words:
            made.append(socket.socket(socket.AF_UNIX))
            try:
                made[-1].bind(f"\0crate-test-{word}")
            except OSError:
                for one in made:
                    one.close()
                return False
        self._held += made
        return True

    def subnet(self) -> tuple[int, int]:
        """Two numbers, below 50 and 256, that nobody else has: the middle of addresses of the tests' own."""
        while True:
            first, second = random.randrange(50), random.randrange(256)
            if self.take([f"subnet-{first}.{second}"]):
                return first, second

    def pool(self) -> str:
        """10.A.B.0/24, away from crate's default pools."""
        first, second = self.subnet()
        return f"10.{200 + first}.{second}.0/24"

    def ports(self, count: int = 1) -> int:
        """The first of so many successive ports, a thousand at most, that are free on all addresses."""
        while True:
            if count < 10:
                first = random.randrange(_SINGLE.start, _SINGLE.stop - count)
                words = [f"port-{number}" for number in range(first, first + count)]
            else:  # a thousand by one claim: each costs a descriptor
                first = random.choice(_MANY)
                words = [f"ports-{first}"]
            if all(map(_is_free, range(first, first + count))) and self.take(words):
                return first

    def release(self) -> None:
        """Gives everything back."""
        for one in self._held:
            one.close()
        self._held.clear()


def _is_free(number: int) -> bool:
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(family, kind) as probe:
                try:
                    if family == socket.AF_INET6:
                        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    probe.bind((address, number))
                except OSError:
                    return False
    return True


_OWN = Claims()


def free_port() -> int:
    """A port that is this process's until it ends."""
    return _OWN.ports()


def free_ports(count: int) -> int:
    """The first of so many successive ones."""
    return _OWN.ports(count)
