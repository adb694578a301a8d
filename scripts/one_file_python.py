"""The Python that `build-one-file --with-python` brings: Debian's interpreter, its library, and what those link to."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

NAME = f"python{sys.version_info.major}.{sys.version_info.minor}"
LEFT_OUT = (
    "__pycache__ test tests idlelib ensurepip lib2to3 tkinter turtledemo pydoc_data distutils venv site-packages "
    "dist-packages config-* LICENSE.txt turtle.py sitecustomize.py EXTERNALLY-MANAGED _test*.so _xx*.so xx*.so "
    "*_test.*.so readline.*.so _curses*.so _dbm.*.so _tkinter.*.so nis.*.so _codecs_*.so ossaudiodev.*.so audioop.*.so "
    "_sqlite3.*.so"
).split()
# of the system's C library: a copy would have to match the host's loader
OF_THE_HOST = ("libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "libresolv.so", "ld-linux")


def add(target: Path) -> None:
    """Puts bin/pythonX.Y and lib/ into `target`. SystemExit without patchelf, which sets where libraries are found."""
    if not shutil.which("patchelf"):
        raise SystemExit("build-one-file: --with-python needs patchelf (apt-get install patchelf)")
    program = target / "bin" / NAME
    program.parent.mkdir(parents=True)
    shutil.copyfile(Path(sys.executable).resolve(), program)
    program.chmod(0o755)
    library = target / "lib" / NAME
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=False)
    for binary in [program, *(library / "lib-dynload").glob("*.so")]:
        for path in _linked(binary):
            if not path.name.startswith(OF_THE_HOST):
                shutil.copyfile(path, target / "lib" / path.name)
    # RPATH, not RUNPATH: that of the program then holds for the libraries of its extension modules too
    subprocess.run(["patchelf", "--force-rpath", "--set-rpath", "$ORIGIN/../lib", program], check=True)


def _linked(binary: Path) -> list[Path]:
    text = subprocess.run(["ldd", binary], check=True, capture_output=True, text=True).stdout
    return [Path(found) for found in re.findall(r"=> (/\S+)", text)]
