"""RUN: its process, its mounts, and what it must not leave behind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from build.building import Builder

pytestmark = pytest.mark.requires("root", "overlay", "busybox")


def test_bind_mounts(builder: Builder) -> None:
    builder.write("from-context", "context\n")
    builder.write("ignored", "secret\n")
    builder.write(".dockerignore", "ignored\n")
    out = builder.build(
        """
        FROM BASE AS other
        RUN mkdir /d && echo stage > /d/file
        FROM BASE
        RUN --mount=target=/ctx --mount=from=other,source=/d,target=/d,rw ls /ctx; cat /ctx/from-context /d/file; \\
            echo changed > /d/file; cat /d/file; touch /ctx/x 2>/dev/null || echo read-only
        RUN --mount=from=other,source=/d/file,target=/f cat /f; ls -d /ctx /d 2>&1 || true
        """
    )
    said = out.split("STEP 2/3")[-1]
    assert "Dockerfile\nfrom-context\ncontext\nstage\nchanged\nread-only\n" in said, "and nothing that is ignored"
    assert "STEP 3/3" in said and "\nstage\nls: /ctx: No such" in said
    image = out.split()[-1]
    assert builder.layers(image)[-2:] == [{}, {}], "what was only mounted upon is in no layer"


def test_steps_share_the_copy_of_a_context(builder: Builder) -> None:
    """What an ignore file leaves is copied once, not for each RUN."""
    for name in ("kept", "ignored"):
        builder.write(name, name)
    builder.write(".dockerignore", "ignored\n")
    look = "RUN --mount=target=/c ls /c; stat -c 'copy %i' /c/kept; touch /c/x 2>/dev/null || echo read-only\n"
    out = builder.build(f"FROM BASE AS one\n{look}RUN true\n{look}FROM BASE\nCOPY --from=one /bin/true /true\n{look}")
    copies = [line for line in out.splitlines() if line.startswith("copy ")]
    assert len(copies) >= 2 and len(set(copies)) <= 2, "two stages may have begun at the same time"
    assert copies[0] == copies[1] or copies[0] == copies[2]
    assert out.count("\nread-only\n") == len(copies) and "\nignored\n" not in out


def test_a_bind_that_may_be_written_shows_nothing_that_is_ignored(builder: Builder) -> None:
    builder.write("d/kept", "kept\n")
    builder.write("d/ignored", "secret\n")
    builder.write(".dockerignore", "d/ignored\n")
    out = builder.build(
        "FROM BASE\nRUN --mount=target=/c,source=d,rw ls /c; echo changed > /c/kept; cat /c/kept\n"
        "RUN --mount=target=/f,source=d/kept,rw cat /f; echo changed > /f\n"
    )
    assert "\nkept\nchanged\n" in out and "ignored" not in out
    assert (builder.context / "d/kept").read_text() == "kept\n"


def test_locked_caches_never_wait_for_each_other(builder: Builder) -> None:
    """Two stages want two of them in opposite orders, and one stage wants the same one twice."""
    first, second = (f"--mount=type=cache,id={name},sharing=locked,target=/{name}" for name in "ab")
    dockerfile = f"""
        FROM BASE AS one
        RUN {first} {second} sleep 0.1; echo 1 >> /a/all; echo 1 > /made
        FROM BASE AS two
        RUN {second} {first} sleep 0.1; echo 2 >> /a/all; echo 2 > /made
        FROM BASE
        COPY --from=one /made /1
        COPY --from=two /made /2
        RUN {first} {first.replace("/a", "/again")} echo x > /a/x; cat /again/x; sort -u /a/all
        """
    for _ in range(3):
        assert "\nx\n1\n2\n" in builder.build(dockerfile, "--no-cache")


def test_cache_mount_outlives_the_build(builder: Builder) -> None:
    dockerfile = """
        FROM BASE
        ARG N
        RUN --mount=type=cache,target=/c,id=x,mode=0700,uid=5 echo $N >> /c/all; cat /c/all; stat -c '%a %u' /c
        """
    builder.build(dockerfile, "--build-arg", "N=1")
    out = builder.build(dockerfile, "--build-arg", "N=2")
    assert "\n1\n2\n700 5\n" in out
    assert builder.layers(out.split()[-1])[-1] == {}
    builder.crate.ok("builder", "prune", "-af")
    assert "\n3\n700 5\n" in builder.build(dockerfile, "--build-arg", "N=3")


def test_secrets_leave_no_trace(builder: Builder, tmp_path: Path) -> None:
    secret = "s3cr3t-of-the-test"
    (tmp_path / "token").write_text(secret)
    builder.crate.environment["TOKEN"] = f"{secret}-variable"
    out = builder.build(
        """
        FROM BASE
        RUN --mount=type=secret,id=file,mode=0440,gid=7 wc -c < /run/secrets/file; stat -c '%a %g' /run/secrets/file
        RUN --mount=type=secret,id=var,env=T echo "${#T}" in T
        RUN --mount=type=secret,id=absent ls /run/secrets 2>&1; echo none
        """,
        *("--secret", f"id=file,src={tmp_path / 'token'}", "--secret", "id=var,env=TOKEN"),
    )
    assert "\n18\n440 7\n" in out and "\n27 in T\n" in out and "none\n" in out
    found = [
        path
        for path in (builder.crate.root).rglob("*")
        if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes()
    ]
    assert found == []
    missing = builder.try_build("FROM BASE\nRUN --mount=type=secret,id=x,required true\n")
    assert missing.status == 125 and "secret x: not found" in missing.err


def test_environment_user_and_limits(builder: Builder) -> None:
    out = builder.build(
        """
        FROM BASE
        RUN echo 'app:x:1234:1234::/home/app:/bin/sh' >> /etc/passwd && echo 'app:x:1234:' >> /etc/group
        USER app
        WORKDIR /work
        RUN id; pwd; echo $HOME; hostname; cat /proc/self/status | grep CapEff; ulimit -n; ls -ld /work
        USER 0
        RUN cat /proc/net/dev | grep -c : ; grep extra /etc/hosts; df -k /dev/shm | tail -1 | awk '{print $2}'
        """,
        *("--ulimit", "nofile=77:88", "--add-host", "extra:10.1.2.3", "--shm-size", "4m"),
    )
    assert "uid=1234(app) gid=1234(app)" in out and "/work\n/home/app\nbuildkitsandbox\n" in out
    assert "CapEff:\t0000000000000000\n77\n" in out
    assert "\n1\n10.1.2.3\textra\n4096\n" in out, "the loopback alone, with --network none"


def test_limits_hold_in_the_kernel(builder: Builder) -> None:
    """A RUN that wants more memory than --memory is killed; --cpuset-cpus is what its process may use."""
    allowed = "FROM BASE\nRUN grep Cpus_allowed_list /proc/self/status\n"
    assert "Cpus_allowed_list:\t0\n" in builder.build(allowed, "--cpuset-cpus", "0")
    greedy = "FROM BASE\nRUN head -c 100m /dev/zero | tail -c 90m | wc -c\n"
    assert f"\n{90 << 20}\n" in builder.build(greedy, "--memory", "400m")
    killed = builder.try_build(greedy, "--memory", "30m", "--memory-swap", "30m", "--no-cache")
    assert f"\n{90 << 20}\n" not in killed.out, killed


def test_a_run_has_the_network_that_it_asks_for(builder: Builder) -> None:
    """`--network` of a RUN: none is a loopback of its own, host the host's name spaces of network."""
    dockerfile = "FROM BASE\nRUN --network={} readlink /proc/self/ns/net; ls /sys/class/net | tr '\\n' ' '\n"
    own = os.readlink("/proc/self/ns/net")
    alone = builder.build(dockerfile.format("none"), "--network", "host")
    assert own not in alone and "\nlo " in alone
    assert own in builder.build(dockerfile.format("host"), "--network", "none", "--allow", "network.host")


def test_heredocs(builder: Builder) -> None:
    out = builder.build(
        """FROM BASE
RUN <<EOF
echo one
echo two $((1 + 1))
EOF
RUN <<EOF cat
in
EOF
RUN <<EOF
#!/bin/cat
a program of its own
EOF
COPY <<"EOF" /copied
kept $as it is
EOF
RUN cat /copied
"""
    )
    assert "\none\ntwo 2\n" in out and "\nin\n" in out and "a program of its own\n" in out
    assert "kept $as it is\n" in out


def test_security_insecure_wants_to_be_allowed(builder: Builder) -> None:
    dockerfile = "FROM BASE\nRUN --security=insecure mount -t tmpfs x /tmp && echo mounted\n"
    assert "security.insecure is not allowed" in builder.try_build(dockerfile).err
    assert "\nmounted\n" in builder.build(dockerfile, "--allow", "security.insecure")
    assert builder.try_build("FROM BASE\nRUN mount -t tmpfs x /tmp\n").status not in (0, 125)


def test_proxies_reach_run_and_nothing_else(builder: Builder) -> None:
    dockerfile = "FROM BASE\nRUN echo $HTTP_PROXY\n"
    assert "\nhttp://proxy:1\n" in builder.build(dockerfile, "--build-arg", "HTTP_PROXY=http://proxy:1")
    again = builder.build(dockerfile, "--build-arg", "HTTP_PROXY=http://other:2")
    assert "Using cache" in again
    assert "http://" not in str(builder.config(again.split()[-1]))


@pytest.mark.requires("nft")
def test_default_network_is_the_bridge(builder: Builder) -> None:
    dockerfile = "FROM BASE\nRUN ip -o addr show eth0 | grep -c 'inet '; grep -c nameserver /etc/resolv.conf\n"
    assert "\n1\n" in builder.build(dockerfile, "--network", "default")
