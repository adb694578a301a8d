"""Libraries for an interpreter that was started without them: `-S` saves two milliseconds of each start.

The finder is the last one: the first module that the hot commands do not need brings in site-packages.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _LateSite:
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if path is not None:
            return None
        sys.meta_path.remove(self)
        import site

        # Run from the sealed mount of the interpreter (runtime/sealed.py), its environment is beside the real one.
        sys.executable = sys._xoptions.get("crate_python") or sys.executable
        site.main()
        return next(filter(None, (finder.find_spec(name, None) for finder in sys.meta_path)), None)


def install() -> None:
    """Lets modules outside of the standard library and crate be imported after all."""
    if sys.flags.no_site and "site" not in sys.modules and not is_waiting():
        sys.meta_path.append(_LateSite())


def is_waiting() -> bool:
    """Whether nothing but the standard library and crate was imported until now."""
    return any(isinstance(finder, _LateSite) for finder in sys.meta_path)
