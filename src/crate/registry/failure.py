"""Failures of a registry in crate's words: what requests raises, what a status and its body mean.

RegistryError
├── RegistryUnreachable   no answer: the name, the connection, the time, the certificate
├── Interrupted           an answer that broke off, or a passing failure: worth another try
├── Refused               401, 403
├── NotInRegistry         404
├── Rejected              any other status
└── RateLimited           429
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING

from crate.errors import RegistryError
from crate.oci import json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import Response

OFFLINE_HINT = "check the network; the image crate.local/busybox needs no registry"
LOGIN_HINT = "check the name; a private repository needs credentials: crate login"
_TRANSIENT = (408, 500, 502, 503, 504)
_BODY_MAX = 64 << 10
_MESSAGE_MAX = 300


class RegistryUnreachable(RegistryError):
    """No registry answered."""


class Interrupted(RegistryError):
    """The answer broke off or the server had a passing failure. `wait_seconds`: what Retry-After asked for."""

    wait_seconds: float | None = None


class Refused(RegistryError):
    """The registry wants credentials, or others."""


class NotInRegistry(RegistryError):
    """The registry does not have it."""


class Rejected(RegistryError):
    """The registry does not take the request. `status`: what it answered with."""

    status = 0


class RateLimited(Interrupted):
    """Too many requests."""


def unanswered(error: Exception, host: str, subject: str) -> RegistryError:
    """What an exception of requests or urllib3 means: `subject` is what was asked for, such as `pull alpine:latest`."""
    words, passing = _reason(error)
    message = f"cannot {subject}: registry {host}: {words}"
    if passing:
        return Interrupted(message)
    if _is_misled(error):
        return RegistryError(message)
    verification = _first(error, ssl.SSLCertVerificationError)
    if verification is not None:
        hint = f"put the authority's certificate into /etc/containers/certs.d/{host}/ca.crt"
    elif is_tls_failure(error):
        hint = f'a registry without TLS must be listed: registries.insecure = ["{host}"]'
    else:
        hint = OFFLINE_HINT
    return RegistryUnreachable(message, hint)


def reason(error: Exception) -> tuple[str, bool]:
    """What an exception of requests or urllib3 means, in words, and whether another try makes sense."""
    return _reason(error)


def _is_misled(error: Exception) -> bool:
    """Did the server answer, but send us where nothing is?"""
    import requests

    return isinstance(error, (ValueError, requests.exceptions.InvalidSchema, requests.exceptions.TooManyRedirects))


def is_tls_failure(error: Exception) -> bool:
    """Did the server not speak TLS, or not well?"""
    return _first(error, ssl.SSLError) is not None


def _reason(error: Exception) -> tuple[str, bool]:
    """The reason in words, and whether a connection stood before, so that another try makes sense."""
    import requests
    from urllib3.exceptions import NameResolutionError, NewConnectionError, ProxyError

    proxy = "the proxy: " if _first(error, ProxyError, requests.exceptions.ProxyError) else ""
    connected = not proxy and not _first(error, NewConnectionError, requests.exceptions.ConnectTimeout)
    if _first(error, socket.gaierror, NameResolutionError):
        return f"{proxy}its name does not resolve", False
    verification = _first(error, ssl.SSLCertVerificationError)
    if verification is not None:
        return f"{proxy}certificate not trusted: {getattr(verification, 'verify_message', '')}", False
    if connected and _first(error, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return "the connection broke off", True
    tls = _first(error, ssl.SSLError)
    if tls is not None:
        return f"{proxy}TLS failed: {str(getattr(tls, 'reason', None) or 'handshake').replace('_', ' ').lower()}", False
    if _first(error, requests.exceptions.ConnectTimeout):
        return f"{proxy}connecting timed out", False
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return "it redirects in circles", False
    if _is_misled(error):
        return "its address is not a valid URL", False
    if _first(error, TimeoutError, requests.exceptions.ReadTimeout):
        return f"{proxy}it stopped answering", connected
    number = next((cause.errno for cause in _causes(error) if isinstance(cause, OSError) and cause.errno), None)
    return proxy + (os.strerror(number).lower() if number else "the connection broke off"), connected


def _first(error: BaseException, *kinds: type[BaseException]) -> BaseException | None:
    """The first exception of these kinds among the causes."""
    return next((cause for cause in _causes(error) if isinstance(cause, kinds)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it wraps: urllib3 keeps causes in `reason`, in the arguments and in `__cause__`."""
    pending, seen = [error], set[int]()
    while pending and len(seen) < 30:
        current = pending.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        for inner in (getattr(current, "reason", None), *current.args, current.__cause__, current.__context__):
            if isinstance(inner, BaseException):
                pending.append(inner)


def refusal(response: Response, host: str, subject: str) -> RegistryError:
    """What an answer other than the wanted one means. Reads at most 64 KiB of its body and closes it."""
    status = response.status_code
    message = f"cannot {subject}: registry {host}: "
    is_page = "html" in response.headers.get("Content-Type", "").lower()
    told = "" if is_page else _told(response)
    response.close()
    if status == 429:
        limited = RateLimited(
            f"{message}too many requests (429){told and f': {told}'}",
            "log in to the registry, use a mirror (registries.mirrors), or try later",
        )
        limited.wait_seconds = _retry_after(response)
        return limited
    if status in _TRANSIENT:
        passing = Interrupted(f"{message}it failed with status {status}{told and f': {told}'}")
        passing.wait_seconds = _retry_after(response)
        return passing
    if status == 401:
        return Refused(f"{message}unauthorized: {told or 'authentication required'}", LOGIN_HINT)
    if status == 403:
        return Refused(f"{message}access denied{told and f': {told}'}", LOGIN_HINT)
    if is_page:
        return web_page(host, subject)
    if status == 404:
        return NotInRegistry(f"{message}{told or 'not found'}")
    rejected = Rejected(f"{message}it answered with status {status}{told and f': {told}'}")
    rejected.status = status
    return rejected


def web_page(host: str, subject: str) -> RegistryError:
    """An answer in HTML: not a registry, or something on the way."""
    return RegistryError(
        f"cannot {subject}: registry {host}: it answered with a web page",
        "this is no registry, or a proxy or login page is in the way",
    )


def _told(response: Response) -> str:
    """The registry's own words (distribution-spec, error codes), safe to print on a terminal."""
    try:
        body = response.raw.read(_BODY_MAX, decode_content=True)
        document = json.loads(body)
        errors = document["errors"] if isinstance(document, dict) and document.get("errors") else [document]
        words = [str(item.get("message") or item.get("details") or item.get("code") or "") for item in errors]
    except Exception:  # a body is decoration: whatever is wrong with it, the status is what counts
        return ""
    return printable("; ".join(word for word in words if word))


def printable(text: str) -> str:
    """Foreign words without control characters, in one line of bounded length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MESSAGE_MAX else line[:_MESSAGE_MAX] + "..."


def _retry_after(response: Response) -> float | None:
    """The seconds of Retry-After; a date is not worth its parser."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
