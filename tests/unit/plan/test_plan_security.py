"""Seccomp profiles resolved for a container, and what --security-opt hides and shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from crate.errors import UsageError
from crate.plan.seccomp_profile import default_profile, read_profile
from crate.settings import Settings
from crate.settings.defaults import CAPABILITIES
from unit.plan.plan_cases import DIRECTORY, MemoryHost, make

if TYPE_CHECKING:
    from crate.oci.runtime_spec import LinuxSeccomp

AF_ALG, AF_VSOCK = 38, 40


def allowed(profile: LinuxSeccomp) -> set[str]:
    """The calls that are allowed whatever their arguments."""
    return {
        name
        for rule in profile["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args")
        for name in rule["names"]
    }


def test_default_profile() -> None:
    profile = default_profile(list(CAPABILITIES), "x86_64", "6.1.0-18-amd64")
    assert (profile["defaultAction"], profile["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)
    assert profile["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    calls = allowed(profile)
    assert {"read", "chroot", "ptrace", "arch_prctl", "modify_ldt", "cachestat", "landlock_add_rule"} <= calls
    forbidden = {"clone", "clone3", "unshare", "mount", "io_uring_setup", "socket", "personality", "bpf", "keyctl"}
    assert not forbidden & calls
    assert len(calls) > 350


def test_default_profile_names_the_families_of_sockets() -> None:
    rules = [rule for rule in default_profile([], "x86_64", "6.1")["syscalls"] if rule["names"] == ["socket"]]
    (below,) = [rule["args"][0]["value"] for rule in rules if rule["args"][0]["op"] == "SCMP_CMP_LT"]
    families = {*range(below), *(rule["args"][0]["value"] for rule in rules if rule["args"][0]["op"] == "SCMP_CMP_EQ")}
    assert {1, 2, 10, 16, 17} <= families  # UNIX, INET, INET6, NETLINK, PACKET
    assert not {AF_ALG, AF_VSOCK} & families


@pytest.mark.parametrize(
    ("capability", "calls"),
    [
        ("CAP_SYS_ADMIN", {"clone", "clone3", "mount", "unshare", "bpf"}),
        ("CAP_SYS_TIME", {"settimeofday"}),
        ("CAP_SYS_MODULE", {"init_module"}),
        ("CAP_SYSLOG", {"syslog"}),
        ("CAP_DAC_READ_SEARCH", {"open_by_handle_at"}),
    ],
)
def test_capability_opens_its_calls(capability: str, calls: set[str]) -> None:
    assert calls <= allowed(default_profile([capability], "x86_64", "6.1"))
    assert not calls & allowed(default_profile([], "x86_64", "6.1"))


def test_default_profile_of_other_machines() -> None:
    assert "ptrace" not in allowed(default_profile([], "x86_64", "4.7.10"))
    assert "cacheflush" in allowed(default_profile([], "aarch64", "6.1"))
    (clone,) = [rule for rule in default_profile([], "s390x", "6.1")["syscalls"] if rule["names"] == ["clone"]]
    assert clone["args"][0]["index"] == 1
    assert "architectures" not in default_profile([], "loongarch64", "6.1")


def rule(name: str, **conditions: Any) -> dict[str, Any]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", **conditions}


PROFILE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": None},
    ],
    "syscalls": [
        rule("always"),
        rule("with-cap", includes={"caps": ["CAP_KILL"]}),
        rule("with-two-caps", includes={"caps": ["CAP_KILL", "CAP_BPF"]}),
        rule("without-cap", excludes={"caps": ["CAP_KILL"]}),
        rule("on-amd64", includes={"arches": ["amd64", "x32"]}),
        rule("not-on-amd64", excludes={"arches": ["amd64"]}),
        rule("new-kernel", includes={"minKernel": "6.2"}),
        rule("old-kernel", excludes={"minKernel": "6.2"}),
        {"name": "old-style", "action": "SCMP_ACT_ALLOW", "args": None},
    ],
}


def test_profile_in_dockers_form() -> None:
    text = json.dumps(PROFILE)
    resolved = read_profile(text, "p", ["CAP_KILL"], "x86_64", "6.1.0-18-amd64")
    assert resolved["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert resolved["defaultErrnoRet"] == 38
    assert allowed(resolved) == {"always", "with-cap", "on-amd64", "old-kernel", "old-style"}
    other = read_profile(text, "p", [], "aarch64", "6.10.1")
    assert other["architectures"] == ["SCMP_ARCH_AARCH64"]
    assert allowed(other) == {"always", "without-cap", "not-on-amd64", "new-kernel", "old-style"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "decoding seccomp profile p failed: "),
        ("[]", "defaultAction is missing"),
        ("{}", "defaultAction is missing"),
        ('{"defaultAction": "x", "architectures": ["a"], "archMap": [{}]}', "both 'architectures' and 'archMap'"),
        ('{"defaultAction": "x", "syscalls": [{"action": "y"}]}', "lacks its names or its action"),
        ('{"defaultAction": "x", "syscalls": [{"names": ["y"]}]}', "lacks its names or its action"),
    ],
)
def test_profile_that_is_none(text: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_profile(text, "p", [], "x86_64", "6.1")
    assert words in refused.value.message


def test_which_profile_is_taken() -> None:
    host = MemoryHost()
    host.files["/own.json"] = '{"defaultAction": "SCMP_ACT_ALLOW"}'
    own: LinuxSeccomp = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}
    default = make()["spec"]["linux"]["seccomp"]
    assert make(host=host, security_opt=["seccomp=/own.json"])["spec"]["linux"]["seccomp"] == own
    assert make(host=host, security_opt=["seccomp:/own.json"])["spec"]["linux"]["seccomp"] == own
    settings = Settings({"containers.seccomp_profile": ("/own.json", "f")})
    assert make(host=host, settings=settings)["spec"]["linux"]["seccomp"] == own
    builtin = make(host=host, settings=settings, security_opt=["seccomp=builtin"])
    assert builtin["spec"]["linux"]["seccomp"] == default
    assert "seccomp" not in make(security_opt=["seccomp=unconfined"])["spec"]["linux"]
    assert "seccomp" not in make(privileged=True)["spec"]["linux"]
    assert make(privileged=True, security_opt=["seccomp=builtin"])["spec"]["linux"]["seccomp"]


@pytest.mark.parametrize(
    ("options", "masked", "read_only"),
    [
        (["systempaths=unconfined"], set(), set()),
        (["unmask=ALL"], set(), set()),
        (["unmask=/proc/*:/sys/*"], {"/sys/devices/virtual/powercap"}, set()),
        (
            ["unmask=/proc/*", "mask=/proc/kcore"],
            {"/proc/kcore", "/sys/devices/virtual/powercap", "/sys/firmware"},
            set(),
        ),
    ],
)
def test_hidden_paths(options: list[str], masked: set[str], read_only: set[str]) -> None:
    linux = make(security_opt=options)["spec"]["linux"]
    assert (set(linux["maskedPaths"]), set(linux["readonlyPaths"])) == (masked, read_only)


def test_what_tells_of_the_hosts_processors_is_hidden() -> None:
    host = MemoryHost()
    here = "/sys/devices/system/cpu"
    host.paths |= {f"{here}/cpu0/thermal_throttle": DIRECTORY}
    host.paths |= {f"{here}/{name}": DIRECTORY for name in ("cpu0", "cpu1", "cpu10", "cpufreq")}
    masked = set(make(host=host)["spec"]["linux"]["maskedPaths"])
    assert {path for path in masked if path.startswith(here)} == {
        f"{here}/{name}/thermal_throttle" for name in ("cpu0", "cpu1", "cpu10")
    }
    assert "/proc/interrupts" in masked
    assert make(host=host, privileged=True)["spec"]["linux"]["maskedPaths"] == []


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("no-new-privileges", True),
        ("no-new-privileges=true", True),
        ("no-new-privileges:false", False),
        ("label=disable", False),
        ("label:type:svirt_t", False),
        ("apparmor=unconfined", False),
    ],
)
def test_no_new_privileges(option: str, expected: bool) -> None:
    assert make(security_opt=[option])["spec"]["process"]["noNewPrivileges"] is expected
