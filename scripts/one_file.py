"""Builds crate as one executable: a shell header and a gzipped tar that the header unpacks once (docs/decisions/0006).

The tar holds `lib` (crate and what it depends on, from this virtual environment) and, on request, `python`.
"""

from __future__ import annotations

import argparse
import compileall
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import one_file_python

ROOT = Path(__file__).resolve().parent.parent
DISTRIBUTION = "crate-runtime"
HEADER_BYTES = 4096
OTHER_PYTHONS = ("3.11", "3.12", "3.13")
WITH_EXTENSIONS = ("isal", "zstandard")  # small enough to bring them for each Python
LEFT_OUT = ("_cffi", "pygments/lexers/_")  # zstandard's second back end, pygments' lists of words


def main() -> int:
    """Parses the command line and builds."""
    parser = argparse.ArgumentParser(prog="scripts/build-one-file", description="Build crate as one executable file.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "crate", help="the file (default dist/crate)")
    parser.add_argument("--with-python", action="store_true", help="bring this Python too, for hosts without any")
    parser.add_argument("--offline", action="store_true", help="fetch no C parts for other versions of Python")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crate-one-file-") as work:
        tree = Path(work) / "tree"
        library = tree / "lib"
        _add_crate(library)
        for found in dependencies():
            _add_distribution(found, library)
        if arguments.with_python:
            one_file_python.add(tree / "python")
        elif not arguments.offline:
            _add_other_extensions(library, Path(work))
        _strip(tree)
        _compile(tree)
        python = f"python/bin/{one_file_python.NAME}" if arguments.with_python else ""
        _write(arguments.output, tree, python)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB")
    return 0


def dependencies() -> list[Distribution]:
    """What crate needs at run time, and what that needs."""
    found: dict[str, Distribution] = {}
    waiting = [DISTRIBUTION]
    while waiting:
        try:
            here = distribution(waiting.pop())
        except PackageNotFoundError:
            continue  # needed on another Python or system only
        name = str(here.metadata["Name"])
        if name not in found:
            found[name] = here
            wanted = [text for text in here.requires or [] if "extra ==" not in text]
            waiting += ["".join(c if c.isalnum() or c in "-_." else " " for c in text).split()[0] for text in wanted]
    del found[DISTRIBUTION]
    return list(found.values())


def _add_crate(library: Path) -> None:
    shutil.copytree(ROOT / "src" / "crate", library / "crate", ignore=shutil.ignore_patterns("__pycache__"))


def _add_distribution(found: Distribution, library: Path) -> None:
    for file in found.files or []:
        path = str(file)
        if ".." in path or ".dist-info/" in path or "__pycache__" in path or any(word in path for word in LEFT_OUT):
            continue
        source = Path(str(file.locate()))
        if path.endswith((".pyi", ".pyx", ".c", ".h")) or not ("/" in path or path.endswith((".py", ".so"))):
            continue
        if ".egg-info/" in path or not source.exists():  # installed by setup.py: a list of its sources
            continue
        target = library / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _add_other_extensions(library: Path, work: Path) -> None:
    """The C parts of the other Pythons beside ours: their names tell them apart."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    pins = [f"{name}=={distribution(name).version}" for name in WITH_EXTENSIONS]
    machine = sysconfig.get_platform().replace("linux-", "")
    platforms = [f"--platform={tag}_{machine}" for tag in ("manylinux2014", "manylinux_2_17", "manylinux_2_28")]
    for version in OTHER_PYTHONS:
        if version == ours:
            continue
        wheels = work / version
        command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary=:all:", *platforms,
                   f"--python-version={version}", "--dest", str(wheels), *pins]  # fmt: skip
        subprocess.run(command, check=True)
        for wheel in wheels.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if name.endswith(".so") and not any(word in name for word in LEFT_OUT):
                        archive.extract(name, library)


def _strip(tree: Path) -> None:
    """Symbols are three quarters of the C parts."""
    if shutil.which("strip"):
        for binary in tree.rglob("*.so*"):
            subprocess.run(["strip", "--strip-unneeded", binary], check=True)


def _compile(tree: Path) -> None:
    for source in tree.rglob("*.py"):
        os.utime(source, (0, 0))  # what the tar says too; the compiled files and crate's hot core are valid by it
    workers = os.cpu_count() or 1
    if not compileall.compile_dir(tree, maxlevels=20, quiet=1, stripdir=str(tree), workers=workers):
        raise SystemExit("one of the files does not compile")


def _write(output: Path, tree: Path, python: str) -> None:
    packed = output.with_name(f"{output.name}.tmp")
    output.parent.mkdir(parents=True, exist_ok=True)
    with packed.open("wb") as raw:
        raw.write(b"\0" * HEADER_BYTES)
        with (
            gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as stream,
            tarfile.open(mode="w|", fileobj=stream, format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in sorted(tree.rglob("*")):
                archive.add(path, str(path.relative_to(tree)), recursive=False, filter=_anonymous)
    version = distribution(DISTRIBUTION).version
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()[:16]
    header = (Path(__file__).parent / "one_file_header.sh").read_text()
    for mark, value in (
        ("VERSION", version),
        ("NAME", f"{version}-{digest}"),
        ("PYTHON", python),
        ("START", str(HEADER_BYTES + 1)),
    ):
        header = header.replace(f"@{mark}@", value)
    text = header.encode()
    if len(text) > HEADER_BYTES:
        raise SystemExit(f"the header has {len(text)} bytes, {HEADER_BYTES} are reserved")
    with packed.open("r+b") as raw:
        raw.write(text.ljust(HEADER_BYTES, b"\n"))
    packed.chmod(0o755)
    packed.rename(output)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same bytes whoever builds."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


if __name__ == "__main__":
    sys.exit(main())
