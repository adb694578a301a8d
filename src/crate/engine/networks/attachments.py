"""The networks that the record of a container names."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def names(request: dict[str, Any]) -> list[str]:
    """The networks that a container asks for, by name, the first one first; none for a mode that has none."""
    return [attachment["network"] for attachment in request["networks"] if attachment["network"]]
