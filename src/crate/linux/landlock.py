"""landlock(7): rulesets over paths, and the process that restricts itself by one."""

from __future__ import annotations

from struct import pack

from crate.linux.libc import check, syscall

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_DIR = 1 << 4
REMOVE_FILE = 1 << 5
MAKE_CHAR = 1 << 6
MAKE_DIR = 1 << 7
MAKE_REG = 1 << 8
MAKE_SOCK = 1 << 9
MAKE_FIFO = 1 << 10
MAKE_BLOCK = 1 << 11
MAKE_SYM = 1 << 12
REFER = 1 << 13
TRUNCATE = 1 << 14
IOCTL_DEV = 1 << 15
#: What a rule may say of something that is no directory; more is EINVAL.
ACCESS_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

SCOPE_ABSTRACT_UNIX_SOCKET = 1
SCOPE_SIGNAL = 2

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
# ABI -> how many rights over files it knows
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_RIGHTS_LATEST, _ABI_WITH_NETWORK, _ABI_WITH_SCOPES = 16, 4, 6


def landlock_abi() -> int:
    """The version of the interface (landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION); 0 where it is
    not built in, or not enabled at boot."""
    return max(0, syscall(_CREATE_RULESET, "PLI", None, 0, _VERSION_FLAG))


def rights(abi: int) -> int:
    """The rights over files that a kernel of this version handles, as bits."""
    return (1 << _RIGHTS.get(abi, _RIGHTS_LATEST)) - 1


def landlock_create_ruleset(abi: int, handled_fs: int, scoped: int) -> int:
    """landlock_create_ruleset(2): a descriptor. `scoped` is without effect before version 6."""
    attributes = pack("=Q", handled_fs)
    if abi >= _ABI_WITH_NETWORK:
        attributes += pack("=Q", 0)
    if abi >= _ABI_WITH_SCOPES:
        attributes += pack("=Q", scoped)
    return check(syscall(_CREATE_RULESET, "PLI", attributes, len(attributes), 0), "landlock_create_ruleset")


def landlock_add_rule(ruleset_fd: int, allowed: int, parent_fd: int) -> None:
    """landlock_add_rule(2) LANDLOCK_RULE_PATH_BENEATH: what is allowed on a file, or beneath a directory."""
    rule = pack("=Qi", allowed, parent_fd)
    check(syscall(_ADD_RULE, "iIPI", ruleset_fd, _PATH_BENEATH, rule, 0), "landlock_add_rule")


def landlock_restrict_self(ruleset_fd: int) -> None:
    """landlock_restrict_self(2). EPERM without CAP_SYS_ADMIN in the process's user namespace and no_new_privs."""
    check(syscall(_RESTRICT_SELF, "iI", ruleset_fd, 0), "landlock_restrict_self")
