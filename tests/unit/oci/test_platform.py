"""Platforms: Go's words, the host's own, the choice from an index."""

from __future__ import annotations

import os

import pytest

from crate.errors import UsageError
from crate.oci import platform
from crate.oci.platform import Platform


@pytest.mark.parametrize(
    ("architecture", "variant", "expected"),
    [
        ("x86_64", "", "amd64"),
        ("amd64", "v1", "amd64"),
        ("amd64", "v3", "amd64/v3"),
        ("aarch64", "", "arm64"),
        ("arm64", "v8", "arm64"),
        ("arm64", "8", "arm64"),
        ("armv7l", "", "arm/v7"),
        ("armv6l", "", "arm/v6"),
        ("armhf", "", "arm/v7"),
        ("armel", "", "arm/v6"),
        ("arm", "6", "arm/v6"),
        ("i686", "", "386"),
        ("ppc64le", "", "ppc64le"),
        ("loongarch64", "", "loong64"),
        ("riscv64", "", "riscv64"),
    ],
)
def test_machines_are_named_as_go_names_them(architecture: str, variant: str, expected: str) -> None:
    assert str(Platform("linux", architecture, variant)) == f"linux/{expected}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("Linux/AMD64", "linux/amd64"),
        ("arm64", "linux/arm64"),
        ("armhf", "linux/arm/v7"),
        ("macos/arm64", "darwin/arm64"),
    ],
)
def test_a_platform_is_read_as_docker_reads_it(text: str, expected: str) -> None:
    assert str(platform.parse(text)) == expected


def test_an_operating_system_alone_means_the_hosts_architecture() -> None:
    assert platform.parse("linux") == platform.host()


@pytest.mark.parametrize("text", ["", "/", "linux/", "a/b/c/d", "no such", "banana", "linux/../x"])
def test_a_wrong_platform_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid platform"):
        platform.parse(text)


def test_the_hosts_platform_comes_from_uname() -> None:
    assert platform.host() == Platform("linux", os.uname().machine)


def _platforms(*texts: str) -> list[Platform]:
    return [platform.parse(text) for text in texts]


def test_the_nearest_lower_variant_is_chosen() -> None:
    offered = _platforms("linux/arm/v5", "linux/arm/v6", "linux/arm64", "linux/amd64")
    assert platform.choose(offered, platform.parse("linux/arm/v7"), exact=True) == 1
    assert platform.choose(offered, platform.parse("linux/amd64/v3"), exact=True) == 3
    assert platform.choose(offered, platform.parse("linux/arm/v5"), exact=True) == 0
    assert platform.choose(offered, platform.parse("linux/s390x"), exact=True) is None


def test_a_higher_variant_is_no_answer() -> None:
    assert platform.choose(_platforms("linux/amd64/v3"), platform.parse("linux/amd64"), exact=True) is None


def test_another_architecture_answers_only_when_none_was_asked_for() -> None:
    offered = _platforms("linux/386")
    assert platform.choose(offered, platform.parse("linux/amd64"), exact=False) == 0
    assert platform.choose(offered, platform.parse("linux/amd64"), exact=True) is None


def test_attestations_are_never_chosen() -> None:
    offered = [platform.of({"os": "unknown", "architecture": "unknown"}), platform.of({"architecture": "amd64"})]
    assert platform.choose(offered, platform.parse("linux/amd64"), exact=False) == 1
