"""ruff, mypy --strict and the import rules pass on the whole tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from abilities import CHECKOUT

TOOLS = {
    "ruff check": ["ruff", "check", "--no-fix", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy --strict": ["mypy"],
    "import rules": ["lint-imports", "--no-cache"],
}


@pytest.mark.parametrize("tool", TOOLS)
def test_tool_has_no_complaint(tool: str) -> None:
    name, *arguments = TOOLS[tool]
    program = Path(sys.executable).parent / name
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT / "src"), "COLUMNS": "120"}
    done = subprocess.run(
        [program, *arguments], check=False, cwd=CHECKOUT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{tool}:\n{done.stdout}{done.stderr}"
