"""Unpacking on the way: compressed bytes go in, files come out beneath a directory, both digests are taken.

Two processes share the work, for the writing of files costs as much as all the rest:

    the caller   takes the compressed bytes, inflates, hashes ──pipe──> crate:unpack   reads tar, writes files
                                                              <──pipe── what came out, or the error (JSON)

`crate:unpack` is started afresh, not forked: the caller may have threads, and much memory. It ends when its input does,
so it does not outlive the caller.
"""

from __future__ import annotations

import os

from crate import fresh
from crate.errors import CrateError, DigestError, HostError, ImageError
from crate.oci import digest as digests
from crate.oci import json
from crate.storage.durable import write_all
from crate.storage.inflate import Inflater
from crate.storage.tree.writer import Unpacked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_F_SETPIPE_SZ = 1031  # linux/fcntl.h
_PIPE_SIZE = 1 << 20  # what an ordinary user may ask for


class Unpacker:
    """Unpacks one archive into the directory `target`, which exists and is empty for a layer.

    Compression is told by the first bytes. `whiteouts` as in crate.storage.tree.writer. Not for two threads at a time.
    """

    def __init__(self, target: str, *, whiteouts: bool = True, rootless: bool = False) -> None:
        from subprocess import PIPE, Popen

        flags = [word for word, given in (("whiteouts", whiteouts), ("rootless", rootless)) if given]
        command = fresh.command("unpack", target, *flags)
        try:
            self._process = Popen(command, stdin=PIPE, stdout=PIPE, bufsize=0)
        except OSError as error:
            raise HostError(f"cannot start the unpacking process: {os.strerror(error.errno or 0)}") from None
        assert self._process.stdin and self._process.stdout
        self._pipe = self._process.stdin.fileno()
        _enlarge(self._pipe)
        self._hash: Any = digests.hasher()
        self._inflater = Inflater(self._emit)

    def write(self, chunk: bytes) -> None:
        """Takes the next compressed bytes. Raises ImageError, HostError; nothing more may be written then."""
        try:
            self._inflater.write(chunk)
        except BrokenPipeError:
            self._result()  # the other process says what was wrong
            raise

    def _emit(self, plain: bytes) -> None:
        self._hash.update(plain)
        write_all(self._pipe, plain)

    def finish(self, diff_id: str | None = None) -> tuple[Unpacked, str]:
        """Waits for the files to be written (not synced); gives what came out, and the digest of the archive.

        Raises DigestError when that is not `diff_id`, ImageError, HostError.
        """
        try:
            self._inflater.finish()
        except BrokenPipeError:
            pass
        except BaseException:
            self.abort()
            raise
        found = f"sha256:{self._hash.hexdigest()}"
        unpacked = self._result()
        if diff_id is not None and found != diff_id:
            raise DigestError(f"the layer does not match its diff id {diff_id}: got {found}")
        return unpacked, found

    def abort(self) -> None:
        """Ends the other process, if that has not ended; what it wrote is the caller's to remove."""
        assert self._process.stdout
        if self._process.stdout.closed:
            return
        self._process.kill()
        self._close()

    def _close(self) -> bytes:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        told = self._process.stdout.read()
        self._process.stdout.close()
        self._process.wait()
        return told or b""

    def _result(self) -> Unpacked:
        told = self._close()
        try:
            result = json.loads(told)
        except ValueError:
            raise HostError(
                f"the unpacking process ended without a word (status {self._process.returncode})",
                "look for an out-of-memory kill in dmesg",
            ) from None
        if "error" in result:
            kinds: dict[str, type[CrateError]] = {"ImageError": ImageError, "HostError": HostError}
            raise kinds.get(result["error"], RuntimeError)(*result["arguments"])
        unpacked = Unpacked()
        unpacked.size, unpacked.entries = result["size"], result["entries"]
        unpacked.made = [os.fsencode(path) for path in result["made"]]
        unpacked.whiteouts = [os.fsencode(path) for path in result["whiteouts"]]
        unpacked.links = [(os.fsencode(target), os.fsencode(name)) for target, name in result["links"]]
        return unpacked


def _enlarge(pipe: int) -> None:
    from fcntl import fcntl

    try:
        fcntl(pipe, _F_SETPIPE_SZ, _PIPE_SIZE)
    except OSError:
        pass  # the user's pipes are at their limit: it works with a small one, too
