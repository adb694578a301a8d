"""Limits on block devices: --blkio-weight, --blkio-weight-device and the four --device-read/write-bps/iops."""

from __future__ import annotations

import stat

from crate.errors import UsageError
from crate.plan.quantities import integer, size_bytes
from crate.plan.refusal import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.oci.runtime_spec import LinuxBlockIO, LinuxThrottleDevice
    from crate.plan.host import Host
    from crate.plan.shapes import Options


def make_block_io(options: Options, host: Host) -> LinuxBlockIO:
    """`linux.resources.blockIO`."""
    block_io: LinuxBlockIO = {}
    if options.get("blkio_weight") is not None:
        weight = integer("blkio-weight", options["blkio_weight"], 16, signed=False)
        if weight and not 10 <= weight <= 1000:
            raise UsageError("range of blkio weight is from 10 to 1000")
        if weight:
            block_io["weight"] = weight
    for text in options.get("blkio_weight_device") or ():
        path, value = _split("blkio-weight-device", text, host)
        weight = integer("blkio-weight-device", value, 16, signed=False)
        if weight and not 10 <= weight <= 1000:
            raise invalid("blkio-weight-device", text, f"invalid weight for device: {text}")
        major, minor = _numbers(path, host)
        block_io.setdefault("weightDevice", []).append({"major": major, "minor": minor, "weight": weight})
    for kind in ("bps", "iops"):
        for way in ("read", "write"):
            entries = [
                _throttle(f"device-{way}-{kind}", text, host) for text in options.get(f"device_{way}_{kind}") or ()
            ]
            if entries:
                key = f"throttle{way.title()}{'Bps' if kind == 'bps' else 'IOPS'}Device"
                block_io[key] = entries  # type: ignore[literal-required]
    return block_io


def _throttle(option: str, text: str, host: Host) -> LinuxThrottleDevice:
    path, value = _split(option, text, host)
    rate = size_bytes(option, value) if option.endswith("bps") else integer(option, value, signed=False)
    major, minor = _numbers(path, host)
    return {"major": major, "minor": minor, "rate": rate}


def _split(option: str, text: str, host: Host) -> tuple[str, str]:
    path, colon, value = text.partition(":")
    if not colon or not value:
        raise invalid(option, text, f"bad format: {text}", "write it as /dev/NAME:VALUE")
    if not path.startswith("/dev/"):
        raise invalid(option, text, f"bad format for device path: {text}")
    return path, value


def _numbers(path: str, host: Host) -> tuple[int, int]:
    from os import major, minor

    status = host.stat(path)
    if status is None:
        raise UsageError(f"cannot limit {path}: no such file or directory")
    if not stat.S_ISBLK(status.st_mode):
        raise UsageError(f"cannot limit {path}: not a block device")
    return major(status.st_rdev), minor(status.st_rdev)
