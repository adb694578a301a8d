"""The shapes of a plan, for type checkers alone: no module imports this at run time."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from crate.oci.runtime_spec import LinuxIDMapping, Spec

Options = dict[str, Any]


class Place(TypedDict):
    """Where the container is going to be: its id, its directory, the directory of all volumes."""

    id: str
    directory: str
    volumes: str


class Port(TypedDict):
    """A published port. `host_ip` empty: every address; `host_port` 0: one that is free."""

    host_ip: str
    host_port: int
    host_port_last: NotRequired[int]  # the first that is free of host_port to this one
    container_port: int
    protocol: str


class Attachment(TypedDict):
    """What a container asks of one network."""

    network: str
    ip: str
    ip6: str
    mac: str
    aliases: list[str]
    interface: str
    rates: NotRequired[list[str]]  # as --network-rate takes them


class NetworkRequest(TypedDict):
    """What `net.sandbox.prepare` takes. `options` are those of pasta and the like.

    `networks` are what it is attached to, the first one first: several for `bridge`, one without a name for pasta and
    slirp4netns, none for the modes whose namespace is another's, or has nothing in it.
    """

    mode: str
    networks: list[Attachment]
    ports: list[Port]
    hostname: str
    container: NotRequired[str]
    path: NotRequired[str]
    options: NotRequired[str]


class Volume(TypedDict):
    """A volume to create unless it exists. `mount` is its place in `spec["mounts"]`."""

    name: str
    anonymous: bool
    destination: str
    driver: str
    options: dict[str, str]
    labels: dict[str, str]
    copy: bool
    chown: bool
    mount: int


class Files(TypedDict):
    """What the container's own /etc files are made of; None: the image's file stays."""

    hostname: str
    domainname: str
    hosts: list[str] | None
    dns: list[str]
    dns_search: list[str]
    dns_options: list[str]


class Slot(TypedDict, total=False):
    """What only the act can tell. `slot` is its kind:

    user        `user` (`NAME|UID[:GROUP|GID]`, empty: root) and `groups` → process.user; with `home` also HOME of the
                environment. Both are looked up in the root filesystem.
    account     `entries` as in passwd(5), added to the root filesystem's /etc/passwd unless their ids are there
    namespace   the `type` namespace of `container` → the path of entry `index` of linux.namespaces
    shm         /dev/shm of `container` → the source of entry `index` of mounts
    file        `file` (hosts, hostname, resolv.conf) in the directory of `container` → the source of entry `index`
    image       the layers of the image that entry `index` of mounts has as its source → the record's `image_mounts`
    sandbox     the program of a pod's sandbox → its root filesystem
    volumes_from  the binds and volumes of `container` whose destination is free → more mounts, `read_only` or as there
    """

    slot: str
    user: str
    groups: list[str]
    entries: list[str]
    home: bool
    type: str
    container: str
    index: int
    file: str
    read_only: bool


class IdRequest(TypedDict):
    """The maps of a user namespace, as seen from the one that crate runs in. `kind` is one of

    given       `uids` and `gids`
    auto        a range that no other container has, of `size` ids (0: what the image needs), around `uids`, `gids`
    container   those of the container `target`, whose namespace is joined
    ns          those of the namespace with the file `target`, which is joined
    """

    kind: str
    uids: list[LinuxIDMapping]
    gids: list[LinuxIDMapping]
    target: str
    size: int


class Plan(TypedDict):
    """Everything that is going to happen, before it happens.

    `chowns` are the sources of binds with the option U: they get the container user's owner, with all beneath them.
    """

    spec: Spec
    record: dict[str, Any]
    ids: IdRequest | None
    network: NetworkRequest
    files: Files
    volumes: list[Volume]
    chowns: list[str]
    slots: list[Slot]
    warnings: list[str]
