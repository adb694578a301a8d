"""What every verb needs: where things are, the settings in force, and how a missing image comes here."""

from __future__ import annotations

import os

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from crate.settings import Settings
    from crate.storage.roots import Roots

    #: Pulls the image of the options of `run` or `create`, shows how it goes, and gives its id; raises CrateError.
    Pull = Callable[["Engine", dict[str, Any]], str]
    Warn = Callable[[str], object]
    #: Shows what --diagnose found: {"refusals", "more", "ended"}, see refusals/report.py.
    ShowDiagnosis = Callable[[dict[str, Any]], object]


class Engine:
    """The roots and settings of one invocation; its caller's ways to pull an image and to show a warning, if any.

    `membership` is the descriptor that holds an ordinary user's namespace (ns/rootless.py); -1 for root.
    """

    __slots__ = ("membership", "pull", "roots", "settings", "show_diagnosis", "warn")

    def __init__(self, roots: Roots, settings: Settings, pull: Pull | None = None, warn: Warn | None = None) -> None:
        self.roots = roots
        self.settings = settings
        self.pull = pull
        self.warn = warn
        self.show_diagnosis: ShowDiagnosis | None = None
        self.membership = -1


def open_engine(options: dict[str, Any], pull: Pull | None = None, warn: Warn | None = None) -> Engine:
    """The engine of the global options `root`, `runroot`, `config` and `storage_driver` (None: settings, defaults)."""
    from crate.runtime import sealed
    from crate.storage.roots import open_roots, user_place

    if not os.geteuid():
        sealed.ensure()
    rootless, run_directory = user_place()
    settings = _settings(options.get("config"), rootless, options.get("runroot") or run_directory)
    root = options.get("root") or settings.get("storage.root") or None
    roots = open_roots(root, options.get("runroot") or settings.get("storage.runroot") or None)
    driver = options.get("storage_driver") or settings.get("storage.driver")
    if driver and driver != roots.driver:
        from crate.storage.driver import choose

        choose(roots, driver)
    if roots.rootless:
        settings.set_default("network.lease_root", f"{roots.runroot}/addresses")  # the bridges are the user's own
    engine = Engine(roots, settings, pull, warn)
    engine.membership = sealed.inherited_membership()
    if roots.rootless and os.geteuid():
        from crate.ns import rootless as user_namespace

        engine.membership = user_namespace.enter(roots.runroot)
        sealed.ensure_for_user(engine.membership)
    return engine


def _settings(file: str | None, rootless: bool, run_directory: str) -> Settings:
    """The settings in force: of the usual files, or of the one that --config names instead of them."""
    from crate import settings

    cache = f"{run_directory}/locks"
    if file is None:
        return settings.load(cache, rootless=rootless)
    path = os.path.abspath(file)
    if not os.path.exists(path):
        raise UsageError(f"cannot read {file}: no such file", "give --config a configuration file")
    return settings.load(cache, rootless=False, environ={}, system_file=path)
