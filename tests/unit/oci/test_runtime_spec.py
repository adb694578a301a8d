"""Bundles of others: what crate knows and does not have is refused, what it does not know is ignored."""

from __future__ import annotations

from typing import Any

import pytest

from crate.errors import UsageError
from crate.oci.runtime_spec import check_supported


@pytest.mark.parametrize(
    "spec",
    [
        {"ociVersion": "1.0.2-dev"},
        {"ociVersion": "1.2.0", "process": {"apparmorProfile": "", "scheduler": None}, "linux": {"seccomp": None}},
        {"ociVersion": "1.99.0", "newest": {"x": 1}, "process": {"newest": 1}, "linux": {"newest": 1}},
    ],
)
def test_supported(spec: dict[str, Any]) -> None:
    check_supported(spec)


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"vm": {"kernel": {"path": "/k"}}}, "vm"),
        ({"process": {"apparmorProfile": "mine"}}, "process.apparmorProfile"),
        ({"process": {"selinuxLabel": "a:b:c"}}, "process.selinuxLabel"),
        ({"process": {"scheduler": {"policy": "SCHED_FIFO"}}}, "process.scheduler"),
        ({"linux": {"intelRdt": {"closID": "x"}}}, "linux.intelRdt"),
        ({"linux": {"mountLabel": "x"}}, "linux.mountLabel"),
    ],
)
def test_refused(part: dict[str, Any], field: str) -> None:
    with pytest.raises(UsageError, match=f"cannot use config.json: {field} is not supported"):
        check_supported({"ociVersion": "1.2.0", **part})


@pytest.mark.parametrize("version", [None, "2.0.0", "0.9", 1])
def test_other_major_version(version: object) -> None:
    with pytest.raises(UsageError, match="is not of major version 1"):
        check_supported({"ociVersion": version})
