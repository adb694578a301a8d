"""What options say of the way to a registry: who asks, whom to trust, how patient to be."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def access(options: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a client, by `creds` (`user:password`), `authfile`, `tls_verify`, `cert_dir`, `retry` and
    `retry_delay` (seconds), all of which may be missing or None. Raises UsageError.
    """
    from crate.registry import credentials
    from crate.registry.transport import Patience

    creds = options.get("creds")
    patience = Patience()
    if options.get("retry") is not None:
        patience.tries = max(int(options["retry"]), 0) + 1
    if options.get("retry_delay") is not None:
        patience.pause_seconds = float(options["retry_delay"])
    return {
        "credentials": credentials.from_option(str(creds)) if creds else None,
        "authfile": options.get("authfile"),
        "tls_verify": options.get("tls_verify"),
        "certificates": options.get("cert_dir"),
        "patience": patience,
    }
