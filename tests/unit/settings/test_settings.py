"""The configuration files: which are read, what they may say, where a value came from, and the cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from crate import settings
from crate.errors import CrateError, HostError, UsageError
from crate.settings.defaults import DEFAULTS
from crate.settings.page import page

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Where the files of the system, of the user and of CRATE_CONFIG would be."""
    (tmp_path / "home" / "crate").mkdir(parents=True)
    return tmp_path / "etc.toml", tmp_path / "home" / "crate" / "config.toml", tmp_path / "own.toml"


def load(
    files: tuple[Path, Path, Path], *, rootless: bool = True, cache: Path | None = None, own: bool = False
) -> settings.Settings:
    environ = {"XDG_CONFIG_HOME": str(files[1].parent.parent)}
    if own:
        environ["CRATE_CONFIG"] = str(files[2])
    cache_dir = None if cache is None else str(cache)
    return settings.load(cache_dir, rootless=rootless, environ=environ, system_file=str(files[0]))


def test_defaults_without_any_file(files: tuple[Path, Path, Path]) -> None:
    loaded = load(files)
    assert loaded.get("containers.pids_limit") == 2048
    assert loaded.origin("containers.pids_limit") == "default"
    assert loaded.files == []
    assert [key for key, _, _ in loaded.items()] == list(DEFAULTS)


def test_later_file_beats_an_earlier_one_key_by_key(files: tuple[Path, Path, Path]) -> None:
    system, user, own = files
    system.write_text("[containers]\npids_limit = 1\nstop_timeout = 1\ninit = true\n")
    user.write_text("[containers]\npids_limit = 2\nstop_timeout = 2\n")
    own.write_text("containers.pids_limit = 3\n")
    loaded = load(files, own=True)
    assert [loaded.get(f"containers.{key}") for key in ("pids_limit", "stop_timeout", "init")] == [3, 2, True]
    origins = [loaded.origin(f"containers.{key}") for key in ("pids_limit", "stop_timeout", "init", "env")]
    assert origins == [str(own), str(user), str(system), "default"]
    assert loaded.files == [str(system), str(user), str(own)]


def test_podmans_file_is_translated(tmp_path: Path) -> None:
    theirs, own, absent = tmp_path / "containers.conf", tmp_path / "own.toml", str(tmp_path / "absent")
    theirs.write_text(
        '[containers]\npids_limit = 7\nuserns = "auto"\ndns_servers = ["192.0.2.1"]\nlabel = false\n'
        '[engine]\ninfra_image = "i/pause"\nruntime = "runc"\n[network]\nnetwork_backend = "cni"\n'
    )
    own.write_text("containers.pids_limit = 8\n")
    environ = {"CONTAINERS_CONF": str(theirs), "CRATE_CONFIG": str(own)}
    loaded = settings.load(str(tmp_path), rootless=False, environ=environ, system_file=absent)
    wanted = {
        "containers.pids_limit": 8, "containers.userns": "auto", "network.dns": ["192.0.2.1"],
        "pods.infra_image": "i/pause",
    }  # fmt: skip
    assert {key: loaded.get(key) for key in wanted} == wanted
    assert loaded.origin("pods.infra_image") == str(theirs)
    again = settings.load(str(tmp_path), rootless=False, environ=environ, system_file=absent)
    assert again.items() == loaded.items()
    theirs.write_text('[containers]\npids_limit = "many"\n')
    with pytest.raises(UsageError, match="pids_limit must be a whole number"):
        settings.load(None, rootless=False, environ=environ, system_file=absent)


def test_root_has_no_file_of_its_own(files: tuple[Path, Path, Path]) -> None:
    files[1].write_text("[containers]\npids_limit = 2\n")
    assert load(files, rootless=False).get("containers.pids_limit") == 2048
    assert load(files, rootless=True).get("containers.pids_limit") == 2


def test_mirrors_are_a_table_of_lists(files: tuple[Path, Path, Path]) -> None:
    files[0].write_text('[registries.mirrors]\n"docker.io" = "one"\n"quay.io" = ["two", "three"]\n')
    assert load(files).get("registries.mirrors") == {"docker.io": ["one"], "quay.io": ["two", "three"]}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[containers]\npids_limt = 5", "unknown key containers.pids_limt", "did you mean containers.pids_limit?"),
        ("pids_limit = 5", "unknown key pids_limit", "did you mean containers.pids_limit?"),
        ("[container]\npids_limit = 5", "unknown key container", "did you mean containers?"),
        ("[qqqqqqq]\nx = 5", "unknown key qqqqqqq", "docs/configuration.md lists all keys"),
        ("[containers]\npids_limit = '5'", "containers.pids_limit must be a whole number", None),
        ("[containers]\npids_limit = true", "containers.pids_limit must be a whole number", None),
        ("[containers]\ninit = 1", "containers.init must be true or false", None),
        ("[containers]\nulimits = 'x'", "containers.ulimits must be a list of strings", None),
        ("[containers]\nulimits = [1]", "containers.ulimits must be a list of strings", None),
        ("[containers]\nshm_size = 64", "containers.shm_size must be a string", None),
        ("registries.mirrors = 5", "registries.mirrors must be a table", None),
        ("registries.mirrors.x = [5]", "every value of registries.mirrors must be a string or a list of strings", None),
        ("containers = 5", "unknown key containers", None),
        ("[containers\n", "expected ']'", None),
        ("a = \xff", "codec can't decode", None),
    ],
)
def test_wrong_file(files: tuple[Path, Path, Path], text: str, message: str, hint: str | None) -> None:
    files[0].write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError) as refused:
        load(files)
    assert str(files[0]) in refused.value.message
    assert message in refused.value.message
    if hint is not None:
        assert refused.value.hint == hint


def test_file_of_crate_config_must_be_there(files: tuple[Path, Path, Path]) -> None:
    with pytest.raises(CrateError, match=r"own\.toml: no such file"):
        load(files, own=True)


def test_file_that_cannot_be_read(files: tuple[Path, Path, Path]) -> None:
    files[0].mkdir()
    with pytest.raises(HostError, match="Is a directory"):
        load(files)


def test_cache_follows_the_files(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    files[0].write_text("[containers]\npids_limit = 1\n")
    assert load(files, cache=cache).get("containers.pids_limit") == 1
    (kept,) = cache.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600

    again = load(files, cache=cache)
    assert (again.get("containers.pids_limit"), again.origin("containers.pids_limit")) == (1, str(files[0]))

    files[0].write_text("[containers]\npids_limit = 22\n")
    assert load(files, cache=cache).get("containers.pids_limit") == 22

    kept.write_bytes(b"damaged")
    assert load(files, cache=cache).get("containers.pids_limit") == 22

    assert load(files, cache=tmp_path / "missing").get("containers.pids_limit") == 22


def test_cached_settings_need_no_toml(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    files[0].write_text("[containers]\npids_limit = 1\n")
    code = (
        "import sys; from crate import settings; "
        f"settings.load({str(tmp_path)!r}, rootless=False, environ={{}}, system_file={str(files[0])!r}); "
        "print(*sorted({'tomllib', 're', 'enum'} & set(sys.modules)))"
    )

    def modules() -> str:
        read_fd, write_fd = os.pipe()
        source = f"{Path(settings.__file__).parents[2]}"
        arguments = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {source!r}); {code}"]
        pid = os.posix_spawn(sys.executable, arguments, {}, file_actions=[(os.POSIX_SPAWN_DUP2, write_fd, 1)])
        os.close(write_fd)
        with os.fdopen(read_fd) as file:
            seen = file.read()
        assert os.waitpid(pid, 0)[1] == 0
        return seen.strip()

    assert "tomllib" in modules()
    assert modules() == ""


def test_unknown_key_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        settings.Settings().get("containers.bogus")


def test_page_is_fresh() -> None:
    """Anew: PYTHONPATH=src python -m crate.settings.page > docs/configuration.md"""
    assert (DOCS / "configuration.md").read_text() == page()
