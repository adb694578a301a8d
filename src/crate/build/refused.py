"""The options of `build` that docker and podman have and crate has not: a wish is refused, not forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: option -> (values that ask for nothing, a hint)
REFUSED: dict[str, tuple[tuple[str, ...], str | None]] = {
    "all_platforms": (("False",), "name one with --platform"),
    "attest": ((), None),
    "call": (("build",), "--check looks at the Dockerfile alone"),
    "cpp_flag": ((), "write the Dockerfile with a preprocessor of your own: cpp -P … | crate build -f - ."),
    "decryption_key": ((), None),
    "hooks_dir": ((), None),
    "logsplit": (("False",), "a build is of one platform"),
    "os_feature": ((), None),
    "os_version": ((), None),
    "provenance": (("false", "False", "0"), "crate build --prove shows that a build is reproducible"),
    "runtime_flag": ((), "crate is its own runtime"),
    "sbom": (("false", "False", "0"), None),
    "sign_by": ((), "sign the image once it is there"),
    "stdin": (("False",), "RUN reads nothing: write a heredoc into the Dockerfile"),
    "userns": (("host", "container", "private", "auto"), "RUN of an ordinary user is in that user's namespace"),
    "userns_gid_map": ((), None),
    "userns_gid_map_group": ((), None),
    "userns_uid_map": ((), None),
    "userns_uid_map_user": ((), None),
}
_ISOLATIONS = ("default", "oci", "chroot", "rootless")


def check_options(options: Mapping[str, Any]) -> None:
    """UsageError for the first option that would be without effect."""
    for name, (harmless, hint) in REFUSED.items():
        value = options.get(name)
        if value not in (None, [], False) and str(value) not in harmless:
            raise UsageError(f"--{name.replace('_', '-')} is not supported by build", hint)
    isolation = options.get("isolation")
    if isolation and isolation not in _ISOLATIONS:
        raise UsageError(f'unrecognized isolation type "{isolation}"', f"one of {', '.join(_ISOLATIONS)}")
