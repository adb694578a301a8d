"""Run as an ordinary user in a user namespace by test_rootless.py: a layer of every kind, mounted, written to, removed.

Arguments: source directory, graph root, run root. Prints what it found as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

SOURCE, GRAPH, RUN = sys.argv[1:4]
sys.path[:0] = [SOURCE, str(Path(__file__).resolve().parents[1])]

from crate.storage import containers, layers, rootfs, trash  # noqa: E402 - after the path
from crate.storage.roots import open_roots  # noqa: E402
from storage.archives import archive, directory, member  # noqa: E402


def main() -> None:
    """Prints the findings."""
    roots = open_roots(GRAPH, RUN)
    archives = [
        archive(directory(b"d"), member(b"d/old"), member(b"gone"), member(b"f", mode=0o4755, uid=33, gid=42)),
        archive(directory(b"d"), member(b"d/.wh..wh..opq"), member(b".wh.gone"), member(b"null", kind=b"3")),
    ]
    ids = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in archives]
    chains = layers.chain_ids(ids)
    made = []
    for data, diff_id, chain, parent in zip(archives, ids, chains, ["", chains[0]], strict=True):
        with layers.LayerUnpack(roots, chain, diff_id, parent) as layer:
            layer.write(data)
            layer.finish()
        made.append(layer)
    layers.publish(roots, made)
    files = {"config.json": "{}", "container.json": "{}"}
    where = containers.create(roots, containers.new_id(), "test", lambda _stage: files, layers=chains)
    fd = rootfs.mount_rootfs(roots, where.directory, chains, volatile=True)
    place = Path(f"/proc/self/fd/{fd}")
    (place / "d/new").touch()
    found = (place / "f").stat()
    answer = {
        "rootless": roots.rootless,
        "uid": roots.uid,
        "driver": roots.driver,
        "names": sorted(os.listdir(place)),
        "in d": os.listdir(place / "d"),
        "owner": [found.st_uid, found.st_gid],
        "mode": oct(found.st_mode & 0o7777),
    }
    os.close(fd)
    containers.release(roots, where.id, "test")
    answer["kept in trash"] = trash.empty(roots)
    print(json.dumps(answer))


main()
