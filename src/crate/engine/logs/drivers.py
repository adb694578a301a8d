"""The log drivers beyond a plain json-file: where each keeps what, and how it is opened. Not loaded without need."""

from __future__ import annotations

import re

from crate.engine.logs.lines import LogLines
from crate.errors import HostError
from crate.plan.log_config import parse_boolean
from crate.plan.quantities import size_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.engine.containers import Container


def facts_of(container: Container, spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a monitor must know to open the log of a container; None where nothing is logged."""
    record = container.record
    driver, options = record["log"]["driver"], record["log"]["options"]
    if driver in ("none", "passthrough"):
        return None
    size = options.get("max-size", "-1")
    return {
        "driver": driver,
        "path": container.log_path(),
        "max_bytes": 0 if size == "-1" else size_bytes("log-opt max-size", size, 1000),
        "max_files": int(options.get("max-file", "1")),
        "compress": parse_boolean(options.get("compress", "false")),
        "tag": tag_of(container, spec) if "tag" in options or driver in ("syslog", "journald") else "",
        "attributes": attributes(options, record["labels"], (spec.get("process") or {}).get("env") or []),
        "id": container.id,
        "name": container.name,
        "image": record["image_name"],
        "options": options,
    }


def open_driver(log: Mapping[str, Any], left: dict[str, str] | None) -> LogLines:
    """The log that the facts say. HostError where its service is not there.

    `left` is what a former process of the same monitor gave as its record(): then the container runs, and a service
    that went away is waited for.
    """
    driver = log["driver"]
    try:
        if driver == "k8s-file":
            from crate.engine.logs.k8s_file import K8sFile

            return K8sFile(log["path"], log["max_bytes"], log["max_files"], left or {})
        if driver == "journald":
            from crate.engine.logs.journald import Journal

            return Journal(log, left)
        if driver == "syslog":
            from crate.engine.logs.syslog import Syslog

            return Syslog(log, left)
        from crate.engine.logs.json_file import LogFile
        from crate.oci import json

        extra = {**log["attributes"], **({"tag": log["tag"]} if log["tag"] else {})}
        return LogFile(
            log["path"], log["max_bytes"], log["max_files"], left,
            compress=log["compress"], extra=json.dumps(extra) if extra else "",
        )  # fmt: skip
    except OSError as error:
        raise HostError(f"cannot open the log {log['path']}: {error.strerror}") from None


def attributes(options: Mapping[str, str], labels: Mapping[str, str], env: list[str]) -> dict[str, str]:
    """The labels and variables that labels, labels-regex, env and env-regex of --log-opt choose."""
    found = {}
    variables = dict(entry.partition("=")[::2] for entry in env)
    for key, values in (("labels", labels), ("env", variables)):
        names = options.get(key, "").split(",")
        pattern = options.get(f"{key}-regex")
        for name, value in values.items():
            if name in names or (pattern and re.search(pattern, name)):
                found[name] = value
    return found


def tag_of(container: Container, spec: Mapping[str, Any]) -> str:
    """The tag: docker's template, by default the short id; journald's of podman is empty unless given."""
    record = container.record
    words = (spec.get("process") or {}).get("args") or [""]
    values = {
        "ID": container.id[:12], "FullID": container.id, "Name": container.name,
        "ImageID": record["image"][:12], "ImageFullID": record["image"], "ImageName": record["image_name"],
        "Command": " ".join(words), "DaemonName": "crate",
    }  # fmt: skip
    template = record["log"]["options"].get("tag") or "{{.ID}}"
    return re.sub(r"{{\s*\.(\w+)\s*}}", lambda match: values.get(match[1], ""), template)
