"""Go's text/template, as docker and podman offer it in `--format`; not for HTML, not for files.

No library of PyPI starts fast enough or is complete enough (docs/decisions/0071). The language and its errors follow
https://pkg.go.dev/text/template; podman's and docker's clients are the oracle of the tests. Hot: `ps --format`.
"""

from __future__ import annotations

from crate.cli.template.errors import TemplateError
from crate.cli.template.evaluate import Template
from crate.cli.template.values import GoMap

__all__ = ["GoMap", "Template", "TemplateError", "render"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def render(text: str, data: Any, name: str = "") -> str:
    """The text that a template makes of JSON-like data. Raises TemplateError."""
    return Template(text, name).execute(data)
