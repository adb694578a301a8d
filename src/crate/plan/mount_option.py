"""--mount: `type=bind|volume|tmpfs|image|devpts,source=…,target=…` and the options of each type."""

from __future__ import annotations

from crate.errors import UsageError
from crate.plan.refusal import invalid
from crate.plan.volumes import PROPAGATIONS, bind_options, clean_destination, make_tmpfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.plan.volumes import OwnMounts

_SYNONYMS = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
    "rw": "readwrite",
    "chown": "U",
    "volume-nocopy": "nocopy",
}
_COMMON = ("type", "source", "target", "readonly", "readwrite", "consistency", "U")
_OF_TYPE = {
    "bind": (
        "bind-propagation",
        "bind-nonrecursive",
        "bind-recursive",
        "relabel",
        "idmap",
        "nosuid",
        "nodev",
        "noexec",
    ),
    "volume": (
        *("nocopy", "volume-opt", "volume-driver", "volume-label", "volume-subpath", "subpath", "idmap"),
        *("nosuid", "nodev", "noexec"),
    ),
    "tmpfs": ("tmpfs-size", "tmpfs-mode", "tmpcopyup", "notmpcopyup", "noswap", "nosuid", "nodev", "noexec"),
    "devpts": ("uid", "gid", "mode", "max"),
    "image": (),
}
# A key without a value means true.
_SWITCHES = (
    *("readonly", "readwrite", "U", "nocopy", "bind-nonrecursive", "tmpcopyup", "notmpcopyup", "noswap", "idmap"),
    *("nosuid", "nodev", "noexec"),
)
_TRUE, _FALSE = ("1", "true", "t", "TRUE", "True", "T"), ("0", "false", "f", "FALSE", "False", "F")


def add_mount_option(own: OwnMounts, text: str) -> None:
    """Adds the mount that `text` describes. UsageError in docker's words."""
    fields: dict[str, str] = {}
    lists: dict[str, list[str]] = {"volume-opt": [], "volume-label": []}
    for field in _split(text):
        name, equals, value = field.partition("=")
        key = _SYNONYMS.get(name, name)
        if not equals and key not in _SWITCHES:
            raise invalid("mount", text, f"invalid field '{field}' must be a key=value pair")
        if key in lists:
            lists[key].append(value)
        fields[key] = value if equals else "true"
    kind = fields.get("type", "volume")
    if kind not in _OF_TYPE:
        raise invalid("mount", text, f'invalid filesystem type "{kind}"', "bind, volume, tmpfs, image or devpts")
    for key, value in fields.items():
        if key in _COMMON or key in _OF_TYPE[kind]:
            continue
        if any(key in keys for keys in _OF_TYPE.values()):
            raise invalid("mount", text, f"cannot use option '{key}' with mount type '{kind}'")
        raise invalid("mount", text, f"unexpected key '{key}' in '{key}={value}'")
    for key in _SWITCHES:
        if key in fields and fields[key] not in _TRUE + _FALSE and not (key == "idmap" and fields[key]):
            raise invalid("mount", text, f"invalid value for {key}: {fields[key]}")
    if not fields.get("target"):
        raise invalid("mount", text, "target is required")
    destination = clean_destination(fields["target"], f"invalid --mount {text}")
    if kind == "bind":
        _add_bind(own, text, fields, destination)
    elif kind == "volume":
        _add_volume(own, text, fields, lists, destination)
    elif kind == "tmpfs":
        _add_tmpfs(own, text, fields, destination)
    elif kind == "image":
        if not fields.get("source"):
            raise invalid("mount", text, "source is required: the name of an image")
        options = ["bind", "rprivate", *([] if _is_set(fields, "readwrite") else ["ro"])]
        own.add({"destination": destination, "type": "image", "source": fields["source"], "options": options})
    else:
        given = [f"{key}={fields[key]}" for key in _OF_TYPE["devpts"] if key in fields]
        options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", *given]
        own.add({"destination": destination, "type": "devpts", "source": "devpts", "options": options})


def _split(text: str) -> list[str]:
    """The fields of a line of CSV (RFC 4180): a field with commas stands in quotes, a quote in it is doubled."""
    fields, rest = [], text
    while True:
        if rest.startswith('"'):
            field, position = "", 1
            while True:
                end = rest.find('"', position)
                if end < 0:
                    raise invalid("mount", text, 'parse error: extraneous or missing " in quoted-field')
                field += rest[position:end]
                if rest[end + 1 : end + 2] != '"':
                    break
                field, position = field + '"', end + 2
            rest = rest[end + 1 :]
            if rest and rest[0] != ",":
                raise invalid("mount", text, 'parse error: extraneous or missing " in quoted-field')
            fields.append(field)
            if not rest:
                return fields
            rest = rest[1:]
        else:
            field, comma, rest = rest.partition(",")
            fields.append(field)
            if not comma:
                return fields


def _is_set(fields: dict[str, str], key: str) -> bool:
    return key in fields and fields[key] not in _FALSE


def _read_only(fields: dict[str, str]) -> bool:
    return not _is_set(fields, "readwrite") if "readwrite" in fields else _is_set(fields, "readonly")


def _attributes(fields: dict[str, str]) -> list[str]:
    found = [key for key in ("nosuid", "nodev", "noexec", "idmap") if _is_set(fields, key)]
    if "idmap" in found and fields["idmap"] not in _TRUE:
        found[found.index("idmap")] = f"idmap={fields['idmap']}"
    return found


def _add_bind(own: OwnMounts, text: str, fields: dict[str, str], destination: str) -> None:
    if not fields.get("source"):
        raise invalid("mount", text, "source is required for a bind mount")
    propagation = fields.get("bind-propagation", "rprivate")
    if propagation not in PROPAGATIONS:
        raise invalid("mount", text, f"invalid propagation value: {propagation}")
    read_only = _read_only(fields)
    recursion, deep = "rbind", True
    if _is_set(fields, "bind-nonrecursive"):
        recursion = "bind"
    wanted = fields.get("bind-recursive", "enabled")
    if wanted == "disabled":
        recursion = "bind"
    elif wanted == "writable":
        deep = False
        if not read_only:
            raise invalid("mount", text, "option 'bind-recursive=writable' requires 'readonly' to be specified")
    elif wanted == "readonly":
        if not read_only:
            raise invalid("mount", text, "option 'bind-recursive=readonly' requires 'readonly' to be specified")
        if propagation != "rprivate" or "bind-propagation" not in fields:
            reason = "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified"
            raise invalid("mount", text, reason)
    elif wanted != "enabled":
        raise invalid(
            "mount", text, f"invalid value for bind-recursive: {wanted}", "enabled, disabled, writable or readonly"
        )
    options = bind_options(recursion, propagation, read_only, _attributes(fields))
    if not deep:
        options.remove("rro")
    own.add_bind(fields["source"], destination, options, _is_set(fields, "U"))


def _add_volume(
    own: OwnMounts, text: str, fields: dict[str, str], lists: dict[str, list[str]], destination: str
) -> None:
    source = fields.get("source", "")
    if source.startswith("/"):
        raise invalid("mount", text, f"a volume has a name, not a path: {source}", "type=bind takes a path")
    subpath = fields.get("volume-subpath") or fields.get("subpath") or ""
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise UsageError(f"invalid --mount {text}: subpath must be a relative path within the volume")
    options = bind_options("rbind", "rprivate", _read_only(fields), _attributes(fields))
    own.add_volume(
        source,
        destination,
        options,
        copy=not _is_set(fields, "nocopy"),
        chown=_is_set(fields, "U"),
        driver=fields.get("volume-driver") or "local",
        options=_pairs(lists["volume-opt"]),
        labels=_pairs(lists["volume-label"]),
        subpath=subpath,
    )


def _pairs(entries: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


def _add_tmpfs(own: OwnMounts, text: str, fields: dict[str, str], destination: str) -> None:
    if fields.get("source"):
        raise invalid("mount", text, "cannot use option 'source' with mount type 'tmpfs'")
    words = ["exec"]  # as in docker: unlike --tmpfs, without noexec
    if _read_only(fields):
        words.append("ro")
    if fields.get("tmpfs-size"):
        from crate.plan.quantities import size_bytes

        words.append(f"size={size_bytes('mount', fields['tmpfs-size'])}")
    mode = fields.get("tmpfs-mode", "1777")
    if not mode or mode.strip("01234567") or len(mode) > 5:
        raise invalid("mount", text, f"invalid value for tmpfs-mode: {mode}")
    words.append(f"mode={mode.lstrip('0') or '0'}")
    words += [key for key in ("tmpcopyup", "noswap") if _is_set(fields, key)]
    own.add(make_tmpfs(destination, words))
