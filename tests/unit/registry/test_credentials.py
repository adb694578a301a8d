"""Credentials from docker's and podman's files, and from real helper programs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from crate.errors import RegistryError, UsageError
from crate.oci import reference
from crate.registry import credentials


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; no other place for credentials."""
    for name in ("REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def found(text: str) -> tuple[str, str]:
    made = credentials.find(reference.parse(text))
    return made.user, made.password


def test_without_files_there_are_none(home: Path) -> None:
    assert not credentials.find(reference.parse("alpine"))


def test_dockers_file_is_read_with_its_key_for_docker_hub(home: Path) -> None:
    write(home / ".docker/config.json", {"auths": {"https://index.docker.io/v1/": auth("me", "pa:ss")}})
    assert found("alpine") == ("me", "pa:ss")
    assert found("quay.io/alpine") == ("", "")


def test_the_most_special_key_wins(home: Path) -> None:
    auths = {"r.io": auth("a", "1"), "r.io/foo": auth("b", "2"), "r.io/foo/bar/image": auth("c", "3")}
    write(home / ".config/containers/auth.json", {"auths": auths})
    assert found("r.io/foo/bar/image:x") == ("c", "3")
    assert found("r.io/foo/bar/other") == ("b", "2")
    assert found("r.io/elsewhere") == ("a", "1")
    assert found("r.io:5000/foo") == ("", "")


def test_old_keys_are_urls(home: Path) -> None:
    write(
        home / ".docker/config.json",
        {"auths": {"https://r.io:5000/v2/": auth("a", "1"), "http://s.io": auth("b", "2")}},
    )
    assert found("r.io:5000/x") == ("a", "1")
    assert found("s.io/x") == ("b", "2")


def test_the_files_are_read_in_podmans_order(home: Path) -> None:
    write(home / ".docker/config.json", {"auths": {"r.io": auth("docker", "1"), "s.io": auth("docker", "1")}})
    write(home / "run/containers/auth.json", {"auths": {"r.io": auth("podman", "2")}})
    assert found("r.io/x") == ("podman", "2")
    assert found("s.io/x") == ("docker", "1")


def test_the_override_is_read_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".docker/config.json", {"auths": {"r.io": auth("docker", "1")}})
    write(home / "other.json", {"auths": {}})
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(home / "other.json"))
    assert found("r.io/x") == ("", "")


def test_a_given_file_must_be_there(home: Path) -> None:
    with pytest.raises(RegistryError, match="No such file"):
        credentials.find(reference.parse("r.io/x"), str(home / "missing.json"))


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"auths": 3}', '{"auths": {"r.io": {"auth": "!"}}}', '{"auths": {"r.io": 1}}']
)
def test_a_broken_file_is_an_error_or_nothing_never_a_crash(home: Path, text: str) -> None:
    write(home / ".docker/config.json", text)
    try:
        assert found("r.io/x") == ("", "")
    except RegistryError as error:
        assert "config.json" in error.message


def test_identity_and_registry_tokens_are_kept(home: Path) -> None:
    write(home / ".docker/config.json", {"auths": {"r.io": {"identitytoken": "T"}, "s.io": {"registrytoken": "U"}}})
    assert credentials.find(reference.parse("r.io/x")).identity_token == "T"
    assert credentials.find(reference.parse("s.io/x")).registry_token == "U"


def helper(home: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = home / "bin/docker-credential-test"
    write(program, f"#!/bin/sh\nread -r server\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}/bin:/usr/bin:/bin")


def test_a_helper_is_asked_with_the_server_on_its_input(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(
        home,
        monkeypatch,
        """echo "{\\"ServerURL\\":\\"$server\\",\\"Username\\":\\"u-$1\\",\\"Secret\\":\\"$server\\"}" """,
    )
    write(home / ".docker/config.json", {"credsStore": "test"})
    assert found("alpine") == ("u-get", "https://index.docker.io/v1/")
    assert found("r.io/x") == ("u-get", "r.io")
    write(home / ".docker/config.json", {"credHelpers": {"r.io": "test"}})
    assert found("r.io/x") == ("u-get", "r.io")
    assert found("alpine") == ("", "")


def test_a_helper_gives_an_identity_token(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(home, monkeypatch, """echo '{"ServerURL":"x","Username":"<token>","Secret":"T"}'""")
    write(home / ".docker/config.json", {"credsStore": "test"})
    made = credentials.find(reference.parse("r.io/x"))
    assert (made.user, made.identity_token) == ("", "T")


def test_a_helper_without_credentials_is_no_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(home, monkeypatch, "echo credentials not found in native keychain; exit 1")
    write(home / ".docker/config.json", {"credsStore": "test"})
    assert not credentials.find(reference.parse("r.io/x"))


@pytest.mark.parametrize(
    ("script", "words"),
    [("echo the keychain is locked; exit 1", "the keychain is locked"), ("echo nonsense", "not understood")],
)
def test_a_helper_that_fails_is_named(home: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str) -> None:
    helper(home, monkeypatch, script)
    write(home / ".docker/config.json", {"credsStore": "test"})
    with pytest.raises(RegistryError, match=f"docker-credential-test.*{words}"):
        credentials.find(reference.parse("r.io/x"))


def test_a_missing_helper_is_named(home: Path) -> None:
    write(home / ".docker/config.json", {"credsStore": "nowhere"})
    with pytest.raises(RegistryError, match="docker-credential-nowhere is not installed"):
        credentials.find(reference.parse("r.io/x"))
    write(home / ".docker/config.json", {"credsStore": "../evil"})
    with pytest.raises(RegistryError, match="invalid helper name"):
        credentials.find(reference.parse("r.io/x"))


def test_the_option_gives_user_and_password() -> None:
    made = credentials.from_option("me:a:b")
    assert (made.user, made.password) == ("me", "a:b")
    assert made.basic() == "Basic " + base64.b64encode(b"me:a:b").decode()
    assert "a:b" not in repr(made)
    with pytest.raises(UsageError):
        credentials.from_option(":x")
