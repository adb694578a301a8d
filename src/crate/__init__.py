"""crate: containers without a daemon."""

__version__ = "0.1.0"
