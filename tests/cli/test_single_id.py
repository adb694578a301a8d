"""An ordinary user without subordinate ids: what changes owners in a container does not fail."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from program import Crate, Result

IMAGE = "crate.local/busybox"
SINGLE = "mount --bind /dev/null /etc/subuid && mount --bind /dev/null /etc/subgid"

pytestmark = pytest.mark.requires("root", "unprivileged-user", "busybox")

PACKAGE = """
mkdir -p /p/DEBIAN /p/srv/data && echo x > /p/srv/data/file && chown -R 33:33 /p/srv
printf 'Package: probe\\nVersion: 1\\nArchitecture: all\\nMaintainer: x\\nDescription: x\\n' > /p/DEBIAN/control
printf '#!/bin/sh\\nset -e\\nchown www-data:adm /srv/data/file\\nchgrp -h mail /srv/data\\n' > /p/DEBIAN/postinst
chmod 755 /p/DEBIAN/postinst && dpkg-deb --build /p /p.deb > /dev/null && dpkg -i /p.deb && cat /srv/data/file
"""


def alone(crate: Crate, *arguments: str) -> Result:
    """Runs crate on a host that gives this user no ids."""
    words = ["unshare", "--mount", "sh", "-c", f'{SINGLE} && exec "$@"', "sh", *crate.command(*arguments)]
    done = subprocess.run(
        words, check=False, env=crate.environment, cwd=crate.place, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=200,
    )  # fmt: skip
    return Result(done.returncode, done.stdout.removesuffix("\n"), done.stderr)


def test_changes_of_owners_succeed(rootless_crate: Crate, tmp_path: Path) -> None:
    crate = rootless_crate
    assert alone(crate, "pull", "--quiet", IMAGE).status == 0
    run = ("run", "--rm", "--network", "none")
    script = "touch /f && chown 33:33 /f && chown -h 5 /bin/sh && stat -c %u:%g /f; cp -a /etc /e && echo ok"
    result = alone(crate, *run, IMAGE, "sh", "-c", script)
    assert result.out.splitlines()[-2:] == ["0:0", "ok"], result
    # an archive with other owners; the rest of the filter is as ever
    unpack = "cd /tmp && mkdir d && chown 7:7 d && tar cf a.tar d && tar xf a.tar && echo unpacked; unshare -U true"
    result = alone(crate, *run, IMAGE, "sh", "-c", unpack)
    assert result.out == "unpacked" and result.status != 0, result
    assert alone(crate, *run, "--security-opt", "seccomp=unconfined", IMAGE, "chown", "33", "/bin").status == 1
    assert "must map id 0" in alone(crate, *run, "--userns", "keep-id", IMAGE, "true").err
    # who may become nobody else is told so, not fooled
    assert alone(crate, *run, IMAGE, "busybox", "setuidgid", "nobody", "true").status != 0
    assert alone(crate, "run", "-d", "--name", "one", "--network", "none", IMAGE, "sleep", "1000").status == 0
    assert alone(crate, "exec", "one", "sh", "-c", "chown 9:9 /etc/passwd && echo done").out == "done"
    alone(crate, "rm", "-f", "-t", "0", "one")


def test_with_subordinate_ids_owners_change(rootless_crate: Crate) -> None:
    run = ("run", "--rm", "--network", "none", IMAGE, "sh", "-c", "chown 33:34 /etc/passwd; stat -c %u:%g /etc/passwd")
    rootless_crate.ok("pull", "--quiet", IMAGE)
    assert rootless_crate.ok(*run) == "33:34"


@pytest.mark.slow
@pytest.mark.requires("registry")
def test_packages_of_debian(rootless_crate: Crate, debian_image: str) -> None:
    assert alone(rootless_crate, "pull", "--quiet", debian_image).status == 0
    result = alone(rootless_crate, "run", "--rm", "--network", "none", debian_image, "sh", "-ec", PACKAGE)
    assert result.status == 0 and result.out.splitlines()[-1] == "x", result
