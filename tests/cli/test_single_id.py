"""An ordinary user without subordinate ids: what changes owners in a container does not fail."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import IO

import pytest

from program import Crate, Result
from users import etc_with

IMAGE = "crate.local/busybox"
SINGLE = etc_with(subuid="", subgid="")

pytestmark = pytest.mark.requires("root", "unprivileged-user", "busybox")

PACKAGE = """
mkdir -p /p/DEBIAN /p/srv/data && echo x > /p/srv/data/file && chown -R 33:33 /p/srv
printf 'Package: probe\\nVersion: 1\\nArchitecture: all\\nMaintainer: x\\nDescription: x\\n' > /p/DEBIAN/control
printf '#!/bin/sh\\nset -e\\nchown www-data:adm /srv/data/file\\nchgrp -h mail /srv/data\\n' > /p/DEBIAN/postinst
chmod 755 /p/DEBIAN/postinst && dpkg-deb --build /p /p.deb > /dev/null
mkdir -p /var/lib/dpkg /etc/apt/sources.list.d && rm -f /etc/apt/sources.list
apt-get WORDS install -y /p.deb && cat /srv/data/file
"""


def alone_words(crate: Crate, *arguments: str) -> list[str]:
    """crate on a host that gives this user no ids."""
    return ["unshare", "--mount", "sh", "-c", f'{SINGLE} && exec "$@"', "sh", *crate.command(*arguments)]


def alone(
    crate: Crate,
    *arguments: str,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.PIPE,
) -> Result:
    """Runs it."""
    done = subprocess.run(
        alone_words(crate, *arguments), check=False, env=crate.environment, cwd=crate.place, stdin=stdin, stdout=stdout,
        stderr=subprocess.PIPE, text=True, timeout=200,
    )  # fmt: skip
    return Result(done.returncode, (done.stdout or "").removesuffix("\n"), done.stderr)


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


def test_files_that_are_meant_to_be_others(rootless_crate: Crate, tmp_path: Path) -> None:
    """By builds, archives and secrets: they become root's, as those of images do."""
    crate, user = rootless_crate, rootless_crate.user
    assert user and alone(crate, "pull", "--quiet", IMAGE).status == 0
    context = crate.place / "context"
    (context / "a").mkdir(parents=True)
    (context / "a/b").write_text("b")
    (context / "f").write_text("f")
    (context / "a/b").chmod(0o644)
    os.chown(context / "a/b", 33, 44)
    (context / "a/link").symlink_to("b")
    subprocess.run(["tar", "cf", "a.tar", "a"], cwd=context, check=True)
    (context / "Dockerfile").write_text(
        f"FROM {IMAGE}\nCOPY --chown=33:34 f /f\nADD a.tar /\nADD --chown=5 a.tar /x/\nUSER 33\nWORKDIR /w\nUSER 0\n"
        "RUN --mount=type=cache,target=/c,uid=33 --mount=type=secret,id=s,uid=33 "
        "stat -c %u:%g /f /a/b /x/a /w /c /run/secrets/s | uniq && cat /run/secrets/s /f\n"
    )
    built = alone(crate, "build", "--network", "none", "--secret", f"id=s,src={context}/f", "-t", "t", str(context))
    assert built.status == 0 and "\n0:0\nff" in built.out, built
    assert alone(crate, "run", "-d", "--name", "one", "--network", "none", "t", "sleep", "1000").status == 0
    with open(context / "a.tar", "rb") as archive:
        assert alone(crate, "cp", "--archive", "-", "one:/tmp", stdin=archive).status == 0
    assert alone(crate, "cp", "--archive", f"{context}/a", "one:/copied").status == 0
    shown = alone(crate, "exec", "one", "stat", "-c", "%u:%g", "/tmp/a/b", "/copied/b", "/copied/link")
    assert shown.out.split() == ["0:0"] * 3, shown
    alone(crate, "rm", "-f", "-t", "0", "one")
    assert alone(crate, "secret", "create", "s", f"{context}/f").status == 0
    run = ("run", "--rm", "--network", "none", "--secret", "s,uid=33")
    assert alone(crate, *run, "t", "stat", "-c", "%u:%g", "/run/secrets/s").out == "0:0"


def test_with_subordinate_ids_owners_change(rootless_crate: Crate) -> None:
    run = ("run", "--rm", "--network", "none", IMAGE, "sh", "-c", "chown 33:34 /etc/passwd; stat -c %u:%g /etc/passwd")
    rootless_crate.ok("pull", "--quiet", IMAGE)
    assert rootless_crate.ok(*run) == "33:34"


def test_ids_that_are_not_mapped_are_told(rootless_crate: Crate) -> None:
    rootless_crate.ok("pull", "--quiet", IMAGE)
    context = rootless_crate.place / "context"
    context.mkdir()
    (context / "f").write_text("f")
    (context / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY --chown=70000:0 f /f\n")
    error = rootless_crate("build", "--network", "none", str(context)).err
    assert "cannot give files to 70000:0: the ids are not mapped into the user namespace" in error, error


@pytest.mark.slow
@pytest.mark.requires("registry")
def test_packages_of_debian(rootless_crate: Crate, debian_image: str) -> None:
    assert alone(rootless_crate, "pull", "--quiet", debian_image).status == 0
    run = ("run", "--rm", "--network", "none", debian_image, "sh", "-ec")
    result = alone(rootless_crate, *run, PACKAGE.replace("WORDS", "-o APT::Sandbox::User=root"))
    assert result.status == 0 and result.out.splitlines()[-1] == "x", result
    # the user _apt is not there, and apt is not told that it has become this user
    assert "seteuid 42 failed" in alone(rootless_crate, *run, PACKAGE.replace("WORDS", "")).err
