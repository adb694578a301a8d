"""How fast crate is beside podman, crun and runc: `python -m bench.run`; docs/performance.md has the figures."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))  # images, registry and traces are the tests'
