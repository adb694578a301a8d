"""The root filesystem of a container: its image's layers and its own upper layer, as one detached mount.

Three ways, by what the kernel can do; each gives the same overlay:

    lowerdir+   one fsconfig(2) a layer (Linux 6.7)                 up to 500 layers
    lowerdir    one fsconfig(2) string of at most 255 bytes         some 40 layers, by their aliases
    mount(2)    one page of options, then open_tree(2) detaches it  up to 500 layers, by their aliases

What is not needed every time (vfs, merging of more than 500 layers) is in modules of its own.
"""

from __future__ import annotations

import os
from errno import EINVAL, ENODEV, ENOENT, EPERM

from crate.errors import HostError, ImageError
from crate.linux import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from crate.ns.idmap import Ids
    from crate.storage.roots import Roots

LAYERS_MAX = 500  # OVL_MAX_STACK
_STRING_MAX = 255  # fsconfig(2)
_PAGE_MAX = 4095  # mount(2)
# Stated, because module parameters set the defaults: an upper layer that is moved, exported or read without its lowers
# must hold whole files under their own names, and no image may redirect a lookup.
_OPTIONS = (("index", "off"), ("redirect_dir", "nofollow"), ("metacopy", "off"))


def mount_rootfs(
    roots: Roots, container_dir: str, layers: Sequence[str], *, volatile: bool, ids: Ids | None = None
) -> int:
    """A descriptor of the container's root filesystem, a detached mount: writable, changes go to `container_dir`/upper.

    `layers` are chain ids, bottom first. `volatile` never waits for the disk: for containers that a power cut may
    take. `ids` are the maps of a user namespace, in which the layers belong to whom they belong to in the image. Never
    mount one container twice at a time. Raises ImageError where a layer is missing, HostError.
    """
    if roots.driver != "overlay":
        from crate.storage import driver

        chosen = driver.choose(roots)
        if chosen == "vfs":
            from crate.storage.vfs import mount_copy

            return mount_copy(roots, container_dir, layers, ids)
        if chosen == "fuse-overlayfs":
            return _mount_fuse(roots, container_dir, layers, ids)
    if not layers:
        # An overlay wants a lower layer: an image of none has an empty one.
        lowers = [empty_layer(roots)]
    else:
        lowers = _lower_layers(roots, layers)
    try:
        if ids:
            from crate.storage import shifted

            fd = shifted.with_mapped_layers(roots, ids, lambda: _mount_again(roots, lowers, container_dir, volatile))
            if fd >= 0:
                return fd
            lowers = [shifted.copied(roots, layers, ids)]
        return _mount_again(roots, lowers, container_dir, volatile)
    except OSError as error:
        raise _explain(error, container_dir) from None


def _mount_fuse(roots: Roots, container_dir: str, layers: Sequence[str], ids: Ids | None) -> int:
    from crate.storage.fuse_overlay import mount_fuse

    try:
        if ids:
            from crate.storage.shifted import copied

            lowers = [copied(roots, layers, ids)]
        else:
            lowers = _lower_layers(roots, layers) if layers else [empty_layer(roots)]
        names = [_alias_of(roots, lower) for lower in lowers]
        return mount_fuse(names, f"{roots.graphroot}/layers", container_dir)
    except OSError as error:
        raise _explain(error, container_dir) from None


def _alias_of(roots: Roots, lower: str) -> str:
    """As `_alias`, from anywhere."""
    chain, _, kind = lower.partition("/")
    if kind != "diff":
        return lower
    try:
        return os.readlink(f"{roots.graphroot}/layers/{chain}/alias")
    except OSError as error:
        raise FileNotFoundError(ENOENT, os.strerror(ENOENT), lower) from error


def _mount_again(roots: Roots, lowers: list[str], container_dir: str, volatile: bool) -> int:
    """Mounts it, which may have been mounted `volatile` before."""
    try:
        return _mount(roots, lowers, container_dir, volatile)
    except OSError as error:
        if error.errno != EINVAL or not _forget_volatile(f"{container_dir}/work"):
            raise
    return _mount(roots, lowers, container_dir, volatile)


def _forget_volatile(work: str) -> bool:
    """Lets a work directory be used again that `volatile` marked: the kernel refuses it, as a power cut may have been.

    The run root says that none was: after a reboot a container that was mounted so is not there any more.
    """
    try:
        os.unlink(f"{work}/work/incompat/volatile/dirty")
        os.rmdir(f"{work}/work/incompat/volatile")
    except OSError:
        return False
    return True


def mount_layers(roots: Roots, layers: Sequence[str], ids: Ids | None = None) -> int:
    """A descriptor of an image's files, a detached read-only mount. Raises as `mount_rootfs`."""
    if ids and layers:
        from crate.storage.shifted import copied

        try:
            return clone_read_only(f"{roots.graphroot}/layers/{copied(roots, layers, ids)}")
        except OSError as error:
            raise _explain(error, "the image") from None
    if roots.driver != "overlay":
        from crate.storage import driver

        if driver.choose(roots) != "overlay":
            from crate.storage.vfs import mount_flat

            return mount_flat(roots, layers)
    if not layers:
        return clone_read_only(f"{roots.graphroot}/layers/{empty_layer(roots)}")
    lowers = _lower_layers(roots, layers)
    if len(lowers) == 1:
        lowers.append(empty_layer(roots))  # an overlay without an upper layer wants two lower ones
    try:
        return _mount(roots, lowers, None, False)
    except OSError as error:
        raise _explain(error, "the image") from None


def mount_upon(roots: Roots, container_dir: str, directory: str, *, volatile: bool) -> int:
    """As `mount_rootfs`, upon a directory of the host's that is no layer, and stays as it is."""
    try:
        return _mount(roots, [directory], container_dir, volatile)
    except OSError as error:
        raise _explain(error, container_dir) from None


def clone_read_only(path: str) -> int:
    """A detached, read-only bind mount of a directory."""
    fd = mount.open_tree(mount.AT_FDCWD, path, mount.OPEN_TREE_CLONE)
    try:
        mount.mount_setattr(fd, "", mount.AT_EMPTY_PATH, mount.MOUNT_ATTR_RDONLY)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _lower_layers(roots: Roots, layers: Sequence[str]) -> list[str]:
    """Paths of the layers beneath `<graphroot>/layers`, the top one first, as overlay wants them."""
    lowers = [f"{chain}/diff" for chain in reversed(layers)]
    if len(lowers) > LAYERS_MAX:
        from crate.storage.merge import flatten

        kept = LAYERS_MAX - 1
        lowers[kept:] = [flatten(roots, layers[: len(layers) - kept])]
    return lowers


def empty_layer(roots: Roots) -> str:
    """The name of an empty layer."""
    path = f"{roots.graphroot}/layers/empty"
    if not os.access(path, os.F_OK):
        try:
            os.mkdir(path, 0o755)
            os.chmod(path, 0o755)
        except FileExistsError:
            pass
    return "empty"


def _mount(roots: Roots, lowers: list[str], container_dir: str | None, volatile: bool) -> int:
    options = [("userxattr", "")] if roots.rootless else []
    options += _OPTIONS
    if volatile and kernel() >= (5, 10):
        options.append(("volatile", ""))
    fds = [_working_directory()]
    try:
        if container_dir:
            place = container_dir
            if len(place) > _STRING_MAX - 8 or "," in place or "\\" in place:
                fds.append(os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
                place = f"/proc/self/fd/{fds[1]}"
            options += (("upperdir", f"{place}/upper"), ("workdir", f"{place}/work"))
        # Relative paths of the layers keep the options short, whatever the graph root is called.
        os.chdir(f"{roots.graphroot}/layers")
        try:
            return _mount_here(roots, lowers, options, container_dir)
        finally:
            os.fchdir(fds[0])
    finally:
        for fd in fds:
            os.close(fd)


def _working_directory() -> int:
    """Where to go back to: not where this user may not be, as after `sudo -u USER` in another one's home."""
    try:
        return os.open(".", os.O_PATH | os.O_CLOEXEC)
    except PermissionError:
        return os.open("/", os.O_PATH | os.O_CLOEXEC)


def _mount_here(roots: Roots, lowers: list[str], options: list[tuple[str, str]], container_dir: str | None) -> int:
    """Mounts by the best way that this kernel and the number of layers leave; the working directory is `layers`."""
    if kernel() >= (6, 5):
        try:
            return mount_one_by_one(lowers, options)
        except OSError as error:
            # Linux 6.5 and 6.6 have the new interface, but not this parameter; no other error names it.
            if error.errno != EINVAL or not str(error.filename).startswith("lowerdir+"):
                raise
    aliases = ":".join(_alias(lower) for lower in lowers)
    if len(aliases) <= _STRING_MAX:
        return mount_one_string(aliases, options)
    if container_dir:
        merged = f"{container_dir}/merged"
        try:
            os.mkdir(merged, 0o700)
        except FileExistsError:
            pass
        return mount_one_page(aliases, options, merged)
    from crate.storage import staging

    merged = staging.make(roots, os.urandom(4).hex())
    try:
        return mount_one_page(aliases, options, merged)
    finally:
        os.rmdir(merged)


def kernel() -> tuple[int, int]:
    """The version of the running kernel."""
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int(minor.partition("-")[0])


def mount_one_by_one(lowers: Sequence[str], options: Sequence[tuple[str, str]]) -> int:
    """The overlay by `lowerdir+`. Relative paths are taken from the working directory."""
    return _fsmount([("lowerdir+", lower) for lower in lowers], options)


def mount_one_string(lowers: str, options: Sequence[tuple[str, str]]) -> int:
    """The overlay by one fsconfig(2) `lowerdir`, of at most 255 bytes."""
    return _fsmount([("lowerdir", lowers)], options)


def _fsmount(lowers: Sequence[tuple[str, str]], options: Sequence[tuple[str, str]]) -> int:
    fs_fd = mount.fsopen("overlay")
    try:
        mount.fsconfig_set_string(fs_fd, "source", "overlay")
        for key, value in (*lowers, *options):
            if value:
                mount.fsconfig_set_string(fs_fd, key, value)
            else:
                mount.fsconfig_set_flag(fs_fd, key)
        mount.fsconfig_create(fs_fd)
        return mount.fsmount(fs_fd)
    finally:
        os.close(fs_fd)


def mount_one_page(lowers: str, options: Sequence[tuple[str, str]], merged: str) -> int:
    """The overlay by mount(2), which has no detached mounts: it is made on `merged`, cloned, and taken away again.

    A process killed in between leaves the mount on `merged`; crate.storage.trash knows of it.
    """
    data = ",".join([f"lowerdir={lowers}", *(f"{key}={value}" if value else key for key, value in options)])
    if len(os.fsencode(data)) > _PAGE_MAX:
        raise HostError(
            f"cannot mount {lowers.count(':') + 1} layers: their paths exceed a page", "use a shorter --root"
        )
    mount.mount("overlay", merged, "overlay", 0, data)
    try:
        return mount.open_tree(mount.AT_FDCWD, merged, mount.OPEN_TREE_CLONE)
    finally:
        mount.umount2(merged, mount.MNT_DETACH | mount.UMOUNT_NOFOLLOW)


def _alias(lower: str) -> str:
    """The short name of a layer beneath `layers`: crate.storage.layers makes the links."""
    chain, _, kind = lower.partition("/")
    if kind != "diff":
        return lower
    try:
        return os.readlink(f"{chain}/alias")
    except OSError as error:
        raise FileNotFoundError(ENOENT, os.strerror(ENOENT), lower) from error


def _explain(error: OSError, place: str) -> HostError | ImageError:
    if error.errno == ENOENT and error.filename:
        layer = str(error.filename).rpartition("=")[2].partition("/")[0]
        if len(layer) == 64:
            return ImageError(f"layer {layer[:12]} of the image is missing", "pull the image again")
    hints = {
        ENODEV: "load the kernel's overlay module (modprobe overlay), or set storage.driver to vfs; see crate doctor",
        EPERM: "mounting an overlay needs root, or a user namespace on Linux 5.11 or later; see crate doctor",
    }
    return HostError(f"cannot mount the root filesystem of {place}: {error.strerror}", hints.get(error.errno or 0))
