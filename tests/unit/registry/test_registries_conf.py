"""registries.conf: which files, prefixes, mirrors, short names; what is wrong in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from crate.errors import UsageError
from crate.oci import reference
from crate.registry import registries_conf
from crate.registry.registries_conf import RegistriesConf

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONTAINERS_REGISTRIES_CONF", "REGISTRIES_CONFIG_PATH", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF_DIR", str(tmp_path / "conf.d"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".config/containers").mkdir(parents=True)
    (tmp_path / "conf.d").mkdir()
    return tmp_path


def conf(home: Path, text: str) -> RegistriesConf:
    (home / ".config/containers/registries.conf").write_text(text)
    return registries_conf.load()


def places(made: RegistriesConf, text: str) -> list[str]:
    """`host/repository`, with a `!` where it is insecure and a `~` for a mirror."""
    parsed = reference.parse(text)
    rule = made.rule(parsed)
    if rule is None:
        return []
    return [f"{host}/{path}" + "!" * insecure + "~" * mirror for host, path, insecure, mirror in rule.places(parsed)]


def names(made: RegistriesConf, text: str) -> list[str]:
    return [str(candidate) for candidate in made.candidates(text)]


def test_the_longest_prefix_counts(home: Path) -> None:
    made = conf(home, """
        [[registry]]
        location = "a.io"
        insecure = true
        [[registry]]
        prefix = "a.io/team"
        location = "b.io/moved"
        [[registry]]
        prefix = "a.io/team/app:1"
        location = "c.io/only/one:1"
        [[registry]]
        prefix = "*.wild.io"
        location = "d.io/w"
        [[registry]]
        prefix = "x.wild.io"
        location = "e.io"
    """)  # fmt: skip
    assert places(made, "a.io/other") == ["a.io/other!"]
    assert places(made, "a.io/team/app") == ["b.io/moved/app"]
    assert places(made, "a.io/teams/app") == ["a.io/teams/app!"]
    assert places(made, "a.iota/app") == []
    assert places(made, "y.z.wild.io/app") == ["d.io/w/app"]
    assert places(made, "x.wild.io/app") == ["e.io/app"]
    assert places(made, "wild.io/app") == []


def test_mirrors_and_what_they_are_for(home: Path) -> None:
    made = conf(home, """
        [[registry]]
        location = "a.io"
        [[registry.mirror]]
        location = "m1.io/cache"
        insecure = true
        [[registry.mirror]]
        location = "m2.io"
        pull-from-mirror = "digest-only"
        [[registry.mirror]]
        location = "m3.io"
        pull-from-mirror = "tag-only"
        [[registry]]
        location = "b.io"
        mirror-by-digest-only = true
        mirror = [{location = "m.io"}]
    """)  # fmt: skip
    assert places(made, "a.io/x:1") == ["m1.io/cache/x!~", "m3.io/x~", "a.io/x"]
    assert places(made, f"a.io/x@{DIGEST}") == ["m1.io/cache/x!~", "m2.io/x~", "a.io/x"]
    assert places(made, "b.io/x:1") == ["b.io/x"]
    assert places(made, f"b.io/x@{DIGEST}") == ["m.io/x~", "b.io/x"]


def test_a_blocked_registry(home: Path) -> None:
    made = conf(home, '[[registry]]\nprefix = "evil.io/bad"\nlocation = "evil.io/bad"\nblocked = true\n')
    with pytest.raises(UsageError, match=r"registry evil\.io/bad is blocked in .*registries\.conf"):
        made.rule(reference.parse("evil.io/bad/app"))
    assert made.rule(reference.parse("evil.io/good")) is None


def test_short_names(home: Path) -> None:
    assert names(conf(home, ""), "alpine:3") == ["docker.io/library/alpine:3"]
    text = 'unqualified-search-registries = ["a.io", "docker.io"]\n'
    assert names(conf(home, text), "app/x") == ["a.io/app/x:latest", "docker.io/app/x:latest"]
    assert names(conf(home, text), "alpine") == ["a.io/alpine:latest", "docker.io/library/alpine:latest"]
    with_alias = conf(home, f'{text}[aliases]\n"fedora" = "registry.fedora.org/fedora"\n"gone" = ""\n')
    assert names(with_alias, "fedora:40") == ["registry.fedora.org/fedora:40"]
    assert names(with_alias, f"fedora@{DIGEST}") == [f"registry.fedora.org/fedora@{DIGEST}"]
    assert names(with_alias, "fedora/x") == ["a.io/fedora/x:latest", "docker.io/fedora/x:latest"]
    assert len(names(with_alias, "gone")) == 2
    with pytest.raises(UsageError, match="may mean several images"):
        conf(home, f'{text}short-name-mode = "enforcing"').candidates("alpine")


def test_the_files_and_their_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "conf.d/20.conf").write_text('unqualified-search-registries = ["late.io"]\n[aliases]\nx = "two.io/x"\n')
    (home / "conf.d/10.conf").write_text('[aliases]\nx = "one.io/x"\ny = "one.io/y"\n')
    (home / "conf.d/30.txt").write_text("nonsense")
    made = conf(home, 'unqualified-search-registries = ["early.io"]')
    assert made.search == ["late.io"]
    assert made.aliases == {"x": "two.io/x", "y": "one.io/y"}
    (home / "other.conf").write_text('[[registry]]\nlocation = "o.io"\n')
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(home / "other.conf"))
    assert list(registries_conf.load().rules) == ["o.io"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[registry", "cannot read .*registries.conf: "),
        ('[[registry]]\nlocation = "https://a.io"', "invalid location"),
        ("[[registry]]\ninsecure = true", "without a location"),
        ('registry = ["a.io"]', "list of tables"),
        ('short-name-mode = "often"', "invalid short-name-mode"),
        ("unqualified-search-registries = 7", "list of strings"),
        ('[[registry]]\nlocation = "a.io"\nmirror = [{}]', "malformed mirror of a.io"),
        ('[[registry]]\nlocation = "a.io"\nmirror = [{location = "b.io", pull-from-mirror = "x"}]', "malformed mirror"),
    ],
)
def test_what_is_wrong_is_named(home: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        conf(home, text)
