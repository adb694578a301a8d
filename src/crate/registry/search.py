"""Looking for repositories: docker's search (`/v1/search`), and the catalogue of a registry that has none.

Sources: docker's registry v1 API as Docker Hub still has it; distribution-spec, `/v2/_catalog`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from crate.errors import RegistryError
from crate.oci.document import read_object
from crate.oci.reference import Reference
from crate.registry.client import credentials_for, pages
from crate.registry.endpoint import endpoints
from crate.registry.failure import Interrupted, Refused
from crate.registry.transport import Patience, Transport

if TYPE_CHECKING:
    from typing import Any

    from crate.registry.credentials import Credentials
    from crate.registry.endpoint import Settings

_HUB, _HUB_SEARCH = "registry-1.docker.io", "index.docker.io"
_ANSWER_MAX = 4 << 20


class Hit:
    """A repository: `name` without the registry, what its owner says of it, and its standing at Docker Hub."""

    __slots__ = ("automated", "description", "name", "official", "stars")

    def __init__(
        self, name: str, description: str = "", stars: int = 0, official: bool = False, automated: bool = False
    ) -> None:
        self.name = name
        self.description = description
        self.stars = stars
        self.official = official
        self.automated = automated


def find(
    registry: str,
    term: str,
    limit: int,
    settings: Settings,
    *,
    credentials: Credentials | None = None,
    authfile: str | None = None,
    tls_verify: bool | None = None,
    certificates: str | None = None,
    patience: Patience | None = None,
) -> list[Hit]:
    """At most `limit` repositories of a registry whose names hold `term`, best first. Raises RegistryError."""
    endpoint = endpoints(Reference(registry, ""), settings, tls_verify)[-1]
    if endpoint.host == _HUB:
        endpoint.host = _HUB_SEARCH
    subject = f"search {registry}"
    transport = Transport(
        endpoint,
        settings,
        credentials_for(endpoint, credentials, authfile),
        subject,
        patience or Patience(),
        certificates,
    )
    try:
        found = _by_search(transport, term, limit) if term else None
        return _by_catalogue(transport, term, limit) if found is None else found
    finally:
        transport.close()


def _by_search(transport: Transport, term: str, limit: int) -> list[Hit] | None:
    """None where the registry has no such thing. Docker Hub's official images are found without `library/`."""
    is_hub = transport.host == _HUB_SEARCH
    path = f"/v1/search?q={quote(term.removeprefix('library/') if is_hub else term)}&n={limit}"
    try:
        document = read_object(transport.read(transport.request("GET", path, ""), _ANSWER_MAX))
    except (Interrupted, Refused):
        raise
    except RegistryError:
        if is_hub:
            raise
        return None
    results = document.get("results") if document else None
    if not isinstance(results, list):
        return None
    return [_hit(one) for one in results if isinstance(one, dict) and one.get("name")][:limit]


def _hit(entry: dict[str, Any]) -> Hit:
    stars = entry.get("star_count")
    return Hit(
        str(entry["name"]),
        str(entry.get("description") or ""),
        stars if isinstance(stars, int) else 0,
        entry.get("is_official") is True,
        entry.get("is_automated") is True,
    )


def _by_catalogue(transport: Transport, term: str, limit: int) -> list[Hit]:
    found: list[Hit] = []
    for document in pages(transport, "_catalog", "registry:catalog:*"):
        names = document.get("repositories")
        found += [Hit(str(name)) for name in names or () if term in str(name)] if isinstance(names, list) else []
        if len(found) >= limit:
            break
    return found[:limit]
