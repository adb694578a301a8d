"""Parser directives: comments `# name=value` at the very top of a Dockerfile."""

from __future__ import annotations

import re

from crate.build.language.dockerfile_error import Fault

NAMES = ("syntax", "escape", "check")
_FORM = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*", re.DOTALL)


class Directives:
    """What the lines at the top said. The first line that is no directive ends them, be it empty or a comment."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.escape = "\\"
        self._are_over = False

    def take(self, line: str) -> bool:
        """Is this line, free of leading space, a directive? Raises Fault for one that is given twice or is wrong."""
        if self._are_over:
            return False
        match = _FORM.fullmatch(line)
        name = match[1].lower() if match else ""
        if not match or name not in NAMES:
            self._are_over = True
            return False
        if name in self.values:
            raise Fault(f"only one {name} parser directive can be used", match[1])
        value = self.values[name] = match[2]
        if name == "escape":
            if value not in ("\\", "`"):
                raise Fault(f"invalid escape token '{value}' does not match ` or \\", value)
            self.escape = value
        return True
