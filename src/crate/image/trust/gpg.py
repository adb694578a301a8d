"""Signatures made and checked by the program gpg, with nothing but the keys that a policy names when checking."""

from __future__ import annotations

import os

from crate.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_SIGNATURE_MAX = 4 << 20
_SECONDS = 60
#: words of gpg's status lines (doc/DETAILS of GnuPG) after which a signature is not good, whatever else it says
_BAD = frozenset(
    "BADSIG ERRSIG EXPSIG EXPKEYSIG REVKEYSIG NO_PUBKEY NODATA FAILURE DECRYPTION_FAILED UNEXPECTED KEYREVOKED".split()
)


def verified(signature: bytes, keys: Sequence[bytes]) -> bytes | None:
    """The document in a signature that one of `keys` made and that is good now, else None. Raises HostError.

    The keys are put into a key ring of their own, so no other key counts.
    """
    import tempfile

    if len(signature) > _SIGNATURE_MAX:
        return None
    with tempfile.TemporaryDirectory(prefix="crate-gpg-") as home:
        for key in keys:
            _run(home, ["--import"], key)
        status, plain, told = _run(home, ["--max-output", str(_SIGNATURE_MAX), "--decrypt"], signature)
    words = [line.split()[1] for line in told.splitlines() if line.startswith("[GNUPG:] ")]
    if status or words.count("VALIDSIG") != 1 or words.count("GOODSIG") != 1 or words.count("PLAINTEXT") != 1:
        return None
    return None if _BAD.intersection(words) else plain


def key_ids(key: bytes) -> list[str]:
    """The user ids in a key file, as `gpg --list-keys` tells them; the key id where there is none. Raises HostError."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="crate-gpg-") as home:
        _, listed, _ = _run(home, ["--with-colons", "--show-keys"], key)
    lines = [line.split(":") for line in listed.decode(errors="replace").splitlines()]
    users = [line[9] for line in lines if line[0] == "uid"]
    return users or [line[4] for line in lines if line[0] == "pub"]


def sign(document: bytes, key: str, passphrase_file: str | None = None) -> bytes:
    """The document, signed by a key of the user's key ring. Raises UsageError in gpg's words."""
    options = ["--local-user", key, "--sign"]
    if passphrase_file:
        options = ["--pinentry-mode", "loopback", "--passphrase-file", passphrase_file, *options]
    status, signature, told = _run(None, options, document)
    if status or not signature:
        said = [line for line in told.splitlines() if line.startswith("gpg: ")]
        reason = said[0].removeprefix("gpg: ") if said else f"gpg ended with status {status}"
        raise UsageError(f"cannot sign with key {key}: {reason}", "see your keys with: gpg --list-secret-keys")
    return signature


def _run(home: str | None, options: Sequence[str], given: bytes) -> tuple[int, bytes, str]:
    """Status, output, and what it said of itself. `home`: a key ring of its own, without agents."""
    import subprocess

    command = ["gpg", "--batch", "--no-tty", "--yes", "--status-fd", "2", "--output", "-"]
    if home:
        command += ["--homedir", home, "--no-options", "--no-autostart", "--trust-model", "always"]
    try:
        done = subprocess.run(
            [*command, *options],
            input=given,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise HostError("cannot handle signatures: the program gpg is missing", "apt install gpg") from None
    except subprocess.TimeoutExpired:
        raise HostError(f"cannot handle signatures: gpg did not end within {_SECONDS} s") from None
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")
