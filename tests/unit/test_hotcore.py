"""The one file of hot code: learns, notices changed sources and damage, and is only ever a shortcut."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from abilities import CHECKOUT

# A package called crate, and the real hotcore.py before it, as src/crate/__main__.py has it.
BEGIN = """
import sys, importlib.util
place = sys.argv[1]
spec = importlib.util.spec_from_file_location("hotcore", sys.argv[2])
hotcore = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hotcore)
sys.path.insert(0, place)
import crate
hotcore.install(place + "/crate")
hotcore.load("job")
"""
SCRIPT = """
made = sorted(name for name in sys.modules if name[:6] == "crate.")
from crate import one
from crate.pack import two
try:
    import crate.nothing
except ModuleNotFoundError:
    pass
print(one.VALUE, two.VALUE, one.__file__ == place + "/crate/one.py", made)
hotcore.stop()
from crate.pack import late
print(late.TWO)
hotcore.learn()
"""
FAST = "['crate.one', 'crate.pack', 'crate.pack.two']"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of two modules, one of them in a package of its own."""
    folder = tmp_path / "crate"
    (folder / "pack").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "pack/__init__.py").write_text("from crate.pack.two import VALUE as IT\n")
    (folder / "one.py").write_text("VALUE = 1\n")
    (folder / "pack/two.py").write_text("from crate.one import VALUE as ONE\nVALUE = ONE + 1\n")
    (folder / "pack/late.py").write_text("from crate.pack import IT as TWO\n")
    return folder


def run(package: Path, *flags: str) -> str:
    """One process that imports everything; what it saw."""
    hotcore = CHECKOUT / "src/crate/hotcore.py"
    command = [sys.executable, "-I", "-S", *flags, "-c", BEGIN + SCRIPT, str(package.parent), str(hotcore)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seen, late = done.stdout.splitlines()
    assert late == seen.split()[1]
    return seen


def bundle(package: Path) -> Path:
    """Where the file lies."""
    (found,) = (package / "__pycache__").glob("hot.*.bin")
    return found


def test_learns_and_serves(package: Path) -> None:
    assert run(package) == "1 2 True []"
    before = bundle(package).stat()
    assert run(package) == f"1 2 True {FAST}"
    assert bundle(package).stat().st_mtime_ns == before.st_mtime_ns, "written anew for nothing"


def test_a_changed_source_counts(package: Path) -> None:
    run(package)
    (package / "one.py").write_text("VALUE = 10\n")
    assert run(package) == "10 11 True []"
    assert run(package) == f"10 11 True {FAST}"


def test_a_source_of_equal_size_counts_by_its_time(package: Path) -> None:
    run(package)
    (package / "one.py").write_text("VALUE = 3\n")
    os.utime(package / "one.py", ns=(1, 1))
    assert run(package).startswith("3 4 ")


@pytest.mark.parametrize("damage", [b"", b"crate hot core 3", b"\xff" * 100, None], ids=repr)
def test_damage_is_healed(package: Path, damage: bytes | None) -> None:
    run(package)
    path = bundle(package)
    path.write_bytes(path.read_bytes()[:60] if damage is None else damage)
    assert run(package) == "1 2 True []"
    assert run(package) == f"1 2 True {FAST}"


def test_writes_nothing_where_bytecode_is_not_wanted(package: Path) -> None:
    assert run(package, "-B") == "1 2 True []"
    assert not (package / "__pycache__").exists()


def test_a_package_that_was_there_before(package: Path) -> None:
    """A group learned where a package had been imported already also serves where it has not."""
    first = (
        (BEGIN + SCRIPT)
        .replace('hotcore.load("job")', 'import crate.pack\nhotcore.load("job")')
        .replace("from crate.pack import late", "hotcore.learn(); from crate.pack import late")
    )
    first = first.replace("from crate import one\n", "from crate import one\nfrom crate.pack import more\n")
    then = (BEGIN + SCRIPT).replace("made = ", "print(sys.modules['crate.pack.more'].THREE); made = ")
    (package / "pack/more.py").write_text("from crate.pack import IT\nTHREE = IT + 1\n")
    hotcore = str(CHECKOUT / "src/crate/hotcore.py")
    for script, said in ((first, "1 2 True ['crate.one', 'crate.pack', 'crate.pack.two']"), (then, "3")):
        command = [sys.executable, "-I", "-S", "-c", script, str(package.parent), hotcore]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout.splitlines()[0] == said


def test_leaves_nothing_else(package: Path) -> None:
    run(package)
    run(package)
    names = {path.name.partition(".")[0] for path in (package / "__pycache__").iterdir()}
    assert names == {"__init__", "one", "hot"}


APART = """
from crate import one
made = lambda: sorted(name for name in sys.modules if name[:6] == "crate.")
before = made()
if len(sys.argv) > 3:
    with hotcore.Apart(sys.argv[3]):
        with_it = made()
        from crate.pack import two
else:
    with_it = made()
from crate import three
print(before, with_it)
hotcore.learn()
"""


def test_what_some_commands_need_is_a_group_of_its_own(package: Path) -> None:
    (package / "three.py").write_text("VALUE = 3\n")
    hotcore = CHECKOUT / "src/crate/hotcore.py"

    def once(*group: str) -> str:
        command = [sys.executable, "-I", "-S", "-c", BEGIN + APART, str(package.parent), str(hotcore), *group]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert once("pair") == "['crate.one'] ['crate.one']"  # it only learns
    assert once("pair") == "['crate.one', 'crate.three'] ['crate.one', 'crate.pack', 'crate.pack.two', 'crate.three']"
    assert once() == "['crate.one', 'crate.three'] ['crate.one', 'crate.three']"
    assert once("") == "['crate.one', 'crate.three'] ['crate.one', 'crate.three']"
