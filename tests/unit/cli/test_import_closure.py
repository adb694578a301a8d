"""What the hot commands import, printed for whoever looks (`pytest -rP`): nothing that costs (docs/decisions/0002)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from abilities import CHECKOUT

FORBIDDEN = {
    "_pydatetime", "argparse", "asyncio", "base64", "bisect", "calendar", "collections", "contextlib", "copy", "ctypes",
    "dataclasses", "datetime", "decimal", "email", "enum", "fnmatch", "functools", "glob", "hashlib", "heapq", "hmac",
    "http", "importlib", "inspect", "ipaddress", "json", "logging", "operator", "pathlib", "pickle", "platform",
    "prctl", "pyroute2", "queue", "random", "re", "requests", "rich", "secrets", "shutil", "signal", "site", "socket",
    "ssl", "string", "subprocess", "tarfile", "tempfile", "textwrap", "threading", "tomllib", "traceback", "typer",
    "types", "typing", "urllib", "uuid", "warnings", "weakref", "zipfile",
}  # fmt: skip

# Commands and what an ordinary line of each needs beyond its file: the imports in its `main` are found by themselves.
HOT = {
    "run": "run --rm image true",
    "create": "create image",
    "start": "start name",
    "stop": "stop name",
    "kill": "kill name",
    "rm": "rm name",
    "exec": "exec name true",
    "logs": "logs name",
    "wait": "wait name",
    "ps": "ps",
    "inspect": "inspect name",
    "images": "images",
    "container exists": "container exists name",
    "version": "version",
    "help": "run --help",
}

SCRIPT = """
import sys
sys.path.append({source!r})
from crate.cli import app, fast
module, options, words = fast.parse({line!r})
if module:
    app.load(module)
else:
    app.print_help(words)
{imports}
print("\\n" + "\\n".join(sorted(sys.modules)))
"""


def imports_of_main(path: Path) -> str:
    """The import statements inside of a command's `main`: they are what it uses at run time."""
    tree = ast.parse(path.read_text())
    (main,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    found = [node for node in ast.walk(main) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return "\n".join(ast.unparse(node) for node in found)


def closure(line: str, imports: str) -> list[str]:
    """Modules that are loaded once a command line is parsed and its imports are done."""
    script = SCRIPT.format(source=str(CHECKOUT / "src"), line=line.split(), imports=imports)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": os.defpath},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rpartition("\n\n")[2].split()


@pytest.mark.parametrize("words", HOT)
def test_nothing_slow_is_imported(words: str) -> None:
    from crate.cli import table

    module = table.COMMANDS[words]
    line = HOT[words]
    path = CHECKOUT / "src/crate/cli" / f"{module.replace('.', '/')}.py"
    modules = closure(line, "" if words == "help" else imports_of_main(path))
    ours = [name for name in modules if name.startswith("crate")]
    print(f"crate {line}: {len(ours)} modules of crate, {len(modules) - len(ours)} others")
    print("\n".join(modules))
    assert not {name.partition(".")[0] for name in modules} & FORBIDDEN


@pytest.mark.parametrize("template", ["{{.Names}}", "table {{.Names}}\t{{.Status}}", "json"])
def test_templates_are_hot(template: str) -> None:
    modules = closure("ps", f"from crate.cli import formats\nformats.listing([], (), {{'format': {template!r}}})")
    assert not {name.partition(".")[0] for name in modules} & FORBIDDEN
