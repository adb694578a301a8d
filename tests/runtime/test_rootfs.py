"""The root file system: mounts, devices, masks, propagation, sysctls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundles import Bundle, Ran

    Run = Callable[[], Ran]

pytestmark = pytest.mark.requires("root", "runc", "busybox")


def mount_options(out: str, target: str) -> set[str]:
    """The options of the last mount upon `target` in the text of /proc/self/mountinfo."""
    lines = [line.split() for line in out.splitlines() if line.split()[4] == target]
    return set(lines[-1][5].split(","))


def test_read_only_root(bundle: Bundle, run: Run) -> None:
    bundle.spec["root"]["readonly"] = True
    bundle.shell("touch /x 2>/dev/null || echo refused")
    assert run().out == "refused\n"


def test_tmpfs_with_options(bundle: Bundle, run: Run) -> None:
    options = ["nosuid", "nodev", "noexec", "size=4096k", "mode=750"]
    bundle.spec["mounts"].append({"destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": options})
    bundle.shell("cat /proc/self/mountinfo; stat -c %a /t >&2")
    ran = run()
    assert mount_options(ran.out, "/t") >= {"nosuid", "nodev", "noexec", "rw"}
    assert "size=4096k" in next(line for line in ran.out.splitlines() if " /t " in line)
    assert ran.err.strip() == "750"


@pytest.mark.parametrize("option", ["ro", "rw"])
def test_bind_of_a_directory(bundle: Bundle, run: Run, option: str) -> None:
    host = bundle.place / "host"
    host.mkdir()
    entry = {"destination": "/deep/er", "type": "bind", "source": str(host), "options": ["rbind", option]}
    bundle.spec["mounts"].append(entry)
    bundle.shell("touch /deep/er/file 2>/dev/null || echo refused")
    assert run().out == ("refused\n" if option == "ro" else "")
    assert (host / "file").exists() == (option == "rw")


def test_bind_of_a_file(bundle: Bundle, run: Run) -> None:
    host = bundle.place / "host"
    host.write_text("from the host\n")
    entry = {"destination": "/etc/it", "type": "bind", "source": str(host), "options": ["bind", "ro"]}
    bundle.spec["mounts"].append(entry)
    bundle.process["args"] = ["cat", "/etc/it"]
    assert run().out == "from the host\n"


def test_mount_through_a_symbolic_link_stays_inside(bundle: Bundle, run: Run) -> None:
    outside = bundle.place / "outside"
    outside.mkdir()
    (bundle.rootfs / "link").symlink_to("/../../../../../.." + str(outside))
    bundle.spec["mounts"].append({"destination": "/link/here", "type": "tmpfs", "source": "tmpfs"})
    bundle.process["args"] = ["true"]
    assert run().status == 0
    assert not list(outside.iterdir())


def test_proc_upon_a_symbolic_link_is_refused(bundle: Bundle, crate_run: Run) -> None:
    (bundle.rootfs / "elsewhere").mkdir()
    (bundle.rootfs / "proc").symlink_to("elsewhere")
    ran = crate_run()
    assert ran.status == 125
    assert "/proc" in ran.err


def test_masked_and_read_only_paths(bundle: Bundle, run: Run) -> None:
    (bundle.rootfs / "secrets").mkdir()
    (bundle.rootfs / "secrets/key").write_text("key")
    (bundle.rootfs / "secret").write_text("secret")
    (bundle.rootfs / "fixed").mkdir()
    bundle.linux["maskedPaths"] = ["/secrets", "/secret", "/not/there"]
    bundle.linux["readonlyPaths"] = ["/fixed", "/not/there"]
    bundle.shell("ls /secrets; cat /secret; touch /secrets/x /fixed/x 2>/dev/null || echo refused")
    assert run().out == "refused\n"


def test_default_devices(bundle: Bundle, run: Run) -> None:
    links = "for l in fd stdin stdout stderr ptmx; do readlink $l; done"
    bundle.shell(f"cd /dev; stat -c '%n %t %T %a' null zero full random urandom tty; {links}")
    assert run().out.splitlines() == [
        "null 1 3 666", "zero 1 5 666", "full 1 7 666", "random 1 8 666", "urandom 1 9 666", "tty 5 0 666",
        "/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx",
    ]  # fmt: skip


def test_devices_of_the_spec(bundle: Bundle, run: Run) -> None:
    device = {"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 0, "gid": 8}
    bundle.linux["devices"] = [device]
    rules = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"}]
    bundle.linux["resources"] = {"devices": rules}
    bundle.shell("stat -c '%t %T %a %u %g' /dev/mine; head -c 2 /dev/mine | wc -c")
    assert run().out.split() == ["1", "5", "640", "0", "8", "2"]


def test_device_that_is_not_allowed(bundle: Bundle, run: Run) -> None:
    bundle.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    bundle.linux["devices"] = [{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}]
    bundle.shell("head -c 1 /dev/kmsg 2>&1 | grep -c 'not permitted'; head -c 3 /dev/zero | wc -c")
    assert run().out.split() == ["1", "3"]


def test_sysctl(bundle: Bundle, run: Run) -> None:
    bundle.linux["sysctl"] = {"net.ipv4.ip_default_ttl": "99", "kernel.msgmax": "9000"}
    bundle.process["args"] = ["cat", "/proc/sys/net/ipv4/ip_default_ttl", "/proc/sys/kernel/msgmax"]
    assert run().out.split() == ["99", "9000"]


def test_nothing_is_mounted_on_the_host(bundle: Bundle, run: Run) -> None:
    bundle.process["args"] = ["true"]
    assert run().status == 0
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert str(bundle.place) not in file.read()


@pytest.mark.parametrize(("propagation", "shown"), [("private", ""), ("shared", "shared:"), ("slave", "")])
def test_propagation_of_the_root(bundle: Bundle, crate_run: Run, propagation: str, shown: str) -> None:
    bundle.linux["rootfsPropagation"] = propagation
    bundle.shell("grep ' / / \\| /rootfs / \\|rootfs / ' /proc/self/mountinfo | head -1")
    ran = crate_run()
    assert ran.status == 0
    assert ("shared:" in ran.out) == bool(shown)
