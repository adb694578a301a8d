"""The mounts that options and the image ask for: --volume, --mount, --tmpfs, and VOLUME of the image."""

from __future__ import annotations

from posixpath import normpath

from crate.errors import UsageError
from crate.plan.refusal import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crate.oci.runtime_spec import Mount
    from crate.plan.host import Host
    from crate.plan.shapes import Options, Place, Volume

PROPAGATIONS = ("shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable")
_ATTRIBUTES = ("dev", "nodev", "exec", "noexec", "suid", "nosuid", "noatime", "relatime", "nosymfollow")
_RELABEL = ("z", "Z")  # SELinux labels, which crate does not set
_CONSISTENCY = ("cached", "consistent", "delegated")  # of docker's virtual machines
_ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_TMPFS_FLAGS = (
    *("defaults", "ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async", "dirsync"),
    *("atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime"),
    *("tmpcopyup", "notmpcopyup", "noswap", *PROPAGATIONS),
)
_TMPFS_VALUES = ("mode", "uid", "gid", "size", "nr_inodes", "nr_blocks", "mpol", "huge")


class OwnMounts:
    """`mounts` by destination in the order of mention, `volumes` to create, `chowns`: sources whose owner changes."""

    __slots__ = ("_host", "_place", "chowns", "mounts", "volumes")

    def __init__(self, host: Host, place: Place) -> None:
        self._host = host
        self._place = place
        self.mounts: dict[str, Mount] = {}
        self.volumes: list[Volume] = []
        self.chowns: list[str] = []

    def add(self, mount: Mount) -> None:
        """Takes the destination of the mount, once."""
        destination = mount["destination"]
        if destination in self.mounts:
            raise UsageError(f"{destination}: duplicate mount destination")
        self.mounts[destination] = mount

    def add_bind(self, source: str, destination: str, options: list[str], change_owner: bool = False) -> None:
        """A directory or file of the host; a relative one is meant from the caller's directory."""
        if not source.startswith("/"):
            source = f"{self._host.cwd}/{source}"
        source = normpath(source)
        if self._host.stat(source) is None:
            raise UsageError(f"bind source path does not exist: {source}", "create it first")
        self.add({"destination": destination, "type": "bind", "source": source, "options": options})
        if change_owner:
            self.chowns.append(source)

    def add_volume(self, name: str, destination: str, mount_options: list[str], **settings: Any) -> None:
        """A named volume, or an anonymous one whose name follows from container and destination.

        `settings` are keys of Volume, and `subpath` for a directory within, which the runtime looks for beneath `/./`.
        """
        anonymous = not name
        if anonymous:
            from crate.oci import digest

            name = digest.of(f"{self._place['id']}:{destination}".encode()).partition(":")[2]
        elif name[0] not in _ALNUM or name.strip(_ALNUM + "_.-"):
            raise UsageError(
                f'"{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" '
                "are allowed",
                "if you intended to pass a host directory, use an absolute path",
            )
        subpath = settings.pop("subpath", "")
        source = f"{self._place['volumes']}/{name}/_data{f'/./{subpath}' if subpath else ''}"
        self.add({"destination": destination, "type": "bind", "source": source, "options": mount_options})
        volume: Volume = {
            "name": name,
            "anonymous": anonymous,
            "destination": destination,
            "driver": "local",
            "options": {},
            "labels": {},
            "copy": True,
            "chown": False,
            "mount": 0,
        }
        volume.update(settings)  # type: ignore[typeddict-item]
        self.volumes.append(volume)


def make_volumes(options: Options, config: Mapping[str, Any], host: Host, place: Place) -> OwnMounts:
    """Everything that is mounted because somebody asked for it."""
    own = OwnMounts(host, place)
    for text in options.get("volume") or ():
        _add_volume_option(own, text)
    if options.get("mount"):
        from crate.plan.mount_option import add_mount_option

        for text in options["mount"]:
            add_mount_option(own, text)
    for text in options.get("tmpfs") or ():
        path, _, words = text.partition(":")
        own.add(make_tmpfs(clean_destination(path, f"invalid tmpfs {text}"), words.split(",") if words else []))
    _add_image_volumes(own, options, config)
    return own


def clean_destination(path: str, context: str) -> str:
    """An absolute path below the root, without `.` and `..`."""
    if not path.startswith("/"):
        raise UsageError(f"{context}: invalid mount path: '{path}' mount path must be absolute")
    cleaned = "/" + normpath(path).lstrip("/")
    if cleaned == "/":
        raise UsageError(f"{context}: invalid specification: destination can't be '/'")
    return cleaned


def _add_volume_option(own: OwnMounts, text: str) -> None:
    """`[SOURCE:]DESTINATION[:OPTIONS]`."""
    parts = text.split(":")
    context = f"invalid volume specification: '{text}'"
    if len(parts) > 3 or not parts[0] or (len(parts) > 1 and not parts[1]):
        raise UsageError(context, "write it as [SOURCE:]DESTINATION[:OPTIONS]")
    if len(parts) == 1:
        own.add_volume("", clean_destination(text, context), ["rbind", "rprivate"])
        return
    source, destination = parts[0], clean_destination(parts[1], context)
    words = [word for word in parts[2].split(",") if word] if len(parts) > 2 else []
    options, copy, change_owner = _volume_options(words, context)
    if source[0] in "/.":
        own.add_bind(source, destination, options, change_owner)
    else:
        own.add_volume(source, destination, options, copy=copy, chown=change_owner)


def _volume_options(words: list[str], context: str) -> tuple[list[str], bool, bool]:
    """(mount options, whether a new volume gets the image's files, whether the owner changes)."""
    seen: set[str] = set()
    attributes: list[str] = []
    recursion, propagation, copy, change_owner, read_only = "rbind", "rprivate", True, False, False
    for word in words:
        if word in ("rw", "ro"):
            kind, read_only = "ro", word == "ro"
        elif word in PROPAGATIONS:
            kind, propagation = "propagation", word
        elif word in ("bind", "rbind"):
            kind, recursion = "bind", word
        elif word in ("copy", "nocopy"):
            kind, copy = "copy", word == "copy"
        elif word in _ATTRIBUTES:
            kind = word.removeprefix("no")
            attributes.append(word)
        elif word == "U":
            kind, change_owner = "U", True
        elif word in _RELABEL:
            kind = "relabel"
        elif word == "idmap" or word.startswith("idmap="):
            kind = "idmap"
            attributes.append(word)
        elif word in _CONSISTENCY:
            kind = "consistency"
        elif word == "O" or word.startswith(("upperdir=", "workdir=")):
            raise UsageError(f"{context}: overlay volumes (O) are not supported")
        else:
            raise UsageError(f"{context}: invalid mode: {word}")
        if kind in seen:
            raise UsageError(f"{context}: invalid mode: {','.join(words)}")
        seen.add(kind)
    return bind_options(recursion, propagation, read_only, attributes), copy, change_owner


def bind_options(recursion: str, propagation: str, read_only: bool, attributes: list[str]) -> list[str]:
    """Options of a bind. A read-only one is so with the mounts beneath it, as in docker since version 25."""
    options = [recursion, propagation, *attributes]
    if read_only:
        options += ["ro", "rro"] if recursion == "rbind" else ["ro"]
    return options


def make_tmpfs(destination: str, words: list[str]) -> Mount:
    """A tmpfs, without programs, setuid and devices unless the options say `exec`, `suid`, `dev`."""
    flags = {"exec": "noexec", "suid": "nosuid", "dev": "nodev"}
    options = []
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name in _TMPFS_VALUES and value:
            if name == "size" and not value.endswith("%"):
                from crate.plan.quantities import size_bytes

                word = f"size={size_bytes('tmpfs', value)}"
        elif word not in _TMPFS_FLAGS:
            raise invalid("tmpfs", f"{destination}:{','.join(words)}", f"invalid tmpfs option {word!r}")
        for flag, opposite in flags.items():
            if word in (flag, opposite):
                flags[flag] = word
                break
        else:
            if word not in ("defaults", "notmpcopyup", "rw"):
                options.append(word)
    return {
        "destination": destination,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": [*(word for word in flags.values() if word.startswith("no")), *options],
    }


def _add_image_volumes(own: OwnMounts, options: Options, config: Mapping[str, Any]) -> None:
    wanted = options.get("image_volume") or "bind"
    if wanted not in ("anonymous", "bind", "tmpfs", "ignore"):
        raise UsageError(f'invalid image-volume type "{wanted}"', "bind, tmpfs or ignore")
    if wanted == "ignore":
        return
    for path in config.get("Volumes") or ():
        if not path.startswith("/"):
            path = f"/{path}"  # as docker takes a Dockerfile's `VOLUME data`
        destination = clean_destination(path, "invalid VOLUME of the image")
        if destination in own.mounts:
            continue
        if wanted == "tmpfs":
            own.add(make_tmpfs(destination, ["exec", "tmpcopyup"]))
        else:
            own.add_volume("", destination, ["rbind", "rprivate"])
