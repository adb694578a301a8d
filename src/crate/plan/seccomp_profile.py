"""Docker's default seccomp profile, resolved for a machine and a set of capabilities; profiles that users bring.

The facts are those of moby's profile (github.com/moby/profiles, seccomp/default.json, 2026): which calls are harmless,
which go with a capability. The bundle holds the resolved form, which any OCI runtime understands.
"""

from __future__ import annotations

from crate.errors import UsageError
from crate.runtime.seccomp import OWNERS_SOCKET, RECORDS_OWNERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from crate.oci.runtime_spec import LinuxSeccomp, LinuxSyscall

_ALLOWED = """
accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime
clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64
close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat
faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat
fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs
fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat
get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32
getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid
getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid
getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy
io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill
landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen
listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 madvise
map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap
mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2
pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease
pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg
recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall
riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64
sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop
semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area
set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid
setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid
setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4
sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync
sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime
timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat
utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
"""
_OF_MACHINE = {
    "x86_64": "arch_prctl modify_ldt",
    "aarch64": "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
    "ppc64le": "sync_file_range2 swapcontext",
    "s390x": "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr",
    "riscv64": "riscv_flush_icache",
}
_OF_CAPABILITY = {
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYS_ADMIN": (
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr "
        "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl "
        "quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare"
    ),
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module init_module finit_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "iopl ioperm",
    "CAP_SYS_TIME": "settimeofday stime clock_settime clock_settime64",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYSLOG": "syslog",
}
# Linux 4.8 closed the hole through which a tracer could evade the filter.
_FROM_LINUX_4_8 = "process_vm_readv process_vm_writev ptrace"
# Families of socket(2) other than AF_ALG (kernel crypto), AF_VSOCK (reaches the hypervisor) and the removed ones.
_FAMILIES_BELOW = 12
_FAMILIES = (13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45)
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # linux, linux32, both with UNAME26; the question
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET
_NEW_NAMESPACES = 0x7E020000
_ENOSYS = 38

_ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    "ppc64le": ["SCMP_ARCH_PPC64LE"],
    "s390x": ["SCMP_ARCH_S390X", "SCMP_ARCH_S390"],
    "riscv64": ["SCMP_ARCH_RISCV64"],
}
# Profiles name a machine as Go does.
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


_OF_OWNERS = ("chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32")
_OF_GROUPS = ("setgroups", "setgroups32")
_LISTENERS = (5, 9)  # the Linux whose listeners tell that nobody is left


def default_profile(capabilities: list[str], machine: str, kernel: str) -> LinuxSeccomp:
    """The default profile for a container with these capabilities."""
    names = _ALLOWED.split() + _OF_MACHINE.get(machine, "").split()
    if _version(kernel) >= (4, 8):
        names += _FROM_LINUX_4_8.split()
    for capability, calls in _OF_CAPABILITY.items():
        if capability in capabilities:
            names += calls.split()
    syscalls: list[LinuxSyscall] = [
        {"names": names, "action": "SCMP_ACT_ALLOW"},
        _allow("socket", 0, "SCMP_CMP_LT", _FAMILIES_BELOW),
        *(_allow("socket", 0, "SCMP_CMP_EQ", family) for family in _FAMILIES),
        *(_allow("personality", 0, "SCMP_CMP_EQ", value) for value in _PERSONALITIES),
    ]
    if "CAP_SYS_ADMIN" not in capabilities:
        flags = 1 if machine == "s390x" else 0  # where clone(2) has its flags
        syscalls.append(_allow("clone", flags, "SCMP_CMP_MASKED_EQ", _NEW_NAMESPACES))
        # The flags of clone3 are behind a pointer: without it, libraries fall back to clone.
        syscalls.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS})
    profile: LinuxSeccomp = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": syscalls}
    if machine in _ARCHITECTURES:
        profile["architectures"] = _ARCHITECTURES[machine]
    return profile


def record_owners(profile: LinuxSeccomp, kernel: str, directory: str) -> LinuxSeccomp:
    """The same, but calls that change owners succeed and are recorded (decision 200), those that drop groups succeed
    without doing anything (decision 171).

    For a user namespace of a single id, where there is nobody else to own a file. `directory`: of the container.
    """
    theirs = (*_OF_OWNERS, *_OF_GROUPS)
    kept = [{**rule, "names": [name for name in rule["names"] if name not in theirs]} for rule in profile["syscalls"]]
    recorded: LinuxSyscall = {"names": list(_OF_OWNERS), "action": "SCMP_ACT_NOTIFY"}
    pretended: LinuxSyscall = {"names": list(_OF_GROUPS), "action": "SCMP_ACT_ERRNO", "errnoRet": 0}
    made: Any = {**profile, "syscalls": [*(rule for rule in kept if rule["names"]), recorded, pretended]}
    if _version(kernel) < _LISTENERS:
        made["syscalls"][-2:] = [{**pretended, "names": list(theirs)}]
    else:
        made |= {"listenerPath": f"{directory}/{OWNERS_SOCKET}", "listenerMetadata": RECORDS_OWNERS}
    return made  # type: ignore[no-any-return]


def _allow(name: str, index: int, operator: str, value: int) -> LinuxSyscall:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [{"index": index, "value": value, "op": operator}]}


def read_profile(text: str, path: str, capabilities: list[str], machine: str, kernel: str) -> LinuxSeccomp:
    """A profile in docker's form (archMap, includes, excludes) or in that of OCI, resolved. UsageError."""
    from crate.oci import json

    try:
        profile = json.loads(text)
    except ValueError as error:
        raise UsageError(f"decoding seccomp profile {path} failed: {error}") from None
    if not isinstance(profile, dict) or not isinstance(profile.get("defaultAction"), str):
        raise UsageError(f"decoding seccomp profile {path} failed: defaultAction is missing")
    if profile.get("architectures") and profile.get("archMap"):
        raise UsageError(f"seccomp profile {path}: both 'architectures' and 'archMap' are specified")
    resolved: dict[str, Any] = {"defaultAction": profile["defaultAction"]}
    for key in ("defaultErrnoRet", "flags", "listenerPath", "listenerMetadata"):
        if profile.get(key) is not None:
            resolved[key] = profile[key]
    architectures = profile.get("architectures") or _mapped(profile.get("archMap") or [], machine)
    if architectures:
        resolved["architectures"] = architectures
    resolved["syscalls"] = []
    for rule in profile.get("syscalls") or ():
        names = rule.get("names") or [rule.get("name")]
        if not isinstance(rule.get("action"), str) or not all(isinstance(name, str) for name in names):
            raise UsageError(f"seccomp profile {path}: a rule of syscalls lacks its names or its action")
        if not _applies(rule, capabilities, machine, kernel):
            continue
        entry: dict[str, Any] = {"names": names, "action": rule["action"]}
        if rule.get("errnoRet") is not None:
            entry["errnoRet"] = rule["errnoRet"]
        if rule.get("args"):
            entry["args"] = rule["args"]
        resolved["syscalls"].append(entry)
    return resolved  # type: ignore[return-value]


def _mapped(arch_map: list[dict[str, Any]], machine: str) -> list[str]:
    native = _ARCHITECTURES.get(machine, [""])[0]
    for entry in arch_map:
        if entry.get("architecture") == native:
            return [native, *(entry.get("subArchitectures") or [])]
    return []


def _applies(rule: dict[str, Any], capabilities: list[str], machine: str, kernel: str) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    go_name = _GO_NAMES.get(machine, machine)
    if go_name in (excludes.get("arches") or ()):
        return False
    if any(name in capabilities for name in excludes.get("caps") or ()):
        return False
    if excludes.get("minKernel") and _version(kernel) >= _version(excludes["minKernel"]):
        return False
    if includes.get("arches") and go_name not in includes["arches"]:
        return False
    if not all(name in capabilities for name in includes.get("caps") or ()):
        return False
    return not includes.get("minKernel") or _version(kernel) >= _version(includes["minKernel"])


def _version(release: str) -> tuple[int, int]:
    """(6, 1) of `6.1.0-18-amd64`."""
    numbers = []
    for part in release.split(".")[:2]:
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        numbers.append(int(digits or "0"))
    return numbers[0], numbers[1] if len(numbers) > 1 else 0
