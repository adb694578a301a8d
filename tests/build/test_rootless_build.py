"""An ordinary user builds: the same Dockerfile, in that user's namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate

pytestmark = pytest.mark.requires("root", "overlay", "busybox")

DOCKERFILE = """
FROM crate.local/busybox AS one
RUN id -u > /one && mkdir /d && chown 5:6 /d
FROM crate.local/busybox
COPY --from=one /one /d /got/
COPY --chown=7:8 file /file
RUN --mount=type=cache,target=/c --mount=target=/ctx,rw echo x > /ctx/y && touch /c/z && stat -c '%u:%g' /file
RUN rm /etc/nsswitch.conf
"""


def test_rootless(rootless_crate: Crate) -> None:
    crate = rootless_crate
    assert crate.user
    context = crate.user.home / "context"
    context.mkdir()
    (context / "file").write_text("content\n")
    (context / "Dockerfile").write_text(DOCKERFILE)
    context.chmod(0o755)
    out = crate.ok("build", "--network", "none", "-t", "mine", str(context))
    assert "\n7:8\n" in out
    assert not (context / "y").exists()
    assert crate.ok("run", "--rm", "--network", "none", "mine", "cat", "/got/one", "/file") == "0\ncontent"
    again = crate.ok("build", "--network", "none", "-t", "mine", str(context))
    assert again.count("Using cache") == 5 and again.split()[-1] == out.split()[-1]
    crate.ok("build", "-o", str(crate.user.home / "out"), "--network", "none", str(context))
    assert (crate.user.home / "out/file").read_text() == "content\n"
