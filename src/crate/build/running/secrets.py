"""--secret and --ssh: what a RUN may be given that no layer, history, key or log ever sees."""

from __future__ import annotations

import csv
import os
import stat
from typing import TYPE_CHECKING

from crate.build.request import Secret
from crate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def parse_secrets(texts: Iterable[str]) -> dict[str, Secret]:
    """`id=NAME[,src=FILE|,env=VARIABLE][,type=file|env]` by id; without both a variable NAME, else a file NAME.

    UsageError where it is not there.
    """
    found = {}
    for text in texts:
        fields = _fields("secret", text)
        unknown = fields.keys() - {"id", "src", "source", "env", "type"}
        if unknown:
            raise UsageError(
                f"invalid --secret {text}: unexpected key {min(unknown)}", "id=NAME,src=FILE or id=NAME,env=VARIABLE"
            )
        name = fields.get("id") or fields.get("src") or fields.get("source") or fields.get("env") or ""
        if not name:
            raise UsageError(f"invalid --secret {text}: no id", "id=NAME,src=FILE or id=NAME,env=VARIABLE")
        kind = fields.get("type", "")
        if kind not in ("", "file", "env"):
            raise UsageError(f"invalid --secret {text}: unsupported type {kind}", "file or env")
        source, variable = fields.get("src") or fields.get("source") or "", fields.get("env", "")
        if kind == "env" and source:
            source, variable = "", source
        if not source and not variable:
            source, variable = ("", name) if kind == "env" or (not kind and name in os.environ) else (name, "")
        if source and not os.access(source, os.R_OK):
            raise UsageError(f"invalid --secret {text}: cannot read {source}", "src= takes a file")
        if variable and variable not in os.environ:
            raise UsageError(f"invalid --secret {text}: variable {variable} is not set")
        found[name] = Secret(name, os.path.abspath(source) if source else "", variable)
    return found


def parse_agents(texts: Iterable[str], environ: Mapping[str, str]) -> dict[str, list[str]]:
    """`default`, `ID`, `ID=SOCKET` or `ID=KEY[,KEY...]` to the socket of an agent, or key files, by id. UsageError."""
    found = {}
    for text in texts:
        name, _, given = text.partition("=")
        paths = [os.path.abspath(path) for path in given.split(",") if path]
        if not paths:
            if not environ.get("SSH_AUTH_SOCK"):
                raise UsageError(
                    f"invalid --ssh {text}: no agent", "start ssh-agent, which sets SSH_AUTH_SOCK, or give ID=KEYFILE"
                )
            paths = [os.path.abspath(environ["SSH_AUTH_SOCK"])]
        for path in paths:
            try:
                mode = os.stat(path).st_mode
            except OSError as error:
                raise UsageError(f"invalid --ssh {text}: {path}: {error.strerror}") from None
            if stat.S_ISSOCK(mode) and len(paths) > 1:
                raise UsageError(f"invalid --ssh {text}: a socket stands alone", "ID=SOCKET, or ID=KEYFILE,KEYFILE")
            if not stat.S_ISSOCK(mode) and not stat.S_ISREG(mode):
                raise UsageError(f"invalid --ssh {text}: {path} is neither a key file nor the socket of an agent")
        found[name or "default"] = paths
    return found


def _fields(option: str, text: str) -> dict[str, str]:
    try:
        words = next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration):
        raise UsageError(f"invalid --{option} {text}") from None
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"invalid --{option} {text}: {word} is not key=value")
        found[name.lower()] = value
    return found
