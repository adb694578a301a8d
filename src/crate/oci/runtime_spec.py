"""The OCI runtime specification, 1.2: the shapes of config.json, and the fields that crate knows but does not have.

Hot modules import the types under `if TYPE_CHECKING:` alone; `check_supported` is what runs. Every key of a shape is
optional unless the specification requires it.
"""

from __future__ import annotations

from crate.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Required, TypedDict

    class Box(TypedDict):
        height: int
        width: int

    class User(TypedDict, total=False):
        uid: Required[int]
        gid: Required[int]
        umask: int
        additionalGids: list[int]

    class LinuxCapabilities(TypedDict, total=False):
        bounding: list[str]
        effective: list[str]
        inheritable: list[str]
        permitted: list[str]
        ambient: list[str]

    class POSIXRlimit(TypedDict):
        type: str
        hard: int
        soft: int

    class Process(TypedDict, total=False):
        terminal: bool
        consoleSize: Box
        user: Required[User]
        args: list[str]
        env: list[str]
        cwd: Required[str]
        capabilities: LinuxCapabilities
        rlimits: list[POSIXRlimit]
        noNewPrivileges: bool
        apparmorProfile: str
        oomScoreAdj: int
        scheduler: dict[str, Any]
        selinuxLabel: str
        ioPriority: dict[str, Any]
        execCPUAffinity: dict[str, Any]

    class Root(TypedDict, total=False):
        path: Required[str]
        readonly: bool

    class LinuxIDMapping(TypedDict):
        containerID: int
        hostID: int
        size: int

    class Mount(TypedDict, total=False):
        destination: Required[str]
        type: str
        source: str
        options: list[str]
        uidMappings: list[LinuxIDMapping]
        gidMappings: list[LinuxIDMapping]

    class Hook(TypedDict, total=False):
        path: Required[str]
        args: list[str]
        env: list[str]
        timeout: int

    class Hooks(TypedDict, total=False):
        prestart: list[Hook]
        createRuntime: list[Hook]
        createContainer: list[Hook]
        startContainer: list[Hook]
        poststart: list[Hook]
        poststop: list[Hook]

    class LinuxNamespace(TypedDict, total=False):
        type: Required[str]
        path: str

    class LinuxTimeOffset(TypedDict, total=False):
        secs: int
        nanosecs: int

    class LinuxDevice(TypedDict, total=False):
        path: Required[str]
        type: Required[str]
        major: int
        minor: int
        fileMode: int
        uid: int
        gid: int

    class LinuxDeviceCgroup(TypedDict, total=False):
        allow: Required[bool]
        type: str
        major: int
        minor: int
        access: str

    class LinuxMemory(TypedDict, total=False):
        limit: int
        reservation: int
        swap: int
        kernel: int
        kernelTCP: int
        swappiness: int
        disableOOMKiller: bool
        useHierarchy: bool
        checkBeforeUpdate: bool

    class LinuxCPU(TypedDict, total=False):
        shares: int
        quota: int
        burst: int
        period: int
        realtimeRuntime: int
        realtimePeriod: int
        cpus: str
        mems: str
        idle: int

    class LinuxPids(TypedDict):
        limit: int

    class LinuxWeightDevice(TypedDict, total=False):
        major: Required[int]
        minor: Required[int]
        weight: int
        leafWeight: int

    class LinuxThrottleDevice(TypedDict):
        major: int
        minor: int
        rate: int

    class LinuxBlockIO(TypedDict, total=False):
        weight: int
        leafWeight: int
        weightDevice: list[LinuxWeightDevice]
        throttleReadBpsDevice: list[LinuxThrottleDevice]
        throttleWriteBpsDevice: list[LinuxThrottleDevice]
        throttleReadIOPSDevice: list[LinuxThrottleDevice]
        throttleWriteIOPSDevice: list[LinuxThrottleDevice]

    class LinuxHugepageLimit(TypedDict):
        pageSize: str
        limit: int

    class LinuxInterfacePriority(TypedDict):
        name: str
        priority: int

    class LinuxNetwork(TypedDict, total=False):
        classID: int
        priorities: list[LinuxInterfacePriority]

    class LinuxRdma(TypedDict, total=False):
        hcaHandles: int
        hcaObjects: int

    class LinuxResources(TypedDict, total=False):
        devices: list[LinuxDeviceCgroup]
        memory: LinuxMemory
        cpu: LinuxCPU
        pids: LinuxPids
        blockIO: LinuxBlockIO
        hugepageLimits: list[LinuxHugepageLimit]
        network: LinuxNetwork
        rdma: dict[str, LinuxRdma]
        unified: dict[str, str]

    class LinuxSeccompArg(TypedDict, total=False):
        index: Required[int]
        value: Required[int]
        valueTwo: int
        op: Required[str]

    class LinuxSyscall(TypedDict, total=False):
        names: Required[list[str]]
        action: Required[str]
        errnoRet: int
        args: list[LinuxSeccompArg]

    class LinuxSeccomp(TypedDict, total=False):
        defaultAction: Required[str]
        defaultErrnoRet: int
        architectures: list[str]
        flags: list[str]
        listenerPath: str
        listenerMetadata: str
        syscalls: list[LinuxSyscall]

    class LinuxPersonality(TypedDict, total=False):
        domain: Required[str]
        flags: list[str]

    class Linux(TypedDict, total=False):
        uidMappings: list[LinuxIDMapping]
        gidMappings: list[LinuxIDMapping]
        sysctl: dict[str, str]
        resources: LinuxResources
        cgroupsPath: str
        namespaces: list[LinuxNamespace]
        devices: list[LinuxDevice]
        seccomp: LinuxSeccomp
        rootfsPropagation: str
        maskedPaths: list[str]
        readonlyPaths: list[str]
        mountLabel: str
        intelRdt: dict[str, Any]
        personality: LinuxPersonality
        timeOffsets: dict[str, LinuxTimeOffset]

    class Spec(TypedDict, total=False):
        ociVersion: Required[str]
        process: Process
        root: Root
        hostname: str
        domainname: str
        mounts: list[Mount]
        hooks: Hooks
        annotations: dict[str, str]
        linux: Linux


# Path of the object in config.json → the fields that mean something crate would have to do and does not.
_REFUSED = {
    "": ("solaris", "windows", "vm", "zos", "freebsd"),
    "process": ("apparmorProfile", "selinuxLabel", "scheduler", "ioPriority", "execCPUAffinity", "commandLine"),
    "linux": ("mountLabel", "intelRdt", "netDevices", "memoryPolicy"),
}


def check_supported(spec: Mapping[str, Any]) -> None:
    """Refuses a bundle that asks for what crate knows but does not have; a field it does not know is ignored.

    UsageError names the field. Empty fields ask for nothing. Major version 1 of the specification is understood.
    """
    version = spec.get("ociVersion")
    if not isinstance(version, str) or version.partition(".")[0] != "1":
        raise UsageError(f"cannot use config.json: ociVersion {version!r} is not of major version 1")
    for path, fields in _REFUSED.items():
        table: Any = spec
        for name in path.split(".") if path else ():
            table = table.get(name) or {}
        for field in fields:
            if table.get(field):
                raise UsageError(f"cannot use config.json: {path}{'.' if path else ''}{field} is not supported")
