"""What is wrong with a template, in Go's words."""

from __future__ import annotations

from crate.errors import UsageError


class TemplateError(UsageError):
    """`template: NAME:LINE: …` for what cannot be parsed, `template: NAME:LINE:COLUMN: executing …` for the rest."""
