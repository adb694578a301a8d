"""Writes the parser's table, the help texts and the manual pages from the Typer declarations in `src/crate/cli`.

`--check` writes nothing and exits with 1 when something is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from crate.cli import generate, manual  # noqa: E402


def main() -> int:
    """Writes what differs and removes what is left over, or with --check only tells."""
    check = "--check" in sys.argv[1:]
    wanted = {ROOT / "src/crate/cli" / path: text for path, text in generate.files().items()}
    wanted |= {ROOT / "docs" / path: text for path, text in manual.files().items()}
    written = [*(ROOT / "src/crate/cli/help").glob("*.txt"), *(ROOT / "docs/man").glob("*.md")]
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    left_over = [path for path in written if path not in wanted]
    for path in [*stale, *left_over]:
        print(f"{'out of date' if check else 'wrote' if path in wanted else 'removed'}: {path.relative_to(ROOT)}")
        if check:
            continue
        if path in wanted:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path])
        else:
            path.unlink()
    return 1 if check and (stale or left_over) else 0


if __name__ == "__main__":
    sys.exit(main())
