"""Options, image and facts of the host in; a complete plan out: the OCI spec and the effects around it.

A pure function: nothing is changed, and what is read of the host goes through `Host`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.plan.host import Host
    from crate.plan.shapes import Options, Place, Plan
    from crate.settings import Settings


def make(options: Options, image: Mapping[str, Any] | None, host: Host, settings: Settings, place: Place) -> Plan:
    """As `crate.plan.container.make`, which is loaded only by what makes a container: a monitor reads sizes alone."""
    from crate.plan.container import make as make_container

    return make_container(options, image, host, settings, place)
