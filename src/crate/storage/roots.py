"""Where crate keeps its things: the durable graph root and the run root that lives until reboot."""

from __future__ import annotations

import os
import stat

from crate.errors import HostError, UsageError
from crate.storage.durable import read_file, write_file

FORMAT = 1
_GRAPH_DIRECTORIES = (
    "images",
    "layers",
    "containers",
    "names",
    "volumes",
    "networks",
    "pods",
    "jobs",
    "cache",
    "events",
    "stage",
    "trash",
)
_OWN_NAMES = (*_GRAPH_DIRECTORIES, "lost+found")
_RUN_DIRECTORIES = ("containers", "leases", "locks")
_boot_id = ""


class Roots:
    """The two directories, whether an ordinary user owns them, and that user's id as the host sees it.

    `driver` makes the root filesystems of containers: "overlay" or "vfs", or "" while nobody had to know it yet.
    """

    __slots__ = ("driver", "graphroot", "rootless", "runroot", "uid")

    def __init__(self, graphroot: str, runroot: str, rootless: bool, uid: int, driver: str = "") -> None:
        self.driver = driver
        self.graphroot = graphroot
        self.runroot = runroot
        self.rootless = rootless
        self.uid = uid


def open_roots(root: str | None = None, runroot: str | None = None) -> Roots:
    """The roots for this user, made on first use; `root` and `runroot` replace the defaults.

    Raises HostError where a root belongs to somebody else, where the store is newer than this crate, or where a
    directory cannot be made.
    """
    uid = _host_uid()
    rootless = uid != 0
    graph = _absolute(root) if root else default_graphroot(rootless)
    run = _absolute(runroot) if runroot else _default_runroot(uid)
    driver = _open_graphroot(graph, rootless)
    _open_runroot(run, rootless)
    return Roots(graph, run, rootless, uid, driver)


def user_place() -> tuple[bool, str]:
    """Whether an ordinary user runs this, and the run root of this user unless somebody says otherwise."""
    uid = _host_uid()
    return uid != 0, _default_runroot(uid)


def write_format(graph: str, driver: str) -> None:
    """Writes `format`: the version of the store's form, and the driver once it is chosen."""
    text = f"crate store {FORMAT}\n" + (f"driver {driver}\n" if driver else "")
    write_file(None, f"{graph}/format", text, durable=True, mode=0o644)


def boot_id() -> str:
    """The kernel's identifier of this boot (random(4)), read once."""
    global _boot_id
    if not _boot_id:
        _boot_id = read_file("/proc/sys/kernel/random/boot_id").decode().strip()
    return _boot_id


def _host_uid() -> int:
    """Our user id; inside a user namespace, what its uid 0 is outside (user_namespaces(7))."""
    uid = os.geteuid()
    if uid:
        return uid
    for line in read_file("/proc/self/uid_map").splitlines():
        inside, outside, _count = line.split()
        if inside == b"0":
            return int(outside)
    return 0


def default_graphroot(rootless: bool) -> str:
    """Where this user's store is unless somebody says otherwise."""
    if not rootless:
        return "/var/lib/crate"
    data = os.environ.get("XDG_DATA_HOME", "")
    if not data.startswith("/"):  # the XDG specification: a relative path is to be ignored
        data = f"{_home()}/.local/share"
    return f"{data}/crate"


def _default_runroot(uid: int) -> str:
    # Not XDG_RUNTIME_DIR: it vanishes at logout while containers run on. Not /dev/shm: logind empties it then, too.
    return f"/tmp/crate-run-{uid}" if uid else "/run/crate"


def _home() -> str:
    home = os.environ.get("HOME", "")
    if home.startswith("/"):
        return home
    from pwd import getpwuid

    try:
        return getpwuid(os.geteuid()).pw_dir
    except KeyError:
        raise HostError("cannot find the home directory", "set HOME, or give --root and --runroot") from None


def _absolute(path: str) -> str:
    if "\0" in path:
        raise UsageError("a path contains a NUL byte")
    return os.path.abspath(path)


def _open_graphroot(graph: str, rootless: bool) -> str:
    """Checks the store, or makes it; gives its driver."""
    try:
        text = read_file(f"{graph}/format").decode("ascii", "replace")
    except FileNotFoundError:
        _make_graphroot(graph, rootless)
        return ""
    except OSError as error:
        raise HostError(f"cannot read {graph}/format: {os.strerror(error.errno or 0)}") from None
    first, _, rest = text.partition("\n")
    version = first.removeprefix("crate store ")
    if version == str(FORMAT):
        return rest.removeprefix("driver ").strip()
    if version != first and version.isdigit():
        raise HostError(
            f"cannot use {graph}: its format is {version}, this crate knows formats up to {FORMAT}",
            "use the newer crate that made it, or another --root",
        )
    raise HostError(f"cannot use {graph}: {graph}/format is not that of a crate store", "give another --root")


def _make_graphroot(graph: str, rootless: bool) -> None:
    """Lays out a new store. The format file comes last: a store that has one is complete."""
    mode = 0o700 if rootless else 0o711
    try:
        os.makedirs(graph, mode, exist_ok=True)
        _check_owner(graph)
        strange = [name for name in os.listdir(graph) if name not in _OWN_NAMES and not name.startswith(".format.")]
        if strange:
            raise HostError(f"cannot make a store in {graph}: there is {strange[0]}", "give another --root")
        for name in _GRAPH_DIRECTORIES:
            # Nobody but the owner gets in: an image may hold setuid programs (CVE-2021-41091 was docker's lesson).
            _make_directory(f"{graph}/{name}", 0o700)
        write_format(graph, "")
    except OSError as error:
        raise HostError(f"cannot make the store {graph}: {os.strerror(error.errno or 0)}", "see --root") from None


def _open_runroot(run: str, rootless: bool) -> None:
    """Checks the run root, or makes it. What another boot left there is thrown away."""
    try:
        if os.readlink(f"{run}/boot") == boot_id():
            _check_owner(run)
            return
    except OSError:
        pass
    try:
        os.makedirs(os.path.dirname(run), 0o755, exist_ok=True)
        _make_directory(run, 0o700 if rootless else 0o711)
        _check_owner(run)
        from crate.storage.lock import Lock

        with Lock(run):
            _renew_runroot(run)
    except OSError as error:
        raise HostError(
            f"cannot make the run directory {run}: {os.strerror(error.errno or 0)}", "see --runroot"
        ) from None


def _renew_runroot(run: str) -> None:
    """Lays out the run root. `boot` goes last and comes last: while it is there, it tells the truth."""
    boot = f"{run}/boot"
    try:
        known = os.readlink(boot)
    except FileNotFoundError:
        known = ""
    if known == boot_id():
        return  # another process was faster
    if known:
        from crate.storage.trash import remove_tree

        for name in os.listdir(run):
            if name != "boot":
                remove_tree(run, name)
        os.unlink(boot)
    for name in _RUN_DIRECTORIES:
        _make_directory(f"{run}/{name}", 0o700)
    os.symlink(boot_id(), boot)


def _make_directory(path: str, mode: int) -> None:
    try:
        os.mkdir(path, mode)
        os.chmod(path, mode)  # whatever the umask
    except FileExistsError:
        pass


def _check_owner(path: str) -> None:
    """Refuses a directory that somebody else put there before us, as anyone can in /tmp."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise HostError(
            f"cannot use {path}: it is not a directory of this user", "have it removed, or give another place"
        )
    if found.st_mode & 0o022:
        raise HostError(f"cannot use {path}: others may write there", f"chmod go-w {path}")
