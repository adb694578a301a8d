"""What the system calls are about: the file that they name, the capability that they may need, words for arguments."""

from __future__ import annotations

import shlex
import socket
from struct import unpack_from
from typing import NamedTuple

from crate.linux.syscall_table import numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.refusals.tracee import Tracee

# AUDIT_ARCH of linux/audit.h -> the tables of the numbers.
_TABLES = {
    0xC000003E: "X86_64", 0x40000003: "X86", 0xC00000B7: "AARCH64", 0x40000028: "ARM", 0xC00000F3: "RISCV64",
    0xC0000015: "PPC64LE", 0x80000016: "S390X", 0x00000016: "S390",
}  # fmt: skip
_X32_BIT = 0x40000000
_AT_FDCWD = -100
_names: dict[str, dict[int, str]] = {}


class Call(NamedTuple):
    """A system call at its entry."""

    name: str
    number: int
    architecture: int
    pointer: int
    arguments: tuple[int, ...]


def name_of(architecture: int, number: int) -> str:
    """`openat`, or `system call 500` for a number that no table has."""
    table = _TABLES.get(architecture, "")
    if architecture == 0xC000003E and number & _X32_BIT:
        table, number = "X32", number & ~_X32_BIT
    if table and table not in _names:
        _names[table] = {value: name for name, value in numbers(table).items()}
    return _names.get(table, {}).get(number, f"system call {number}")


class FileUse(NamedTuple):
    """How a call uses a file: places of its arguments (-1: none, that is the working directory), and what it wants.

    `want`: open, how (openat2), read, write, run, search (nothing of the file itself), enter, ask (access(2)), parent
    (a name in its directory is made or removed), own (what only its owner may), change (chown), socket.
    """

    directory: int
    path: int
    want: str


# name: directory's place, path's place, want
_FILES = """
open:-,0,open openat:0,1,open openat2:0,1,how creat:-,0,open
execve:-,0,run execveat:0,1,run uselib:-,0,run
mkdir:-,0,parent mkdirat:0,1,parent mknod:-,0,parent mknodat:0,1,parent rmdir:-,0,parent
unlink:-,0,parent unlinkat:0,1,parent rename:-,0,parent renameat:0,1,parent renameat2:0,1,parent
link:-,1,parent linkat:2,3,parent symlink:-,1,parent symlinkat:1,2,parent
chmod:-,0,own fchmod:0,-,own fchmodat:0,1,own fchmodat2:0,1,own
utime:-,0,own utimes:-,0,own futimesat:0,1,own utimensat:0,1,own utimensat_time64:0,1,own
chown:-,0,change lchown:-,0,change fchown:0,-,change fchownat:0,1,change
chown32:-,0,change lchown32:-,0,change fchown32:0,-,change
truncate:-,0,write truncate64:-,0,write setxattr:-,0,write lsetxattr:-,0,write removexattr:-,0,write
access:-,0,ask faccessat:0,1,ask faccessat2:0,1,ask
chdir:-,0,enter fchdir:0,-,enter chroot:-,0,enter
stat:-,0,search lstat:-,0,search stat64:-,0,search lstat64:-,0,search newfstatat:0,1,search fstatat64:0,1,search
statx:0,1,search statfs:-,0,search statfs64:-,0,search readlink:-,0,search readlinkat:0,1,search
getxattr:-,0,search lgetxattr:-,0,search listxattr:-,0,search llistxattr:-,0,search name_to_handle_at:0,1,search
inotify_add_watch:-,1,read
"""
_USES: dict[str, FileUse] = {}
for _word in _FILES.split():
    _name, _, _rest = _word.partition(":")
    _directory, _path, _want = _rest.split(",")
    _USES[_name] = FileUse(int(_directory.replace("-", "-1")), int(_path.replace("-", "-1")), _want)


def file_use(name: str) -> FileUse | None:
    """How a call uses a file; None for one that names none."""
    return _USES.get(name)


def path_of(tracee: Tracee, call: Call, use: FileUse) -> str | None:
    """The path that the call names, from the process's root on; None when it cannot be read."""
    directory = call.arguments[use.directory] & 0xFFFFFFFF if use.directory >= 0 else _AT_FDCWD & 0xFFFFFFFF
    directory_fd = directory - (1 << 32) if directory >> 31 else directory
    address = call.arguments[use.path] if use.path >= 0 else 0
    if use.path >= 0 and address:
        path = tracee.text(address)
        return None if path is None else tracee.full_path(directory_fd, path)
    return tracee.link(f"fd/{directory_fd}") or None


# What may need a capability, whatever the arguments. Those with arguments: `capability_of`.
_BY_CAPABILITY = {
    "SYS_ADMIN": (
        "mount umount umount2 pivot_root swapon swapoff sethostname setdomainname quotactl quotactl_fd unshare setns "
        "clone clone3 fsopen fspick fsconfig fsmount move_mount open_tree mount_setattr fanotify_init lookup_dcookie"
    ),
    "BPF": "bpf",
    "PERFMON": "perf_event_open",
    "SYS_CHROOT": "chroot",
    "SYS_BOOT": "reboot kexec_load kexec_file_load",
    "SYS_MODULE": "init_module finit_module delete_module",
    "SYS_PACCT": "acct",
    "SYS_TIME": "settimeofday stime clock_settime clock_settime64 adjtimex clock_adjtime clock_adjtime64",
    "SYS_NICE": (
        "nice setpriority sched_setscheduler sched_setparam sched_setattr sched_setaffinity ioprio_set mbind "
        "set_mempolicy migrate_pages move_pages set_mempolicy_home_node"
    ),
    "SYS_RESOURCE": "setrlimit prlimit64",
    "SYS_RAWIO": "iopl ioperm",
    "SYS_TTY_CONFIG": "vhangup",
    "SYSLOG": "syslog",
    "SYS_PTRACE": "process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise userfaultfd get_robust_list",
    "KILL": "kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal",
    "SETUID": "setuid setreuid setresuid setfsuid setuid32 setreuid32 setresuid32",
    "SETGID": "setgid setregid setresgid setgroups setfsgid setgid32 setregid32 setresgid32 setgroups32",
    "SETPCAP": "capset",
    "CHOWN": "chown lchown fchown fchownat chown32 lchown32 fchown32",
    "MKNOD": "mknod mknodat",
    "IPC_LOCK": "mlock mlock2 mlockall shmctl",
    "IPC_OWNER": "shmget shmat msgget msgsnd msgrcv msgctl semget semop semctl semtimedop",
    "DAC_READ_SEARCH": "open_by_handle_at",
    "NET_BIND_SERVICE": "bind",
    "NET_ADMIN": "setsockopt",
    "WAKE_ALARM": "timer_create timerfd_create",
}
_CAPABILITIES = {name: capability for capability, names in _BY_CAPABILITY.items() for name in names.split()}
#: asked for in the host's user namespace: no container of an ordinary user, or with a user namespace, has them
_OF_THE_HOST = frozenset(
    "SYS_TIME SYS_MODULE SYS_RAWIO SYS_PACCT SYS_TTY_CONFIG SYSLOG MKNOD DAC_READ_SEARCH WAKE_ALARM BPF PERFMON "
    "IPC_LOCK SYS_RESOURCE LINUX_IMMUTABLE".split()
)
_HOST_CALLS = frozenset("swapon swapoff quotactl quotactl_fd kexec_load kexec_file_load lookup_dcookie".split())

_AF_PACKET, _SOCK_RAW = 17, 3
# setsockopt(2) of SOL_SOCKET (1): SO_BINDTODEVICE; of SOL_IP (0) and SOL_IPV6 (41): those for raw packets
_BY_NET_RAW = ((1, 25), (0, 19), (41, 75))
_SOL_SOCKET, _SO_PRIORITY = 1, 12
# ioctl(2): the ranges of sockets (SIOC...), routes and TUN/TAP (`T`) belong to CAP_NET_ADMIN.
_TIOCSTI, _FS_IOC_SETFLAGS, _FS_IOC_FSSETXATTR, _CONSOLE = 0x5412, 0x40086602, 0x401C5820, 0x4B
_PR_CAPBSET_DROP, _PR_SET_MM = 24, 35
_F_SETLEASE, _F_SETPIPE_SZ = 1024, 1031


def capability_of(tracee: Tracee, call: Call) -> str:
    """The capability, without CAP_, that lets the call pass; empty when none is known."""
    arguments = call.arguments
    if call.name in ("socket", "socketpair"):
        raw = arguments[0] == _AF_PACKET or arguments[1] & 0xF == _SOCK_RAW
        return "NET_RAW" if raw else ""
    if call.name == "setsockopt" and arguments[1:3] in _BY_NET_RAW:
        return "NET_RAW"
    if call.name == "ioctl":
        return _of_ioctl(arguments[1] & 0xFFFFFFFF)
    if call.name == "prctl":
        return {_PR_CAPBSET_DROP: "SETPCAP", _PR_SET_MM: "SYS_RESOURCE"}.get(arguments[0], "")
    if call.name in ("fcntl", "fcntl64"):
        return {_F_SETLEASE: "LEASE", _F_SETPIPE_SZ: "SYS_RESOURCE"}.get(arguments[1], "")
    if call.name == "bind":
        return "NET_BIND_SERVICE" if 0 < _port(tracee, call) < 1024 else ""
    if call.name in ("setxattr", "lsetxattr", "fsetxattr"):
        name = tracee.text(arguments[1]) or b""
        if name == b"security.capability":
            return "SETFCAP"
        return "SYS_ADMIN" if name.startswith((b"security.", b"trusted.")) else ""
    return _CAPABILITIES.get(call.name, "")


def is_of_the_host(call: Call, capability: str) -> bool:
    """Whether the kernel wants the capability in the initial user namespace."""
    return capability in _OF_THE_HOST or call.name in _HOST_CALLS


def _of_ioctl(request: int) -> str:
    kind = request >> 8 & 0xFF
    if request in (_FS_IOC_SETFLAGS, _FS_IOC_FSSETXATTR):
        return "LINUX_IMMUTABLE"
    if request == _TIOCSTI:
        return "SYS_ADMIN"
    if kind == _CONSOLE:
        return "SYS_TTY_CONFIG"
    return "NET_ADMIN" if kind in (0x89, 0x54) and request not in range(0x5401, 0x5480) else ""


def _port(tracee: Tracee, call: Call) -> int:
    """The port of a sockaddr_in or sockaddr_in6; 0 for another address."""
    data = tracee.memory(call.arguments[1], 4)
    if len(data) < 4 or unpack_from("=H", data)[0] not in (socket.AF_INET, socket.AF_INET6):
        return 0
    return int(unpack_from("!H", data, 2)[0])


def socket_path(tracee: Tracee, call: Call) -> str | None:
    """The path of the sockaddr_un of connect(2) or bind(2); None for another address."""
    data = tracee.memory(call.arguments[1], min(call.arguments[2] & 0xFFFF, 110))
    if len(data) < 4 or unpack_from("=H", data)[0] != socket.AF_UNIX or not data[2]:
        return None
    return tracee.full_path(_AT_FDCWD, data[2:].partition(b"\0")[0])


_CLONE_FLAGS = {
    0x20000: "NEWNS", 0x2000000: "NEWCGROUP", 0x4000000: "NEWUTS", 0x8000000: "NEWIPC", 0x10000000: "NEWUSER",
    0x20000000: "NEWPID", 0x40000000: "NEWNET", 0x80: "NEWTIME",
}  # fmt: skip


def words_of(tracee: Tracee, call: Call) -> str:
    """What the call was about, for people: a path, a family, flags; empty when its name says enough."""
    name, arguments = call.name, call.arguments
    if name in ("socket", "socketpair"):
        return _family(arguments[0]) + (" SOCK_RAW" if arguments[1] & 0xF == _SOCK_RAW else "")
    if name in ("bind", "connect"):
        port = _port(tracee, call)
        return f"port {port}" if port else _quoted(socket_path(tracee, call))
    if name in ("unshare", "setns", "clone"):
        flags = arguments[1] if name == "setns" else arguments[0]
        return " ".join(f"CLONE_{word}" for bit, word in _CLONE_FLAGS.items() if flags & bit)
    if name in ("mount", "umount2", "umount", "pivot_root", "swapon", "swapoff", "acct"):
        path = tracee.text(arguments[1 if name == "mount" else 0])
        return _quoted(path.decode("utf-8", "surrogateescape") if path else None)
    if name == "ioctl":
        return f"0x{arguments[1] & 0xFFFFFFFF:x}"
    if name in ("setxattr", "lsetxattr", "fsetxattr"):
        return _quoted((tracee.text(arguments[1]) or b"").decode("utf-8", "surrogateescape"))
    if name in ("prctl", "ptrace", "keyctl", "personality"):
        return str(arguments[0])
    return ""


def _quoted(text: str | None) -> str:
    return argument(text) if text else ""


def _family(number: int) -> str:
    try:
        return socket.AddressFamily(number).name
    except ValueError:
        return f"family {number}"


def visible(text: str) -> str:
    """The text with what a terminal would obey, and what is no UTF-8, as escapes."""
    raw = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in raw)


def argument(text: str) -> str:
    """The text as one word: a path is what the container called it, and is handed to shells, or read as more."""
    return shlex.quote(visible(text))
