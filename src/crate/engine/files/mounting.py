"""`mount` and `unmount`: the files of containers and images at a place of the host, where any program reaches them.

    containers/<id>/merged              a container's
    <runroot>/image-mounts/<id>         an image's

A container that starts while it is mounted shares that mount (crate.engine.root_mount), since an overlay must not be
mounted twice.
"""

from __future__ import annotations

import os

from crate.engine.files.view import View
from crate.errors import HostError, StateError
from crate.linux import mount
from crate.storage import journal
from crate.storage.tree.walk import is_mount_point

TYPE_CHECKING = False
if TYPE_CHECKING:
    from crate.engine.containers import Container
    from crate.engine.context import Engine
    from crate.storage.image_record import ImageRecord

_MERGED = "merged"


def check_place(engine: Engine, words: str) -> None:
    """HostError for an ordinary user outside of `unshare`: the mounts would go with this process."""
    if engine.membership >= 0:
        raise HostError(
            f'cannot run command "crate {words}" in rootless mode, must execute `crate unshare` first',
            f"crate unshare crate {words}",
        )


def mount_container(engine: Engine, container: Container) -> str:
    """Where the container's files are mounted, made so if they were not. StateError, HostError."""
    directory = container.paths.directory
    place = f"{directory}/{_MERGED}"
    if is_mounted(directory, _MERGED):
        return place
    with View(engine, container, mounts=False) as root_fd:
        _attach(root_fd, place)
    journal.of_container(engine.roots, "mount", container.record)
    return place


def shared_mount(directory: str) -> int:
    """A detached copy of the mount of a container whose directory this is; -1 where it is not mounted."""
    if not is_mounted(directory, _MERGED):
        return -1
    fd = mount.open_tree(mount.AT_FDCWD, f"{directory}/{_MERGED}", mount.OPEN_TREE_CLONE)
    # Copied from a running container it may be read-only, which a start must be able to prepare before it makes it so.
    mount.mount_setattr(fd, "", mount.AT_EMPTY_PATH, 0, mount.MOUNT_ATTR_RDONLY)
    return fd


def unmount_container(engine: Engine, container: Container) -> bool:
    """Takes the mount away; False when there was none."""
    mounted = _detach(container.paths.directory, _MERGED)
    if mounted:
        journal.of_container(engine.roots, "unmount", container.record)
    return mounted


def mounted_containers(engine: Engine) -> list[tuple[Container, str]]:
    """The containers that are mounted, with the places."""
    from crate.engine import containers

    found = [(one, f"{one.paths.directory}/{_MERGED}") for one in containers.listing(engine)]
    return [(one, place) for one, place in found if is_mounted(one.paths.directory, _MERGED)]


def mount_image(engine: Engine, image: ImageRecord) -> str:
    """Where the image's files are mounted, read-only, made so if they were not. HostError, ImageError."""
    from crate.storage.rootfs import mount_layers

    directory = _image_mounts(engine)
    place = f"{directory}/{image['id']}"
    if not is_mounted(directory, image["id"]):
        os.makedirs(directory, 0o700, exist_ok=True)
        fd = mount_layers(engine.roots, image["layers"])
        try:
            _attach(fd, place)
        finally:
            os.close(fd)
    return place


def unmount_image(engine: Engine, image_id: str) -> bool:
    """Takes the mount away; False when there was none.

    A running container that has the image as a mount counts once, as in podman; what the container sees stays.
    """
    return _detach(_image_mounts(engine), image_id) or _count_off(engine, image_id)


def _count_off(engine: Engine, image_id: str) -> bool:
    """Notes, until their next start, that the running containers with this image as a mount were counted."""
    from crate.engine import containers

    counted = False
    for one in containers.listing(engine):
        if any(mount["image"] == image_id for mount in one.record.get("image_mounts") or ()):
            note = f"{one.paths.run_directory}/unmounted-{image_id}"
            if one.state(engine)["status"] in ("running", "paused") and not os.access(note, os.F_OK):
                os.close(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
                counted = True
    return counted


def mounted_images(engine: Engine) -> list[tuple[ImageRecord, str]]:
    """The images that are mounted, with the places."""
    from crate.storage import image_record

    directory = _image_mounts(engine)
    mounted = [name for name in _names(directory) if is_mounted(directory, name)]
    records = [(image_record.by_id(engine.roots, name), f"{directory}/{name}") for name in mounted]
    return [(record, place) for record, place in records if record]


def is_mounted(directory: str, name: str) -> bool:
    """Is something mounted on this entry of a directory?"""
    if not os.access(f"{directory}/{name}", os.F_OK):
        return False
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return is_mount_point(fd, name)
    finally:
        os.close(fd)


def _image_mounts(engine: Engine) -> str:
    return f"{engine.roots.runroot}/image-mounts"


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _attach(root_fd: int, place: str) -> None:
    try:
        os.mkdir(place, 0o700)
    except FileExistsError:
        pass
    try:
        mount.move_mount(root_fd, "", mount.AT_FDCWD, place, mount.MOVE_MOUNT_F_EMPTY_PATH)
    except OSError as error:
        raise HostError(f"cannot mount on {place}: {error.strerror}") from None


def _detach(directory: str, name: str) -> bool:
    mounted = is_mounted(directory, name)
    if mounted:
        try:
            mount.umount2(f"{directory}/{name}", mount.MNT_DETACH | mount.UMOUNT_NOFOLLOW)
        except OSError as error:
            raise StateError(f"cannot unmount {directory}/{name}: {error.strerror}") from None
    try:
        os.rmdir(f"{directory}/{name}")
    except OSError:
        pass  # there was none
    return mounted
