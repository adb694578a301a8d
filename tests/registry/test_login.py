"""`crate login` and `logout`: what is kept, where, for whom to read; helpers; terminals."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from images.server import Registry
from program import Crate
from registry.wire import Answer, Scripted
from terminal import Terminal

pytestmark = pytest.mark.requires("root", "registry", "skopeo", "busybox")

HELPER = """#!/bin/sh
# Keeps what it is told, and the arguments that it was started with.
echo "$*" >> "$HELPER_PLACE/arguments"
case $1 in
store) cat > "$HELPER_PLACE/kept" ;;
get) server=$(cat); grep -q "$server" "$HELPER_PLACE/kept" 2>/dev/null && cat "$HELPER_PLACE/kept" ||
     { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm -f "$HELPER_PLACE/kept" ;;
esac
"""


@pytest.fixture
def authfile(tmp_path: Path) -> Path:
    return tmp_path / "private" / "auth.json"


@pytest.fixture
def say(crate: Crate, authfile: Path) -> Callable[..., Any]:
    """Runs crate with the file as the only one."""

    def run(*words: str, **options: Any) -> Any:
        return crate(*words, REGISTRY_AUTH_FILE=str(authfile), **options)

    return run


def stored(path: Path) -> dict[str, str]:
    """Registry to `user:password`."""
    auths = json.loads(path.read_text())["auths"]
    return {key: base64.b64decode(entry["auth"]).decode() for key, entry in auths.items()}


def test_in_and_out(say: Callable[..., Any], guarded_registry: Registry, authfile: Path) -> None:
    address = guarded_registry.address
    assert say("login", "--get-login", address).err == f"Error: not logged into {address}\n"
    done = say("login", "-u", "me", "--password-stdin", address, input="secret\n")
    assert (done.status, done.out, done.err) == (0, "Login Succeeded!\n", "")
    assert stored(authfile) == {address: "me:secret"}
    assert os.stat(authfile).st_mode & 0o777 == 0o600
    assert os.stat(authfile.parent).st_mode & 0o777 == 0o700
    assert os.listdir(authfile.parent) == ["auth.json"]
    assert say("login", "--get-login", address).out == "me\n"
    assert say("pull", "-q", guarded_registry.reference("busybox")).status == 0
    told = say("login", address)
    assert f"Existing credentials are valid. Already logged in to {address}\n" in told.out
    assert say("logout", address).out == f"Removed login credentials for {address}\n"
    assert stored(authfile) == {}
    done = say("logout", address)
    assert (done.status, done.err) == (125, f"Error: not logged into {address}\n")
    assert say("logout", "--all").out == "Removed login credentials for all registries\n"
    assert say("logout", "--all", address).status == 125


def test_podman_and_skopeo_share_them(say: Callable[..., Any], guarded_registry: Registry, authfile: Path) -> None:
    address = guarded_registry.address
    environment = {**os.environ, "REGISTRY_AUTH_FILE": str(authfile)}
    assert say("login", "-u", "me", "--password-stdin", address, input="secret").status == 0
    inspect = ["skopeo", "inspect", "--tls-verify=false", f"docker://{address}/busybox"]
    assert subprocess.run(inspect, env=environment, capture_output=True, check=False).returncode == 0
    login = ["podman", "login", "--get-login", address]
    assert subprocess.run(login, env=environment, capture_output=True, check=True).stdout == b"me\n"
    authfile.unlink()
    login = ["podman", "login", "--tls-verify=false", "-u", "me", "-p", "secret", address]
    subprocess.run(login, env=environment, capture_output=True, check=True)
    assert say("login", "--get-login", address).out == "me\n"
    assert say("pull", "-q", guarded_registry.reference("busybox")).status == 0


def test_what_the_registry_refuses_is_not_kept(
    say: Callable[..., Any], guarded_registry: Registry, authfile: Path
) -> None:
    done = say("login", "-u", "me", "--password-stdin", guarded_registry.address, input="wrong")
    assert done.status == 125
    assert done.err == f'Error: logging into "{guarded_registry.address}": invalid username/password\n'
    assert not authfile.exists()
    for words, expected in (
        (["--password-stdin"], "Must provide --username with --password-stdin"),
        (["-u", "me", "-p", "x", "--password-stdin"], "Can't specify both --password-stdin and --password"),
        (["-u", "me"], "standard input is no terminal"),
        ([], "no username given"),
    ):
        assert expected in say("login", *words, guarded_registry.address).err
    assert "connection refused" in say("login", "-u", "me", "--password-stdin", "127.0.0.1:1", input="x").err
    assert "invalid registry" in say("login", "-u", "me", "--password-stdin", "no host", input="x").err


def test_what_else_is_in_the_file_stays(crate: Crate, guarded_registry: Registry, tmp_path: Path) -> None:
    """As does a link to it, and its owner; docker's own file has docker's key for Docker Hub."""
    config = tmp_path / "dotfiles" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": "aDpw"}}, "detachKeys": "ctrl-q"}))
    os.chown(config, 1234, 1234)
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").symlink_to(config)
    words = ("login", "-u", "me", "--password-stdin", f"https://{guarded_registry.address}/v2/")
    crate.ok(*words, input="secret", DOCKER_CONFIG=str(tmp_path / "docker"))
    assert stored(config) == {"https://index.docker.io/v1/": "h:p", guarded_registry.address: "me:secret"}
    assert json.loads(config.read_text())["detachKeys"] == "ctrl-q"
    assert (tmp_path / "docker/config.json").is_symlink()
    assert (os.stat(config).st_uid, os.stat(config).st_mode & 0o777) == (1234, 0o600)
    assert crate.ok("login", "--get-login", DOCKER_CONFIG=str(tmp_path / "docker")) == "h"
    crate.ok("logout", "docker.io", DOCKER_CONFIG=str(tmp_path / "docker"))
    assert list(stored(config)) == [guarded_registry.address]


def test_a_part_of_a_registry(say: Callable[..., Any], guarded_registry: Registry, authfile: Path) -> None:
    place = f"{guarded_registry.address}/busybox"
    assert say("login", "-u", "me", "--password-stdin", place, input="secret").status == 0
    assert list(stored(authfile)) == [place]
    assert say("pull", "-q", guarded_registry.reference("busybox")).status == 0
    assert say("login", "--get-login", guarded_registry.address).status == 125
    assert say("pull", "-q", guarded_registry.reference("other")).status == 125


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_helper_keeps_them(
    crate: Crate, guarded_registry: Registry, authfile: Path, tmp_path: Path, key: str
) -> None:
    helper = tmp_path / "bin" / "docker-credential-mine"
    helper.parent.mkdir()
    helper.write_text(HELPER)
    helper.chmod(0o755)
    address = guarded_registry.address
    authfile.parent.mkdir()
    authfile.write_text(json.dumps({key: "mine" if key == "credsStore" else {address: "mine"}}))
    place: dict[str, Any] = {"PATH": f"{helper.parent}:{os.environ['PATH']}", "HELPER_PLACE": str(tmp_path)}
    words = ("login", "-v", "-u", "me", "--password-stdin", "--authfile", str(authfile), address)
    assert crate.ok(*words, input="secret", **place) == "Used:  docker-credential-mine\nLogin Succeeded!"
    assert "secret" not in authfile.read_text()
    assert json.loads((tmp_path / "kept").read_text()) == {"ServerURL": address, "Username": "me", "Secret": "secret"}
    crate.ok("pull", "-q", "--authfile", str(authfile), guarded_registry.reference("busybox"), **place)
    crate.ok("logout", "--authfile", str(authfile), address, **place)
    assert not (tmp_path / "kept").exists()
    assert set((tmp_path / "arguments").read_text().split("\n")) == {"store", "get", "erase", ""}
    assert "not logged into" in crate("logout", "--authfile", str(authfile), address, **place).err
    assert "is not installed" in crate.fails(125, *words, input="secret")


def test_the_password_shows_nowhere(crate: Crate, guarded_registry: Registry, authfile: Path) -> None:
    """Not on the terminal, not in what --debug tells; docker's warning where the command line has it."""
    terminal = Terminal(
        crate.command("login", "--authfile", str(authfile), guarded_registry.address), crate.environment, 24, 80
    )
    terminal.expect("Username: ")
    terminal.type("me\n")
    terminal.expect("Password: ")
    terminal.type("secret\n")
    status, seen = terminal.end()
    assert status == 0, seen
    assert "Login Succeeded!" in seen
    assert "secret" not in seen
    for words in (["--password", "secret"], ["--password=secret"], ["-psecret"]):
        done = crate("--debug", "login", "--authfile", str(authfile), "-u", "me", *words, guarded_registry.address)
        assert done.status == 0, done.err
        assert "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n" in done.err
        assert "secret" not in done.err.replace("--password-stdin", "")
    done = crate("--debug", "pull", "-q", "--creds", "me:secret", guarded_registry.reference("busybox"))
    assert "secret" not in done.err


def test_a_token_service_takes_the_password(crate: Crate, authfile: Path, scripted: Callable[..., Scripted]) -> None:
    def answer(method: str, path: str, headers: dict[str, str]) -> Answer:
        if path.startswith("/token"):
            good = headers.get("authorization") == "Basic " + base64.b64encode(b"me:secret").decode()
            return (200, {}, b'{"token": "T"}') if good else (401, {}, b"{}")
        if headers.get("authorization") == "Bearer T":
            return 200, {}, b"{}"
        return 401, {"WWW-Authenticate": f'Bearer realm="http://{server.address}/token",service="s"'}, b""

    server = scripted(answer)
    words = ("login", "-u", "me", "--password-stdin", "--authfile", str(authfile), server.address)
    assert "invalid username/password" in crate.fails(125, *words, input="wrong")
    crate.ok(*words, input="secret")
    assert stored(authfile) == {server.address: "me:secret"}


def test_logins_at_a_time_lose_nothing(crate: Crate, guarded_registry: Registry, authfile: Path) -> None:
    names = [f"{guarded_registry.address}/part{number}" for number in range(6)]
    running = [crate.popen("login", "-u", "me", "-p", "secret", "--authfile", str(authfile), name) for name in names]
    assert [process.communicate(timeout=60)[1].splitlines()[1:] for process in running] == [[]] * 6  # the warning alone
    assert sorted(stored(authfile)) == names
