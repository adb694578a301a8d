"""The names of containers, straight from the lease files of their networks: nothing to load, to reload or to lose.

A container that holds a lease in a network is known in it by the names in its lease file; the addresses are the
lease's. A lease whose owner has died is nobody's. Lease files are replaced, never rewritten, so that the directory's
time of change tells whether anything has changed.
"""

from __future__ import annotations

import errno
import os
import time
from _socket import AF_INET, AF_INET6, inet_pton

from crate.linux.process import start_time
from crate.net.addresses import format_address
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: podman's domain of all its networks
_DOMAIN = "dns.podman"
#: The kernel's clock for files ticks every 4 to 10 ms: what was read so soon after a change may miss the next one.
_TICKS_NS = 50_000_000
_FILE_MOST = 65536
#: what says nothing of the file that cannot be read
_EXHAUSTED = (errno.ENOMEM, errno.ENFILE, errno.EMFILE)
_V4, _V6 = ".in-addr.arpa", ".ip6.arpa"


class Holder:
    """What a lease file says: whose it is, its names in lower case (the container's first), its packed addresses."""

    __slots__ = ("address", "address6", "names", "owner")

    def __init__(self, text: bytes) -> None:
        """ValueError, KeyError or TypeError where it is none."""
        record = json.loads(text)
        self.owner: list[int] = record["owner"]
        self.names: list[str] = [str(name) for name in record.get("names") or ()]
        self.address = inet_pton(AF_INET, record["address"]) if record["address"] else b""
        self.address6 = inet_pton(AF_INET6, record["address6"]) if record["address6"] else b""

    def is_alive(self) -> bool:
        """Whether the process that owns the sandbox still lives."""
        pid, started = self.owner
        return started != 0 and start_time(pid) == started


class LeasesSeen:
    """The leases of one network, as they were at the last look.

    A look reads texts, in lower case. Only those that have what is asked for between quotes are parsed: to parse all
    would take the first question of a container among a hundred as long again as reading them.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._changed = -1
        self._texts: dict[str, tuple[tuple[int, int, int], bytes]] = {}  # by the file's name: version, text
        self._by_name: dict[str, list[Holder]] = {}  # those found since the last change

    def named(self, name: str) -> list[Holder]:
        """Who is called so."""
        self.look()
        found = self._by_name.get(name)
        if found is None:
            found = [holder for holder in self._with(name) if name in holder.names]
            if found:
                self._by_name[name] = found
        return [holder for holder in found if holder.is_alive()]

    def at(self, packed: bytes) -> Holder | None:
        """Who has the address."""
        self.look()
        for holder in self._with(format_address(packed)):
            # An endpoint's second address has a file of its own, without names.
            if packed in (holder.address, holder.address6) and holder.names and holder.is_alive():
                return holder
        return None

    def _with(self, word: str) -> Iterator[Holder]:
        """The leases in whose text a word stands."""
        quoted = json.dumps(word).encode()
        for _, text in self._texts.values():
            if quoted in text:
                try:
                    yield Holder(text)
                except (OSError, ValueError, KeyError, TypeError):
                    continue  # no lease

    def look(self) -> None:
        """Reads what has changed."""
        try:
            changed = os.stat(self._directory).st_mtime_ns
            if changed == self._changed:
                return
            now = time.time_ns()
            self._texts = dict(self._read())
        except FileNotFoundError:
            changed, now, self._texts = -1, 0, {}
        self._changed = changed if now - changed > _TICKS_NS else -1
        self._by_name = {}

    def _read(self) -> Iterator[tuple[str, tuple[tuple[int, int, int], bytes]]]:
        """The text of each lease; a file that was read before and is still there is not read again."""
        for address in os.listdir(self._directory):
            if address.startswith("."):
                continue
            path = f"{self._directory}/{address}"
            known = self._texts.get(address)
            try:
                if known is not None and known[0] == _version(os.stat(path)):
                    yield address, known
                    continue
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    yield address, (_version(os.fstat(fd)), os.read(fd, _FILE_MOST).lower())
                finally:
                    os.close(fd)
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    raise
                continue  # given back a moment ago


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size


class Names:
    """The names of several networks: those that one container is in."""

    def __init__(self, networks: Sequence[tuple[str, str]]) -> None:
        """`networks`: name and lease directory of each."""
        self._networks = [(name.lower(), LeasesSeen(directory)) for name, directory in networks]
        self._turn = 0

    def look(self) -> None:
        """Reads what there is, for the first question to find it read."""
        for _, leases in self._networks:
            leases.look()

    def addresses(self, name: str) -> tuple[list[bytes], list[bytes]] | None:
        """The IPv4 and the IPv6 addresses of a name, in turn another first; None when nobody is called so.

        `name.network` means those of one network, as in docker.
        """
        name = name.removesuffix(f".{_DOMAIN}")
        found: dict[tuple[bytes, bytes], None] = {}
        for network, leases in self._networks:
            holders = leases.named(name)
            if name.endswith(f".{network}"):
                holders += leases.named(name[: -len(network) - 1])
            for holder in holders:
                found[holder.address, holder.address6] = None
        if not found:
            return None
        self._turn += 1
        first = self._turn % len(found)
        every = [*found][first:] + [*found][:first]
        return [one for one, _ in every if one], [six for _, six in every if six]

    def owns(self, name: str) -> bool:
        """Whether nobody else is to be asked for a name."""
        return name == _DOMAIN or name.endswith(f".{_DOMAIN}")

    def name_at(self, packed: bytes) -> str | None:
        """The name of the container with an address."""
        for _, leases in self._networks:
            holder = leases.at(packed)
            if holder is not None and holder.names:
                return holder.names[0]
        return None


def address_in(name: str) -> bytes:
    """The packed address that a name for a reverse lookup is about; empty when it is none."""
    try:
        if name.endswith(_V4):
            parts = name[: -len(_V4)].split(".")
            return bytes(int(part) for part in reversed(parts)) if len(parts) == 4 else b""
        if name.endswith(_V6):
            digits = name[: -len(_V6)].split(".")
            return bytes.fromhex("".join(reversed(digits))) if len(digits) == 32 else b""
    except ValueError:
        pass
    return b""
