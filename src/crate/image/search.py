"""`search`: repositories by a term in one registry or in those of registries.conf, and the tags of a repository."""

from __future__ import annotations

from crate.errors import RegistryError, UsageError
from crate.image.access import access
from crate.oci import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from crate.settings import Settings

LIMIT, LIMIT_MAX = 25, 100


def search(
    settings: Settings, term: str, limit: int, filters: Mapping[str, Sequence[str]], options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Rows with podman's fields: Index, Name (in full), Description, Stars, Official, Automated, Tag.

    `REGISTRY/` alone lists a registry. With several registries those that fail are passed over, unless all do.
    Raises UsageError, RegistryError.
    """
    from crate.registry import registries_conf
    from crate.registry.search import find

    tests = _tests(filters)
    head, slash, rest = term.partition("/")
    if slash and not references.is_short(term):
        searched, wanted = [head], rest
    else:
        searched, wanted = registries_conf.load().search or [references.DEFAULT_DOMAIN], term
    rows, failures = [], []
    for registry in searched:
        try:
            hits = find(registry, wanted, limit, settings, **access(options))
        except RegistryError as error:
            failures.append(error)
            continue
        for hit in hits:
            is_plain_hub = registry == references.DEFAULT_DOMAIN and "/" not in hit.name
            row = {
                "Index": registry,
                "Name": f"{registry}/{'library/' if is_plain_hub else ''}{hit.name}",
                "Description": hit.description,
                "Stars": hit.stars,
                "Official": "[OK]" if hit.official else "",
                "Automated": "[OK]" if hit.automated else "",
                "Tag": "",
            }
            if all(test(row) for test in tests):
                rows.append(row)
    if failures and len(failures) == len(searched):
        raise failures[0]
    return rows


def tags(settings: Settings, text: str, limit: int, options: Mapping[str, Any]) -> tuple[str, list[str]]:
    """`--list-tags`: the full name of a repository, and at most so many of its tags. UsageError, RegistryError."""
    from crate.registry import registries_conf
    from crate.registry.client import Client

    plain = text.removeprefix("docker://")
    if references.is_short(plain):
        reference = registries_conf.load().candidates(plain)[0]
    else:
        reference = references.parse(plain)
    if ":" in plain.rpartition("/")[2] or reference.digest:
        raise UsageError(f"cannot list the tags of {text}: it has one", "give the repository alone")
    client = Client(reference, settings, verb="list the tags of", **access(options))
    try:
        return reference.name, client.tags()[:limit]
    finally:
        client.close()


def _tests(filters: Mapping[str, Sequence[str]]) -> list[Any]:
    """What each row must pass. UsageError."""
    made: list[Any] = []
    for key, values in filters.items():
        for value in values:
            if key == "stars":
                if not value.isdigit():
                    raise UsageError(f'invalid filter "stars={value}"', "a whole number of stars")
                made.append(lambda row, least=int(value): row["Stars"] >= least)
            else:
                if value not in ("true", "false", "1", "0", ""):
                    raise UsageError(f'invalid filter "{key}={value}"', "true or false")
                field = "Official" if key == "is-official" else "Automated"
                made.append(lambda row, field=field, wanted=value not in ("false", "0"): bool(row[field]) == wanted)
    return made
