"""One requirement of a policy: its type, its keys, and which name a signature must be for."""

from __future__ import annotations

from crate.errors import UsageError
from crate.image.trust import identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.image.trust.identity import Identity

ACCEPT, REJECT = "insecureAcceptAnything", "reject"
SIGNED_BY, SIGSTORE = "signedBy", "sigstoreSigned"
_KEY_TYPES = ("GPGKeys", "signedByGPGKeys", "X509Certificates", "signedByX509CAs")
_WORDS = {
    ACCEPT: {"type"},
    REJECT: {"type"},
    SIGNED_BY: {"type", "keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"},
    SIGSTORE: {
        *("type", "keyPath", "keyPaths", "keyData", "keyDatas", "signedIdentity"),
        *("fulcio", "pki", "rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas"),
    },
}
_UNSUPPORTED = (
    "fulcio",
    "pki",
    "rekorPublicKeyPath",
    "rekorPublicKeyPaths",
    "rekorPublicKeyData",
    "rekorPublicKeyDatas",
)


class Requirement:
    """`type` as in the file; `key_paths` and `key_data` (bytes) together are the keys of which any one will do."""

    __slots__ = ("identity", "key_data", "key_paths", "type")

    def __init__(self, type: str, key_paths: list[str], key_data: list[bytes], wanted: Identity) -> None:
        self.type = type
        self.key_paths = key_paths
        self.key_data = key_data
        self.identity = wanted

    def keys(self, place: str) -> list[bytes]:
        """The keys as their files have them. Raises UsageError for a file that cannot be read."""
        found = list(self.key_data)
        for path in self.key_paths:
            try:
                with open(path, "rb") as file:
                    found.append(file.read(4 << 20))
            except OSError as error:
                raise UsageError(f"cannot read the key {path} of {place}: {error.strerror}") from None
        return found


def parse(value: object, place: str) -> Requirement:
    """The requirement of one JSON object. `place` begins the messages. Raises UsageError."""
    if not isinstance(value, dict):
        raise UsageError(f"{place}: a requirement must be an object with a type")
    kind = value.get("type")
    if kind not in _WORDS:
        raise UsageError(f"{place}: unknown requirement type {_shown(kind)}", f"one of: {', '.join(_WORDS)}")
    for word in value:
        if word not in _WORDS[kind]:
            raise UsageError(f"{place}: {kind} has no member {word}")
    for word in _UNSUPPORTED:
        if word in value:
            raise UsageError(f"{place}: {word} is not supported", "keys of your own are: keyPath, keyData")
    if kind in (ACCEPT, REJECT):
        return Requirement(kind, [], [], identity.DEFAULT)
    if kind == SIGNED_BY and value.get("keyType") not in _KEY_TYPES[:1]:
        raise UsageError(f"{place}: keyType {_shown(value.get('keyType'))} is not supported", "it is GPGKeys")
    paths, data = _keys(value, place)
    wanted = identity.parse(value["signedIdentity"], place) if "signedIdentity" in value else identity.DEFAULT
    return Requirement(kind, paths, data, wanted)


def _keys(value: dict[str, Any], place: str) -> tuple[list[str], list[bytes]]:
    sources = [word for word in ("keyPath", "keyPaths", "keyData", "keyDatas") if word in value]
    if len(sources) != 1:
        raise UsageError(f"{place}: {value['type']} needs exactly one of keyPath, keyPaths and keyData")
    word = sources[0]
    given = value[word] if word.endswith("s") else [value[word]]
    if not isinstance(given, list) or not given or not all(isinstance(one, str) and one for one in given):
        raise UsageError(f"{place}: {word} is malformed")
    if word in ("keyPath", "keyPaths"):
        return given, []
    from base64 import b64decode

    try:
        return [], [b64decode(one, validate=True) for one in given]
    except ValueError:
        raise UsageError(f"{place}: {word} is not base64") from None


def _shown(value: object) -> str:
    return repr(value)[:60]
