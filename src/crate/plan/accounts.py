"""Who is added to the container's /etc/passwd: the user of keep-id, those of --hostuser, and --passwd-entry."""

from __future__ import annotations

from crate.errors import CommandError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.plan.host import Host
    from crate.plan.shapes import Options, Slot

_SHELL = "/bin/sh"


def make_accounts(options: Options, host: Host, kept: str, cwd: str, mounted: set[str]) -> list[Slot]:
    """The slots of the entries; none for most containers.

    `kept` is the `UID:GID` of keep-id, `cwd` the working directory, which is the user's home unless the home of the
    host is `mounted`. CommandError (126) for a user that the host does not have, as podman ends then.
    """
    if options.get("passwd") is False:
        return []
    entries = []
    for name in options.get("hostuser") or ():
        found = host.account(name)
        if found is None:
            raise CommandError(f"looking up host user {name}: no such user", "getent passwd lists them")
        entries.append(":".join([found[0], "*", *found[2:6], found[6] or _SHELL]))
    if kept:
        uid, gid = kept.split(":")
        own = host.account(str(host.own_ids()[0])) or [uid, "", "", "", "", cwd, ""]
        home = own[5] if own[5] in mounted else cwd
        entries.append(":".join([own[0], "*", uid, gid, own[4], home, _SHELL]))
    wanted = options.get("passwd_entry")
    if wanted is not None:
        if wanted.count(":") != 6 or "\n" in wanted:
            raise UsageError(f"invalid --passwd-entry {wanted!r}", "NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL")
        user = str(options.get("user") or kept)
        uid, _, gid = user.partition(":")
        own_entry = entries.pop() if kept else f"{uid}:*:{uid}:{gid or 0}:container user:{cwd}:{_SHELL}"
        entries.append(_substituted(wanted, own_entry.split(":")))
    return [{"slot": "account", "entries": entries}] if entries else []


def _substituted(text: str, fields: list[str]) -> str:
    names = {"$USERNAME": fields[0], "$UID": fields[2], "$GID": fields[3], "$NAME": fields[4], "$HOME": fields[5]}
    for name, value in names.items():
        text = text.replace(name, value)
    return text
