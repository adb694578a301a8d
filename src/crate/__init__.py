"""crate: containers without a daemon."""

__version__ = "0.1.0"
#: of the docker API whose fields `version` and `info` show; nothing serves it
API_VERSION = "1.47"


def built() -> int:
    """When this crate was installed, in seconds since the epoch."""
    import os

    return int(os.stat(__file__).st_mtime)
