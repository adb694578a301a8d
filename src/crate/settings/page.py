"""Writes docs/configuration.md from the table of defaults: `python -m crate.settings.page > docs/configuration.md`."""

from __future__ import annotations

from crate.settings.defaults import DEFAULTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.settings.defaults import Value

_HEAD = """\
# Configuration

crate needs no configuration. What it takes for granted can be changed in one file, in [TOML](https://toml.io):

1. `/etc/crate/config.toml`, for everybody;
2. `$XDG_CONFIG_HOME/crate/config.toml` (`~/.config/crate/config.toml`), for one user; root has none;
3. the file that the environment variable `CONTAINERS_CONF` names: a containers.conf of podman, of which the keys that
   mean something here are taken (`containers.pids_limit`, `containers.userns`, `engine.infra_image` …);
4. the file that the environment variable `CRATE_CONFIG` names.

A later file beats an earlier one, key by key; an option on the command line beats them all. An unknown key and a value
of the wrong type are errors, with the file and the key in the message. `crate info` shows what is in force and from
where.

Containers keep what was in force when they were created.

```toml
[containers]
pids_limit = 500
ulimits = ["nofile=1024:4096"]

[registries]
insecure = ["registry.lan:5000"]

[registries.mirrors]
"docker.io" = ["mirror.lan:5000", "https://mirror.example.org"]
```

podman's registries.conf is read besides, where there is one: mirrors, blocked registries, what short names mean.

All keys, with their defaults:
"""
_TITLES = {
    "containers": "What `run` and `create` take where no option says otherwise.",
    "logs": "Logs of containers.",
    "network": "Networks.",
    "pods": "Pods.",
    "proxies": "Proxies.",
    "registries": "Registries.",
    "shell": "Development shells.",
    "storage": "Storage; read when a store is used for the first time.",
}


def page() -> str:
    """The text of docs/configuration.md."""
    text, table = _HEAD, ""
    for key, (default, meaning) in DEFAULTS.items():
        section, _, name = key.partition(".")
        if section != table:
            table = section
            text += f"\n## [{section}]\n\n{_TITLES[section]}\n"
        text += f"\n### {name}\n\n{meaning}\n\nDefault: `{_toml(default)}`\n"
    return text


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{}"
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    print(page(), end="")
