"""Leases of addresses: one file an address, which says whose container holds it and what it publishes.

Leases are kept by bridge, not by store: a bridge, its subnet and the ports of the host belong to the host, whichever
`--root` a container lives in. The directory's flock covers the search and the file; it is held for 0.1 ms. A lease is
alive as long as the process that owns the sandbox; whoever meets a dead one takes it over.
"""

from __future__ import annotations

import fcntl
import os
from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from crate.errors import HostError, KernelError, NameInUseError, UsageError
from crate.linux.process import start_time
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypedDict

    class LeaseRange(TypedDict):
        """The part of a subnet that addresses are chosen from, both ends included."""

        start_ip: str
        end_ip: str

    class LeaseRecord(TypedDict):
        """The text of a lease file."""

        container: str
        owner: list[int]  # pid, start time in clock ticks
        names: list[str]  # by which the network's other containers find it
        address: str
        address6: str
        mac: str
        ports: list[list[str | int]]  # host address, host port, container port, protocol


_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LAST = ".last"
#: how many addresses are looked at before a subnet counts as full
_TRIES = 1 << 17
_NEW = ".new"
#: the owner of a lease that was given back before what it published was withdrawn: nobody, who is not alive
_NOBODY = [0, 0]
#: how many leases of others whoever ends looks at
_LOOKS = 16


def parse_address(text: str) -> bytes:
    """An address in four or sixteen bytes. UsageError for anything else."""
    try:
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):
        raise UsageError(f"invalid IP address: {text}") from None


def format_address(packed: bytes) -> str:
    """The text of an address of four or sixteen bytes."""
    return inet_ntop(AF_INET6 if len(packed) == 16 else AF_INET, packed)


def parse_subnet(text: str) -> tuple[bytes, int]:
    """`10.88.0.0/16` as its first address and its prefix; host bits must be zero. UsageError for anything else."""
    address, _, length = text.partition("/")
    packed = parse_address(address)
    bits = len(packed) * 8
    if not (length.isascii() and length.isdigit() and int(length) <= bits):
        raise UsageError(f"invalid subnet: {text}", "write it as address/prefix: 10.88.0.0/16")
    if int.from_bytes(packed, "big") & (1 << bits - int(length)) - 1:
        raise UsageError(f"invalid subnet: {text} has host bits set")
    return packed, int(length)


def contains(subnet: tuple[bytes, int], packed: bytes) -> bool:
    """Whether an address is in a subnet."""
    base, prefix = subnet
    shift = len(base) * 8 - prefix
    return len(base) == len(packed) and int.from_bytes(base, "big") >> shift == int.from_bytes(packed, "big") >> shift


def overlaps(one: tuple[bytes, int], other: tuple[bytes, int]) -> bool:
    """Whether two subnets share an address."""
    return contains(one, other[0]) or contains(other, one[0])


def nth(subnet: tuple[bytes, int], number: int) -> bytes:
    """The address `number` places above the first one of a subnet."""
    return (int.from_bytes(subnet[0], "big") + number).to_bytes(len(subnet[0]), "big")


def mac_of(packed: bytes) -> bytes:
    """The hardware address docker gives to an IPv4 address: 02:42 and its (last) four bytes."""
    return b"\x02\x42" + packed[-4:]


def format_mac(mac: bytes) -> str:
    """Six bytes as 02:42:0a:58:00:02."""
    return mac.hex(":")


def parse_mac(text: str) -> bytes:
    """A unicast hardware address of six bytes. UsageError for anything else."""
    parts = text.replace("-", ":").split(":")
    try:
        mac = bytes(int(part, 16) for part in parts)
    except ValueError:
        mac = b""
    if len(mac) != 6 or not all(0 < len(part) <= 2 for part in parts):
        raise UsageError(f"invalid MAC address: {text}")
    if mac[0] & 1:
        raise UsageError(f"invalid MAC address: {text} is a multicast address")
    return mac


def owner_of(pid: int) -> list[int]:
    """What tells a process from a later one with its pid."""
    return [pid, start_time(pid)]


def is_alive(record: LeaseRecord) -> bool:
    """Whether the process that owns the sandbox still lives."""
    pid, started = record["owner"]
    return started != 0 and start_time(pid) == started


def lock_directory(path: str) -> int:
    """A descriptor that holds the lock of a directory, made when it is not there, until it is closed."""
    while True:
        try:
            try:
                fd = os.open(path, _DIRECTORY)
            except FileNotFoundError:
                os.makedirs(path, 0o700, exist_ok=True)
                fd = os.open(path, _DIRECTORY)
        except OSError as error:
            raise KernelError(f"use directory {path}", error) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # it was removed while this process waited: its network, and maybe it is there again


def read_text(path: str) -> str:
    """The text of a small file; empty when there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        return os.read(fd, os.fstat(fd).st_size).decode(errors="replace")
    finally:
        os.close(fd)


def _parse(text: str) -> LeaseRecord | None:
    try:
        record: LeaseRecord = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "owner" in record else None


def records(path: str) -> Iterator[tuple[str, LeaseRecord]]:
    """All leases in a directory, dead ones included, without its lock."""
    for address in os.listdir(path):
        if not address.startswith(".") and (record := _parse(read_text(f"{path}/{address}"))) is not None:
            yield address, record


def dead(path: str, own: str) -> list[tuple[str, LeaseRecord | None]]:
    """Leases of owners that are gone, of a few that one looks at: that of the address `own`, and of others by chance.

    A record is None where the writer died in the act.
    """
    names = [name for name in os.listdir(path) if not name.startswith(".")]
    if len(names) > _LOOKS:
        first = int.from_bytes(os.urandom(4), "big") % len(names)
        names = [own, *(names + names)[first : first + _LOOKS]]
    found = []
    for address in names:
        record = _parse(read_text(f"{path}/{address}"))
        if record is None or not is_alive(record):
            found.append((address, record))
    return found


class LeaseDirectory:
    """The leases of one bridge, locked against every other process while it is open."""

    __slots__ = ("_fd", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = lock_directory(path)

    def __enter__(self) -> LeaseDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def read(self, address: str) -> LeaseRecord | None:
        """The lease of an address; None when there is none, or one whose writer died in the act."""
        return _parse(read_text(f"{self.path}/{address}"))

    def write(self, address: str, record: LeaseRecord) -> None:
        """Writes the lease of an address: a new file, so that readers see that the directory has changed."""
        self.replace(address, json.dumps(record))

    def replace(self, name: str, text: str) -> None:
        """Writes a file, whole or not at all."""
        self._write(_NEW, text)
        os.rename(f"{self.path}/{_NEW}", f"{self.path}/{name}")

    def remove(self, address: str, container: str) -> bool:
        """Removes the lease of an address if it is still that container's; tells whether it was."""
        record = self.read(address)
        if record is None or record["container"] != container:
            return False
        os.unlink(f"{self.path}/{address}")
        return True

    def give_back(self, address: str, container: str) -> None:
        """Frees the address, if it is still that container's, and lets the file tell what is to be withdrawn."""
        record = self.read(address)
        if record is not None and record["container"] == container:
            self.write(address, {**record, "owner": _NOBODY})

    def bury(self, address: str, record: LeaseRecord | None) -> bool:
        """Removes the lease of one that is dead, if it is still there."""
        if self.read(address) != record:
            return False
        try:
            os.unlink(f"{self.path}/{address}")
        except FileNotFoundError:
            return False
        return True

    def check(self, address: str, shown: str = "") -> None:
        """NameInUseError when a living container holds the address."""
        held = self.read(address)
        if held is not None and is_alive(held):
            raise NameInUseError(
                f"cannot use address {shown or address}: container {held['container'][:12]} has it",
                "choose another address, or leave the choice to crate",
            )

    def check_place(self, address: str, span: tuple[bytes, int], other: tuple[bytes, int]) -> None:
        """As `check`, for the address that has the same place in another subnet: its lease covers both."""
        number = int.from_bytes(parse_address(address), "big") - int.from_bytes(span[0], "big")
        if number < 1 << len(other[0]) * 8 - other[1]:
            self.check(format_address(nth(other, number)), address)

    def next_free(
        self,
        span: tuple[bytes, int],
        gateway: str,
        lease_range: LeaseRange | None = None,
        beside: tuple[tuple[bytes, int], str] | None = None,
    ) -> str:
        """The next free address of a subnet after the last one given, so that an address rests before its reuse.

        Never the first and the last address, nor the gateway. `beside`: another subnet and its gateway, in which the
        same place is to be free as well. HostError when none is free.
        """
        base = int.from_bytes(span[0], "big")
        first, final = 1, (1 << len(span[0]) * 8 - span[1]) - 2
        if lease_range:
            first = max(first, int.from_bytes(parse_address(lease_range["start_ip"]), "big") - base)
            final = min(final, int.from_bytes(parse_address(lease_range["end_ip"]), "big") - base)
        if beside:
            final = min(final, (1 << len(beside[0][0]) * 8 - beside[0][1]) - 1)
        text = self.note(_LAST)
        last = int(text) - base if text.isascii() and text.isdigit() else 0
        if not first <= last < final:
            last = first - 1
        for step in range(min(final - first + 1, _TRIES)):
            number = first + (last + 1 - first + step) % (final - first + 1)
            address = format_address(nth(span, number))
            if address == gateway or self._is_held(address):
                continue
            if beside:
                other = format_address(nth(beside[0], number))
                if other == beside[1] or self._is_held(other):
                    continue
            self._write(_LAST, str(base + number))
            return address
        raise HostError(
            f"cannot lease an address: all of {format_address(span[0])}/{span[1]} are taken",
            "stop containers of this network, or use a network with a larger subnet",
        )

    def _is_held(self, address: str) -> bool:
        held = self.read(address)
        return held is not None and is_alive(held)

    def note(self, name: str) -> str:
        """A word beside the leases, named with a leading dot; empty when there is none."""
        return read_text(f"{self.path}/{name}")

    def set_note(self, name: str, text: str) -> None:
        """Writes a word beside the leases."""
        self._write(name, text)

    def _write(self, name: str, text: str) -> None:
        path = f"{self.path}/{name}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, text.encode())  # what a full disk cuts off is no lease, and free
            finally:
                os.close(fd)
        except OSError as error:
            raise KernelError(f"write {path}", error) from None
