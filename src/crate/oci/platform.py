"""Platforms of images: `os/architecture[/variant]` in Go's words, the host's own, and the best one of an index."""

from __future__ import annotations

import os

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# What uname(2) and people write, in the words of GOARCH.
_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "x86": "386",
    "aarch64": "arm64",
    "aarch64_be": "arm64be",
    "armhf": "arm",
    "armel": "arm",
    "loongarch64": "loong64",
    "mips64el": "mips64le",
    "mipsel": "mipsle",
    "powerpc64le": "ppc64le",
}
_ARM_OF_MACHINE = {"armhf": "v7", "armel": "v6"}
_DEFAULT_VARIANT = {"arm": "v7", "arm64": "v8", "amd64": "v1"}
_KNOWN = frozenset(
    "386 amd64 arm arm64 arm64be loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv riscv64 s390x wasm".split()
)
# What an architecture also runs, when its own images are missing (containerd/platforms, compare.go).
_ALSO_RUNS = {"amd64": (("386", ""),), "arm64": (("arm", "v8"), ("arm", "v7"), ("arm", "v6"), ("arm", "v5"))}


class Platform:
    """An operating system, an architecture and its variant ("" for the default one), all in Go's words."""

    __slots__ = ("architecture", "os", "variant")

    def __init__(self, os: str, architecture: str, variant: str = "") -> None:
        self.os = os
        self.architecture, self.variant = normalise(architecture, variant)

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}" + (self.variant and f"/{self.variant}")

    def __repr__(self) -> str:
        return f"Platform({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Platform) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def normalise(architecture: str, variant: str = "") -> tuple[str, str]:
    """Architecture and variant in Go's words; the default variant is "" (arm: `v7` is always said)."""
    name, variant = architecture.lower(), variant.lower()
    if name.startswith(("armv", "armeb")):  # armv7l, armv8l of uname(2)
        name, variant = "arm", variant or "v" + name[4:5]
    variant = variant or _ARM_OF_MACHINE.get(name, "")
    name = _ARCHITECTURES.get(name, name)
    if variant.isdigit():
        variant = f"v{variant}"
    if name == "arm":
        return name, variant or "v7"
    if variant == _DEFAULT_VARIANT.get(name):
        variant = ""
    return name, variant


def parse(text: str) -> Platform:
    """`linux/arm64/v8`, `linux/amd64`, `arm64` or `linux` (docker's `--platform`). Raises UsageError."""
    parts = text.lower().split("/")
    if not all(part and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in parts):
        raise UsageError(f'invalid platform "{text}"', "give it as os/architecture[/variant], for example linux/arm64")
    if len(parts) == 1:
        architecture, variant = normalise(parts[0])
        if architecture in _KNOWN:
            return Platform("linux", architecture, variant)
        if parts[0] in ("linux", "windows", "darwin", "freebsd"):
            own = host()
            return Platform(parts[0], own.architecture, own.variant)
        raise UsageError(f'invalid platform "{text}": unknown operating system or architecture')
    if len(parts) > 3:
        raise UsageError(f'invalid platform "{text}"', "give it as os/architecture[/variant], for example linux/arm64")
    return Platform("darwin" if parts[0] == "macos" else parts[0], parts[1], parts[2] if len(parts) == 3 else "")


def host() -> Platform:
    """The platform whose programs this kernel runs."""
    return Platform("linux", os.uname().machine)


def of(document: Mapping[str, Any]) -> Platform:
    """The platform that an index entry's `platform` or an image config tells."""
    return Platform(
        str(document.get("os") or "linux"), str(document.get("architecture") or ""), str(document.get("variant") or "")
    )


def runs(wanted: Platform, exact: bool) -> list[Platform]:
    """The platforms that serve for `wanted`, best first: its variant, the lower ones, then what else the host runs.

    `exact`: the user named the platform, so another architecture is no answer.
    """
    served = [wanted]
    number = (wanted.variant or _DEFAULT_VARIANT.get(wanted.architecture, "")).lstrip("v")
    if number.isdigit():
        lowest = 5 if wanted.architecture == "arm" else 1 if wanted.architecture == "amd64" else 8
        served += [Platform(wanted.os, wanted.architecture, f"v{n}") for n in range(int(number) - 1, lowest - 1, -1)]
    if not exact:
        served += [Platform(wanted.os, *other) for other in _ALSO_RUNS.get(wanted.architecture, ())]
    return served


def choose(offered: list[Platform], wanted: Platform, exact: bool) -> int | None:
    """The index in `offered` of the platform that serves `wanted` best, None when none does."""
    for candidate in runs(wanted, exact):
        if candidate in offered:
            return offered.index(candidate)
    return None
