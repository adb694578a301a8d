"""The JSON schema of config.json (OCI runtime-spec 1.2, Linux), strict: a key that it lacks is an error."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _object(required: str = "", **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _integer(bits: int, signed: bool = False) -> Schema:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    return {"type": "integer", "minimum": low, "maximum": high}


def _table(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


TEXT: Schema = {"type": "string"}
TEXTS = _list(TEXT)
FLAG: Schema = {"type": "boolean"}
PATH: Schema = {"type": "string", "pattern": "^/"}
UINT16, UINT32, UINT64 = _integer(16), _integer(32), _integer(64)
INT64 = _integer(64, signed=True)
NUMBER: Schema = {"type": "integer", "minimum": 0}
CAPABILITIES = _list({"type": "string", "pattern": "^CAP_[A-Z_]+$"})
ID_MAPPINGS = _list(_object("containerID hostID size", containerID=UINT32, hostID=UINT32, size=UINT32))
HOOKS = _list(_object("path", path=PATH, args=TEXTS, env=TEXTS, timeout={"type": "integer", "minimum": 1}))
ACTION: Schema = {
    "enum": [f"SCMP_ACT_{name}" for name in "KILL KILL_PROCESS KILL_THREAD TRAP ERRNO TRACE ALLOW LOG NOTIFY".split()]
}
OPERATOR: Schema = {"enum": [f"SCMP_CMP_{name}" for name in "NE LT LE EQ GE GT MASKED_EQ".split()]}

_PROCESS = _object(
    "cwd args",
    args={"type": "array", "items": TEXT, "minItems": 1},
    cwd=PATH,
    terminal=FLAG,
    consoleSize=_object("height width", height=UINT64, width=UINT64),
    env=_list({"type": "string", "pattern": "^[^=]+="}),
    user=_object("uid gid", uid=UINT32, gid=UINT32, umask=UINT32, additionalGids={"type": "array", "items": UINT32}),
    capabilities=_object(
        bounding=CAPABILITIES,
        permitted=CAPABILITIES,
        effective=CAPABILITIES,
        inheritable=CAPABILITIES,
        ambient=CAPABILITIES,
    ),
    apparmorProfile=TEXT,
    oomScoreAdj={"type": "integer", "minimum": -1000, "maximum": 1000},
    selinuxLabel=TEXT,
    noNewPrivileges=FLAG,
    rlimits=_list(
        _object("type soft hard", type={"type": "string", "pattern": "^RLIMIT_[A-Z]+$"}, soft=UINT64, hard=UINT64)
    ),
)
_MOUNTS = _list(
    _object(
        "destination",
        destination=PATH,
        type=TEXT,
        source=TEXT,
        options=TEXTS,
        uidMappings=ID_MAPPINGS,
        gidMappings=ID_MAPPINGS,
    )
)
_THROTTLE = _list(_object("major minor rate", major=NUMBER, minor=NUMBER, rate=UINT64))
_RESOURCES = _object(
    devices=_list(
        _object(
            "allow",
            allow=FLAG,
            type={"enum": ["a", "b", "c", "u", "p"]},
            major=NUMBER,
            minor=NUMBER,
            access={"type": "string", "pattern": "^[rwm]+$"},
        )
    ),
    memory=_object(
        limit=INT64,
        reservation=INT64,
        swap=INT64,
        kernel=INT64,
        kernelTCP=INT64,
        swappiness=UINT64,
        disableOOMKiller=FLAG,
        useHierarchy=FLAG,
        checkBeforeUpdate=FLAG,
    ),
    cpu=_object(
        shares=UINT64,
        quota=INT64,
        burst=UINT64,
        period=UINT64,
        realtimeRuntime=INT64,
        realtimePeriod=UINT64,
        cpus=TEXT,
        mems=TEXT,
        idle=INT64,
    ),
    pids=_object("limit", limit=INT64),
    blockIO=_object(
        weight=UINT16,
        leafWeight=UINT16,
        weightDevice=_list(_object("major minor", major=NUMBER, minor=NUMBER, weight=UINT16, leafWeight=UINT16)),
        throttleReadBpsDevice=_THROTTLE,
        throttleWriteBpsDevice=_THROTTLE,
        throttleReadIOPSDevice=_THROTTLE,
        throttleWriteIOPSDevice=_THROTTLE,
    ),
    hugepageLimits=_list(
        _object("pageSize limit", pageSize={"type": "string", "pattern": "^[1-9][0-9]*[KMG]B$"}, limit=UINT64)
    ),
    network=_object(classID=UINT32, priorities=_list(_object("name priority", name=TEXT, priority=UINT32))),
    rdma=_table(_object(hcaHandles=UINT32, hcaObjects=UINT32)),
    unified=_table(TEXT),
)
_SECCOMP = _object(
    "defaultAction",
    defaultAction=ACTION,
    defaultErrnoRet=UINT32,
    flags=_list({"type": "string", "pattern": "^SECCOMP_FILTER_FLAG_"}),
    listenerPath=PATH,
    listenerMetadata=TEXT,
    architectures=_list({"type": "string", "pattern": "^SCMP_ARCH_"}),
    syscalls=_list(
        _object(
            "names action",
            names={"type": "array", "items": TEXT, "minItems": 1},
            action=ACTION,
            errnoRet=UINT32,
            args=_list(_object("index value op", index=UINT32, value=UINT64, valueTwo=UINT64, op=OPERATOR)),
        )
    ),
)
_NAMESPACES = "mount pid network uts ipc user cgroup time".split()
_LINUX = _object(
    devices=_list(
        _object(
            "type path",
            type={"enum": ["c", "b", "u", "p"]},
            path=PATH,
            fileMode={"type": "integer", "minimum": 0, "maximum": 0o7777},
            major=NUMBER,
            minor=NUMBER,
            uid=UINT32,
            gid=UINT32,
        )
    ),
    uidMappings=ID_MAPPINGS,
    gidMappings=ID_MAPPINGS,
    namespaces=_list(_object("type", type={"enum": _NAMESPACES}, path=PATH)),
    resources=_RESOURCES,
    cgroupsPath=TEXT,
    rootfsPropagation={"enum": ["private", "shared", "slave", "unbindable"]},
    seccomp=_SECCOMP,
    sysctl=_table(TEXT),
    maskedPaths=_list(PATH),
    readonlyPaths=_list(PATH),
    mountLabel=TEXT,
    personality=_object("domain", domain={"enum": ["LINUX", "LINUX32"]}, flags=TEXTS),
    timeOffsets=_table(_object(secs=INT64, nanosecs=UINT32)),
)
CONFIG = _object(
    "ociVersion",
    ociVersion={"type": "string", "pattern": r"^1\.\d+\.\d+"},
    process=_PROCESS,
    root=_object("path", path=TEXT, readonly=FLAG),
    hostname=TEXT,
    domainname=TEXT,
    mounts=_MOUNTS,
    hooks=_object(
        prestart=HOOKS,
        createRuntime=HOOKS,
        createContainer=HOOKS,
        startContainer=HOOKS,
        poststart=HOOKS,
        poststop=HOOKS,
    ),
    annotations=_table(TEXT),
    linux=_LINUX,
)
