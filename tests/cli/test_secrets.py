"""Secrets: kept in the store, given to containers in memory, seen nowhere else."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from reliability import strikes

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

IMAGE = "crate.local/busybox"
RUN = ("run", "--rm", "--network", "none")
VALUE = "o9x-not-to-be-seen"

pytestmark = [pytest.mark.requires("overlay", "busybox"), pytest.mark.usefixtures("busybox")]


@pytest.fixture
def token(crate: Crate) -> str:
    """The name of a secret whose value is VALUE."""
    assert len(crate.ok("secret", "create", "token", "-", input=VALUE)) == 25
    return "token"


def holders(*places: Path) -> list[Path]:
    """The files beneath the places that hold VALUE, in whatever coding they would."""
    found = []
    for place in places:
        for directory, _, files in os.walk(place):
            for name in files:
                path = type(place)(directory) / name
                if path.is_file() and not path.is_symlink() and VALUE.encode() in path.read_bytes():
                    found.append(path)
    return found


@pytest.mark.requires("root")
def test_create_list_inspect_remove(crate: Crate, tmp_path: Path) -> None:
    (tmp_path / "value").write_bytes(b"from\0file")
    first = crate.ok("secret", "create", "-l", "a=b", "--driver", "file", "one", str(tmp_path / "value"))
    second = crate.ok("secret", "create", "--env", "two", "GIVEN", GIVEN="from environment")
    assert "secret name in use" in crate.fails(125, "secret", "create", "one", "-", input="x")
    assert "larger than 0" in crate.fails(125, "secret", "create", "three", "-", input="")
    assert "larger than 0" in crate.fails(125, "secret", "create", "three", "-", input="x" * 512000)
    assert "not include" in crate.fails(125, "secret", "create", "../three", "-", input="x")
    assert "is not set" in crate.fails(125, "secret", "create", "--env", "three", "MISSING")
    assert "No such file" in crate.fails(125, "secret", "create", "three", str(tmp_path / "missing"))
    assert "only one" in crate.fails(125, "secret", "create", "-d", "vault", "three", "-", input="x")
    assert crate.ok("secret", "ls").splitlines()[0].split() == ["ID", "NAME", "DRIVER", "CREATED", "UPDATED"]
    assert crate.ok("secret", "ls", "-q", "--filter", "name=one") == first
    assert crate.ok("secret", "ls", "--format", "{{.Name}} {{.Driver}}").splitlines() == ["one file", "two file"]
    (found,) = json.loads(crate.ok("secret", "inspect", "one"))
    assert found["ID"] == first and found["Spec"]["Labels"] == {"a": "b"} and "SecretData" not in found
    assert crate.ok("secret", "inspect", "--format", "{{.Spec.Name}}", second[:8]) == "two"
    assert crate.ok("secret", "inspect", "--showsecret", "-f", "{{.SecretData}}", "two") == "from environment"
    assert {entry.stat().st_mode & 0o777 for entry in (crate.root / "secrets").iterdir()} == {0o600}
    assert crate("secret", "exists", "one").status == 0 and crate("secret", "exists", "three").status == 1
    assert crate.ok("secret", "create", "--replace", "two", "-", input="other") == second
    assert crate.ok("secret", "inspect", "--showsecret", "-f", "{{.SecretData}}", "two") == "other"
    assert crate.ok("secret", "rm", "one") == first
    assert "no such secret" in crate.fails(125, "secret", "rm", "one")
    assert crate.ok("secret", "rm", "--all") == second and crate.ok("secret", "ls", "-q") == ""


@pytest.mark.requires("root")
def test_files(crate: Crate, token: str) -> None:
    look = "stat -c '%a %u:%g' /run/secrets/token; cat /run/secrets/token; grep ' /run/secrets ' /proc/mounts"
    mode, value, mount = (
        crate.ok(*RUN, "--secret", token, IMAGE, "sh", "-c", look).replace(VALUE, f"{VALUE}\n").split("\n")
    )
    assert (mode, value) == ("400 0:0", VALUE)
    assert mount.split()[2] == "tmpfs" and {"ro", "nosuid", "nodev", "noexec"} <= set(mount.split()[3].split(","))
    assert crate.ok(*RUN, "-u", "55:66", "--secret", token, IMAGE, "cat", "/run/secrets/token") == VALUE
    crate.ok("secret", "create", "other", "-", input="two")
    asked = f"{token},target=deep/er,uid=7,gid=8,mode=0440", "source=other,type=mount,target=/etc/other"
    look = "cd /run/secrets; stat -c '%n %a %u:%g' deep/er /etc/other; ! touch x 2>&1; ! sh -c 'echo > /etc/other' 2>&1"
    out = crate.ok(*RUN, "--read-only", "--secret", asked[0], "--secret", asked[1], IMAGE, "sh", "-c", look)
    assert out.startswith("deep/er 440 7:8\n/etc/other 400 0:0\n") and out.count("Read-only file system") == 2
    mapped = (*RUN, "--uidmap", "0:200000:1024", "--secret", token)
    assert crate.ok(*mapped, IMAGE, "sh", "-c", "stat -c %u:%g /run/secrets; cat /run/secrets/token") == f"0:0\n{VALUE}"


@pytest.mark.requires("root")
def test_variables(crate: Crate, token: str) -> None:
    given = ("--secret", f"{token},type=env,target=TOKEN")
    crate.ok(
        "run", "-d", "--name", "c", "--network", "none", *given, IMAGE, "sh", "-c", 'echo "$TOKEN" >/seen; sleep 60'
    )
    assert crate.ok("exec", "c", "sh", "-c", 'cat /seen; echo "$TOKEN"').splitlines() == [VALUE, VALUE]
    assert VALUE not in crate.ok("inspect", "c")
    assert crate.ok("inspect", "-f", "{{(index .Config.Secrets 0).Name}}", "c") == token
    crate.ok("commit", "c", "made")
    assert VALUE not in crate.ok("inspect", "made") + crate.ok("history", "--no-trunc", "made")
    assert crate.ok(*RUN, "made", "sh", "-c", 'echo "[$TOKEN]"') == "[]"


@pytest.mark.requires("root")
def test_nowhere_else(crate: Crate, token: str, tmp_path: Path) -> None:
    given = ("--secret", token, "--secret", f"{token},type=env,target=TOKEN", "--secret", f"{token},target=/etc/token")
    crate.ok("run", "-d", "--name", "c", "--network", "none", *given, IMAGE, "sh", "-c", "cat /etc/token; sleep 60")
    crate.ok("exec", "c", "test", "-s", "/run/secrets/token")
    assert VALUE not in crate.ok("inspect", "c") + crate.ok("diff", "c") + crate.ok("events", "--stream=false")
    crate.ok("export", "-o", str(tmp_path / "exported.tar"), "c")
    crate.ok("commit", "c", "made")
    crate.ok("save", "-o", str(tmp_path / "saved.tar"), "made")
    assert VALUE not in crate.ok("history", "--no-trunc", "made")
    pid = crate.ok("inspect", "-f", "{{.State.ConmonPid}}", "c")
    for name in ("cmdline", "environ"):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            assert VALUE.encode() not in file.read()
    logs = [path for path in holders(crate.root, crate.runroot, tmp_path) if path.suffix != ".log"]
    assert logs == []  # the store has it in base64; the program's own output is in its log


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", '{"value": "eA=="}', '{"value": 3}'])
def test_a_damaged_record(crate: Crate, token: str, text: str) -> None:
    place = crate.root / "secrets" / "0123.json"
    place.write_text(text)
    assert f"it is damaged (hint: rm {place})" in crate.fails(125, "secret", "ls")
    assert "it is damaged" in crate.fails(125, *RUN, "--secret", token, IMAGE, "true")


@pytest.mark.requires("root", "strace")
def test_nothing_is_left_of_one_that_was_not_made(crate: Crate, tmp_path: Path) -> None:
    (tmp_path / "value").write_text(VALUE)
    told = base64.b64encode(VALUE.encode()).decode()
    for words in (("rm", "other"), ("create", "another", "-")):
        crate.ok("secret", "create", "other", "-", input="x")
        strikes.strike(crate, "fsync", "signal=SIGKILL", 1, "secret", "create", "killed", str(tmp_path / "value"))
        assert crate.ok("secret", "ls", "-q", "--filter", "name=killed") == ""
        crate.ok("secret", *words, input="y")
        found = subprocess.run(["grep", "-rlF", told, crate.root], check=False, capture_output=True, text=True)
        assert found.stdout == ""
        crate.ok("secret", "rm", "--all")


@pytest.mark.requires("root")
def test_a_container_keeps_what_it_was_given(crate: Crate, token: str) -> None:
    crate.ok("create", "--name", "c", "--network", "none", "--secret", token, IMAGE, "cat", "/run/secrets/token")
    crate.ok("secret", "create", "--replace", token, "-", input="new")
    assert crate.ok(*RUN, "--secret", token, IMAGE, "cat", "/run/secrets/token") == "new"
    crate.ok("secret", "rm", token)
    assert crate.ok("start", "-a", "c") == VALUE == crate.ok("start", "-a", "c")
    assert "no such secret" in crate.fails(125, *RUN, "--secret", token, IMAGE, "true")
    crate.ok("rm", "c")
    assert crate.ok("ps", "-aq") == ""


def test_one_directory_however_it_is_written(crate: Crate, token: str) -> None:
    given = [f"--secret={token},target={target}" for target in ("//run//secrets/a", "./b", "/run/./secrets/c/d", "e")]
    shown = crate.ok(*RUN, *given, IMAGE, "find", "/run/secrets", "-type", "f")
    assert sorted(shown.split()) == [f"/run/secrets/{name}" for name in ("a", "b", "c/d", "e")]


@pytest.mark.requires("root")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("token,type=tmpfs", "type tmpfs is invalid"),
        ("token,mode=999", "mode 999 is invalid"),
        ("token,uid=root", "uid root is invalid"),
        ("token,type=env,mode=400", "are for files"),
        ("token,type=env,target=A=B", "target A=B is invalid"),
        ("token,target=../../etc/shadow", "is invalid"),
        ("token,target=/run/./secrets", "is invalid"),
        ("token,target=.", "is invalid"),
        ("target=x", "no source found"),
        ("token,colour=red", "option colour=red is invalid"),
    ],
)
def test_refused(crate: Crate, text: str, said: str) -> None:
    assert said in crate.fails(125, *RUN, "--secret", text, IMAGE, "true")


@pytest.mark.requires("unprivileged-user")
def test_an_ordinary_users(rootless_crate: Crate) -> None:
    crate = rootless_crate
    crate.ok("pull", "--quiet", IMAGE)
    crate.ok("secret", "create", "token", "-", input=VALUE)
    look = "stat -c '%a %u:%g' /run/secrets/token; cat /run/secrets/token"
    assert crate.ok(*RUN, "-u", "5:6", "--secret", "token", IMAGE, "sh", "-c", look) == f"400 5:6\n{VALUE}"
