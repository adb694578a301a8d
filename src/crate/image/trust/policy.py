"""containers-policy.json(5): what an image of each place has to show to be taken in.

    --signature-policy  →  ~/.config/containers/policy.json  →  /etc/containers/policy.json      the first that is there

Read strictly: a word that is not understood may be the one that forbids. Without a file everything is accepted.
"""

from __future__ import annotations

import os

from crate.errors import UsageError
from crate.image.trust import requirement
from crate.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from crate.image.trust.requirement import Requirement

SYSTEM_FILE = "/etc/containers/policy.json"
_USER_FILE = ".config/containers/policy.json"
_SIZE_MAX = 4 << 20


class Rule:
    """What one scope asks for: all of `requirements`. `place` names scope and file in messages."""

    __slots__ = ("place", "requirements")

    def __init__(self, place: str, requirements: list[Requirement]) -> None:
        self.place = place
        self.requirements = requirements


class Policy:
    """A policy file, parsed."""

    def __init__(
        self, path: str, default: list[Requirement], transports: dict[str, dict[str, list[Requirement]]]
    ) -> None:
        self.path = path
        self.default = default
        self.transports = transports

    def rule(self, transport: str, scopes: Sequence[str]) -> Rule:
        """The rule of the first of these scopes that the transport has, else the transport's, else the default."""
        known = self.transports.get(transport, {})
        for scope in scopes:
            if scope in known:
                return Rule(f"scope {transport}:{scope} of {self.path}", known[scope])
        if "" in known:
            return Rule(f"the default of transport {transport} in {self.path}", known[""])
        return Rule(f"the default of {self.path}", self.default)


def find(given: str | None = None) -> str | None:
    """The file in force; None where there is none. Raises UsageError where the one that was given is not there."""
    if given:
        if not os.access(given, os.F_OK):
            raise UsageError(f"cannot read the signature policy {given}: no such file")
        return given
    candidates = (user_file(), SYSTEM_FILE)
    return next((path for path in candidates if path and os.access(path, os.F_OK)), None)


def user_file() -> str:
    """Where a user's own policy is, or would be; "" for who has no home."""
    home = os.environ.get("HOME", "")
    return f"{home}/{_USER_FILE}" if home.startswith("/") else ""


def load(given: str | None = None) -> Policy | None:
    """The policy in force. Raises UsageError that names the file, and what in it is wrong."""
    path = find(given)
    return parse(read(path), path) if path else None


def read(path: str) -> dict[str, Any]:
    """The file as JSON. Raises UsageError."""
    try:
        with open(path, "rb") as file:
            body = file.read(_SIZE_MAX)
    except OSError as error:
        raise UsageError(f"cannot read the signature policy {path}: {os.strerror(error.errno or 0)}") from None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UsageError(f"signature policy {path} is not a JSON object", "containers-policy.json(5) tells its form")
    return value


def parse(value: dict[str, Any], path: str) -> Policy:
    """The policy that a file holds. Raises UsageError."""
    for key in value:
        if key not in ("default", "transports"):
            raise UsageError(f"signature policy {path}: unknown key {key}", "containers-policy.json(5) tells its form")
    if "default" not in value:
        raise UsageError(f"signature policy {path} has no default", '{"default": [{"type": "insecureAcceptAnything"}]}')
    transports = value.get("transports", {})
    if not isinstance(transports, dict) or not all(isinstance(scopes, dict) for scopes in transports.values()):
        raise UsageError(f"signature policy {path}: transports must be an object of objects")
    return Policy(
        path,
        _requirements(value["default"], f"{path}: default"),
        {
            transport: {
                scope: _requirements(found, f"{path}: transports.{transport}.{scope or '(default)'}")
                for scope, found in scopes.items()
            }
            for transport, scopes in transports.items()
        },
    )


def _requirements(value: object, place: str) -> list[Requirement]:
    if not isinstance(value, list) or not value:
        raise UsageError(f"signature policy {place} must be a list of at least one requirement")
    return [requirement.parse(one, f"signature policy {place}") for one in value]
