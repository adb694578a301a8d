"""--link: docker's variables and lines of /etc/hosts, resolved anew at each start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"

pytestmark = [pytest.mark.requires("root", "overlay", "busybox", "nft"), pytest.mark.usefixtures("busybox")]


def test_address_names_and_variables(crate: Crate) -> None:
    crate.ok(
        "run", "-d", "--name", "db", "--expose", "80", "--expose", "53/udp", "-e", "USER=x y", IMAGE, "sleep", "99"
    )
    database = crate.inspect("db")
    address = database["NetworkSettings"]["IPAddress"]
    crate.ok(
        "create", "--name", "web", "--link", "db:my-data", "--link", "db", "-e", "DB_NAME=mine", IMAGE,
        "sh", "-c", "cat /etc/hosts; env; ping -c 1 -W 30 my-data > /dev/null && echo reached || true",
    )  # fmt: skip
    out = crate.ok("start", "-a", "web").splitlines()
    assert f"{address}\tmy-data {database['Id'][:12]} db" in out
    assert f"{address}\tdb {database['Id'][:12]}" in out
    assert "reached" in out
    expected = {
        "MY_DATA_NAME=/web/my-data",
        f"MY_DATA_PORT=udp://{address}:53",
        f"MY_DATA_PORT_80_TCP=tcp://{address}:80",
        f"MY_DATA_PORT_80_TCP_ADDR={address}",
        "MY_DATA_PORT_80_TCP_PORT=80",
        "MY_DATA_PORT_80_TCP_PROTO=tcp",
        f"MY_DATA_PORT_53_UDP=udp://{address}:53",
        "MY_DATA_ENV_USER=x y",
        "DB_NAME=mine",  # what was given goes before
        "DB_ENV_USER=x y",
    }
    assert expected <= set(out)
    assert not [line for line in out if line.startswith(("DB_ENV_PATH", "DB_ENV_HOME", "DB_NAME=/"))]
    assert crate.inspect("web")["HostConfig"]["Links"] == ["/db:/web/my-data", "/db:/web/db"]

    crate.ok("stop", "-t", "0", "db")
    refused = crate.fails(125, "start", "-a", "web")
    assert "cannot link to a non running container: db AS web/my-data" in refused and "crate start db" in refused
    other = crate.ok("run", "-d", IMAGE, "sleep", "99")  # so that db comes back with another address
    crate.ok("start", "db")
    again = crate.inspect("db")["NetworkSettings"]["IPAddress"]
    assert again != address and f"MY_DATA_PORT_80_TCP_ADDR={again}" in crate.ok("start", "-a", "web").splitlines()
    crate.ok("rename", "db", "base")
    assert crate.inspect("web")["HostConfig"]["Links"] == ["/base:/web/my-data", "/base:/web/db"]

    assert crate.ok("rm", "--link", "/web/db") == "/web/db"
    assert crate.inspect("web")["HostConfig"]["Links"] == ["/base:/web/my-data"]
    assert "no such link: web/db" in crate.fails(1, "rm", "--link", "web/db")
    assert "it is not the name of one" in crate.fails(125, "rm", "--link", "web")
    crate.ok("rm", "-f", "-t", "0", "base", other)
    assert "crate rm --link web/my-data" in crate.fails(125, "start", "-a", "web")
    crate.ok("rm", "--link", "web/my-data")
    assert crate.inspect("web")["HostConfig"]["Links"] is None
    assert "MY_DATA" not in crate.ok("start", "-a", "web")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--link", "nobody"), "nobody"),
        (("--link", ":x"), "bad format for links: :x"),
        (("--link", "a:b:c"), "bad format for links: a:b:c"),
        (("--link", "a:x", "--link", "b:x"), "cannot link two containers as x"),
        (("--network", "none", "--link", "a"), "none type networking can't be used with links"),
        (("--network", "host", "--link", "a"), "host type networking can't be used with links"),
    ],
)
def test_refusals(crate: Crate, arguments: tuple[str, ...], words: str) -> None:
    assert words in crate.fails(125, "run", "--rm", *arguments, IMAGE, "true")


def test_no_network_in_common(crate: Crate) -> None:
    crate.ok("run", "-d", "--name", "lone", "--network", "none", IMAGE, "sleep", "99")
    assert "they share no network" in crate.fails(125, "run", "--rm", "--link", "lone", IMAGE, "true")
