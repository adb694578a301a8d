"""The answers to a registry's challenges: Basic, and Bearer tokens of its token service, kept until they expire.

Sources: distribution-spec, distribution/docs/spec/auth/{token,oauth}.md.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode, urlsplit

from crate.errors import RegistryError
from crate.oci import json
from crate.registry import challenge
from crate.registry.endpoint import host_name
from crate.registry.failure import LOGIN_HINT, Refused

if TYPE_CHECKING:
    from crate.registry.credentials import Credentials

_CLIENT = "crate"
_TOKEN_SECONDS = 60  # what the specification lets a token live that does not say
_MARGIN_SECONDS = 10
_TOKEN_MAX = 1 << 20


class Fetch(Protocol):
    """What asks the token service: gives the body of a 200, raises RegistryError for anything else."""

    def __call__(
        self, method: str, url: str, headers: dict[str, str], form: dict[str, str] | None, limit: int
    ) -> bytes: ...


class Authorizer:
    """What is sent as Authorization to one server; safe for use by several threads."""

    def __init__(self, credentials: Credentials, host: str, subject: str, insecure: bool, fetch: Fetch) -> None:
        self._credentials = credentials
        self._host = host
        self._subject = subject
        self._insecure = insecure
        self._fetch = fetch
        self._lock = threading.Lock()
        self._basic = False
        self._tokens: dict[str, tuple[str, float]] = {}
        self._services: dict[str, dict[str, str]] = {}

    def current(self, scope: str) -> str | None:
        """As `header`; a token that has expired is replaced, so that content is not sent in vain."""
        found = self.header(scope)
        if found is None and scope in self._services:
            with self._lock:
                found = self.header(scope) or self._new_token(self._services[scope], scope)
        return found

    def header(self, scope: str) -> str | None:
        """What to send with a request of this scope; None before the first challenge, or when it has expired."""
        if self._credentials.registry_token:
            return f"Bearer {self._credentials.registry_token}"
        if self._basic:
            return self._credentials.basic()
        token, expires = self._tokens.get(scope, ("", 0.0))
        return f"Bearer {token}" if token and time.monotonic() < expires else None

    def answer(self, header: str, scope: str, sent: str | None) -> str:
        """What to send after a 401 with this WWW-Authenticate header. `sent`: what was sent before.

        Raises Refused where there is nothing new to send.
        """
        with self._lock:
            current = self.header(scope)
            if current and current != sent:
                return current  # another thread was faster
            challenges = dict(reversed(challenge.parse(header)))
            if "bearer" in challenges and not self._credentials.registry_token:
                return self._new_token(challenges["bearer"], scope)
            if "basic" in challenges and self._credentials.user and not self._basic:
                self._basic = True
                return self._credentials.basic()
        reason = "unauthorized: authentication required" + (": the credentials were refused" * bool(self._credentials))
        raise Refused(f"cannot {self._subject}: registry {self._host}: {reason}", LOGIN_HINT)

    def _new_token(self, parameters: dict[str, str], scope: str) -> str:
        realm = parameters.get("realm", "")
        self._check_realm(realm)
        scopes = _united(f"{parameters.get('scope', '')} {scope}")
        wanted: dict[str, str | list[str]] = {}
        if parameters.get("service"):
            wanted["service"] = parameters["service"]
        if self._credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": self._credentials.identity_token,
                "client_id": _CLIENT,
                **{key: str(value) for key, value in wanted.items()},
            }
            if scopes:
                form["scope"] = " ".join(scopes)
            body = self._fetch("POST", realm, {}, form, _TOKEN_MAX)
        else:
            headers = {}
            if self._credentials.user:
                wanted["account"] = self._credentials.user
                headers["Authorization"] = self._credentials.basic()
            wanted["scope"] = scopes
            url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(wanted, doseq=True)}"
            body = self._fetch("GET", url, headers, None, _TOKEN_MAX)
        token, seconds = _read_token(body)
        if not token:
            raise RegistryError(f"cannot {self._subject}: registry {self._host}: its token service gave no token")
        self._tokens[scope] = (token, time.monotonic() + max(seconds, _TOKEN_SECONDS) - _MARGIN_SECONDS)
        self._services[scope] = parameters
        return f"Bearer {token}"

    def _check_realm(self, realm: str) -> None:
        """Credentials go to the token service: in the clear only to the very host that the user trusts so."""
        try:
            parts = urlsplit(realm)
            scheme, host = parts.scheme, parts.hostname or ""
        except ValueError:
            scheme, host = "", ""
        if scheme == "https" and host:
            return
        if not (scheme == "http" and self._insecure and host == host_name(self._host).lower()):
            raise RegistryError(
                f"cannot {self._subject}: registry {self._host}: its token service {realm[:200]!r} is not https",
                "credentials would pass in the clear; only a registry in registries.insecure may ask for that, on its "
                "own host",
            )


def _united(words: str) -> list[str]:
    """Scopes (`repository:some/image:pull,push`), the actions of each resource together; registries have no order."""
    found: dict[str, dict[str, None]] = {}
    for word in words.split():
        resource, _, actions = word.rpartition(":")
        found.setdefault(resource, {}).update(dict.fromkeys(actions.split(",")))
    return [f"{resource}:{','.join(sorted(actions))}" for resource, actions in sorted(found.items())]


def _read_token(body: bytes) -> tuple[str, float]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return "", 0
    if not isinstance(document, dict):
        return "", 0
    token = document.get("token") or document.get("access_token")
    seconds = document.get("expires_in")
    if not isinstance(token, str) or not token.isprintable():
        return "", 0
    return token, float(seconds) if isinstance(seconds, (int, float)) else _TOKEN_SECONDS
