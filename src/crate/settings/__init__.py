"""The one configuration file: defaults of options, and from where each value in force came.

    /etc/crate/config.toml → $XDG_CONFIG_HOME/crate/config.toml (not for root) → $CONTAINERS_CONF → $CRATE_CONFIG

Each file that is there beats those before it, key by key. Without a file nothing but the table of defaults is read.
"""

from __future__ import annotations

import os

from crate.settings.defaults import DEFAULTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.settings.defaults import Value

SYSTEM_FILE = "/etc/crate/config.toml"
ORIGIN_DEFAULT = "default"


class Settings:
    """The values in force. `files` are the configuration files that were read, the strongest last."""

    __slots__ = ("_given", "files")

    def __init__(self, given: dict[str, tuple[Value, str]] | None = None, files: list[str] | None = None) -> None:
        self._given = given or {}
        self.files = files or []

    def get(self, key: str) -> Any:
        """The value of a key such as `containers.pids_limit`; KeyError for a key that no table knows."""
        found = self._given.get(key)
        return DEFAULTS[key][0] if found is None else found[0]

    def origin(self, key: str) -> str:
        """The file that a value came from, or `default`."""
        found = self._given.get(key)
        return ORIGIN_DEFAULT if found is None else found[1]

    def set_default(self, key: str, value: Value) -> None:
        """Another default than the table's, for a value that depends on whose settings these are."""
        if key not in self._given:
            self._given = {**self._given, key: (value, ORIGIN_DEFAULT)}

    def given(self) -> dict[str, tuple[Value, str]]:
        """What the files say, with origins: what another process needs for the same settings."""
        return self._given

    def items(self) -> list[tuple[str, Any, str]]:
        """(key, value, origin) of everything, in the order of the table."""
        return [(key, self.get(key), self.origin(key)) for key in DEFAULTS]


def load(
    cache_dir: str | None = None,
    *,
    rootless: bool | None = None,
    environ: Mapping[str, str] | None = None,
    system_file: str = SYSTEM_FILE,
) -> Settings:
    """The settings for this user (`rootless`: whether that is an ordinary one; None: by the user id).

    What the files say is kept in `cache_dir`, since reading TOML costs eight milliseconds. UsageError for a file that
    is not TOML, for an unknown key and for a value of the wrong type; HostError for a file that cannot be read.
    """
    environ = os.environ if environ is None else environ
    stamps, podmans = [], environ.get("CONTAINERS_CONF")
    for path in paths(rootless, environ, system_file):
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            if path == environ.get("CRATE_CONFIG"):
                from crate.errors import UsageError

                raise UsageError(f"cannot read {path}: no such file", "correct or unset CRATE_CONFIG") from None
            continue
        except OSError:
            pass
        else:
            stamps.append([path, status.st_mtime_ns, status.st_size, status.st_ino, path == podmans])
            continue
        stamps.append([path, 0, 0, 0, path == podmans])
    if not stamps:
        return Settings()
    from crate.settings.file import read_cached

    return Settings(read_cached(stamps, cache_dir), [str(stamp[0]) for stamp in stamps])


def paths(rootless: bool | None, environ: Mapping[str, str], system_file: str = SYSTEM_FILE) -> list[str]:
    """Where configuration files are looked for, the strongest last."""
    found = [system_file]
    if os.getuid() != 0 if rootless is None else rootless:
        base = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '')}/.config"
        if base.startswith("/"):
            found.append(f"{base}/crate/config.toml")
    if environ.get("CONTAINERS_CONF"):
        found.append(environ["CONTAINERS_CONF"])
    if environ.get("CRATE_CONFIG"):
        found.append(environ["CRATE_CONFIG"])
    return found
