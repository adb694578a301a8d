"""What a container can do to the interpreter of crate, which it can reach as /proc/self/exe while it is entered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from abilities import CHECKOUT

if TYPE_CHECKING:
    from program import Crate

#: run by crate's own interpreter, with the libraries that the container has chosen
ATTACK = """#!/proc/self/exe
import os
print(os.path.basename(os.readlink("/proc/self/exe")), os.access("/proc/self/exe", os.W_OK))
"""


def _attack(crate: Crate) -> str:
    root = crate.place / "hostile"
    for name in ("usr", "proc"):
        (root / name).mkdir(parents=True)
    for name in ("lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "attack").write_text(ATTACK)
    (root / "attack").chmod(0o755)
    if crate.user:
        for path in (root, *root.rglob("*")):
            os.chown(path, crate.user.uid, crate.user.gid, follow_symlinks=False)
    words = ("run", "--rm", "--network", "none", "-v", "/usr:/usr:ro", "--rootfs", str(root))
    return crate.ok(*words, "/attack")


@pytest.mark.requires("root", "overlay")
def test_of_the_host(crate: Crate) -> None:
    crate.ok("version")
    name = os.path.basename(os.path.realpath(sys.executable))
    assert _attack(crate) == f"{name} False"


@pytest.mark.requires("unprivileged-user")
def test_of_an_ordinary_user(rootless_crate: Crate, monkeypatch: pytest.MonkeyPatch) -> None:
    user = rootless_crate.user
    assert user
    own = rootless_crate.place / "python-of-the-user"
    shutil.copy(os.path.realpath(sys.executable), own)
    os.chown(own, user.uid, user.gid)
    monkeypatch.setenv("CRATE_PROGRAM", f"{own} -I -S {CHECKOUT}/src/crate/__main__.py")
    assert _attack(rootless_crate) == f"{own.name} False"
    assert rootless_crate.ok("run", "-d", "--name", "one", "--network", "none", "crate.local/busybox", "sleep", "60")
    assert rootless_crate.ok("exec", "one", "echo", "inside") == "inside"
    assert rootless_crate.ok("ps", "--format", "{{.Names}}") == "one"


@pytest.mark.requires("root", "overlay")
def test_that_cannot_be_protected_enters_no_container(crate: Crate) -> None:
    words = crate.command("run", "--rm", "crate.local/busybox", "true")
    words = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o ro tmpfs /run && exec "$@"', "sh", *words]
    done = subprocess.run(words, capture_output=True, text=True, env=crate.environment, check=False)
    assert done.returncode == 125 and done.stderr.startswith("Error: cannot protect the interpreter"), done.stderr
