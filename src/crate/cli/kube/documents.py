"""Kubernetes YAML: the objects of a file, of standard input (`-`), or of a URL; cold, and the only user of yaml."""

from __future__ import annotations

import os
from typing import Any

from crate.errors import UsageError

_MOST = 16 << 20  # bytes of a file


def read(path: str) -> list[dict[str, Any]]:
    """The objects in the order of the file, those of a List one by one. UsageError for what is no such file."""
    import yaml

    try:
        fd = os.dup(0) if path == "-" else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            text = file.read(_MOST + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    if len(text) > _MOST:
        raise UsageError(f"cannot read {path}: it is longer than {_MOST >> 20} MiB")
    try:
        found = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    if not found:
        raise UsageError(f"cannot read {path}: it describes nothing")
    documents: list[dict[str, Any]] = []
    for document in found:
        if not isinstance(document, dict):
            raise UsageError(f"cannot read {path}: it is no Kubernetes YAML")
        documents += document.get("items") or [] if document.get("kind") == "List" else [document]
    return documents
