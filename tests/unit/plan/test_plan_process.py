"""What the image's config, files and options make of the process and the record."""

from __future__ import annotations

from typing import Any

import pytest

from crate.plan.environment import exec_environment
from crate.settings import Settings
from unit.plan.plan_cases import IMAGE, MemoryHost, environment, make


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["/entry", "serve", "--fast"]),
        ({"command": ["-x", "y"]}, ["/entry", "-x", "y"]),
        ({"entrypoint": "/e"}, ["/e"]),
        ({"entrypoint": "/e", "command": ["-x"]}, ["/e", "-x"]),
        ({"entrypoint": "", "command": ["sh"]}, ["sh"]),
        ({"entrypoint": '["/e", "a b"]', "command": ["-x"]}, ["/e", "a b", "-x"]),
        ({"entrypoint": "[x"}, ["[x"]),
        ({"init": True}, ["/dev/init", "--", "/entry", "serve", "--fast"]),
    ],
)
def test_command(options: dict[str, Any], expected: list[str]) -> None:
    assert make(IMAGE, **options)["spec"]["process"]["args"] == expected


def test_environment_of_image_and_options() -> None:
    host = MemoryHost(environ={"HERE": "host", "ABC_1": "1", "ABC_2": "2", "http_proxy": "http://proxy"})
    host.files["/e"] = "# comment\n\n  FROM_FILE=1 \nHERE\nABSENT\r\nLANG=file\n"
    made = environment(
        make(IMAGE, host, env_file=["/e"], env=["LANG=option", "ABC_*", "GONE", "EMPTY="], tty=True, hostname="box")
    )
    assert made == {
        "PATH": "/usr/bin:/bin",
        "container": "crate",
        "HOSTNAME": "box",
        "TERM": "xterm",
        "LANG": "option",
        "http_proxy": "http://proxy",
        "FROM_FILE": "1 ",
        "HERE": "host",
        "ABC_1": "1",
        "ABC_2": "2",
        "EMPTY": "",
    }


def test_variable_without_value_removes_that_of_the_image() -> None:
    assert "LANG" not in environment(make(IMAGE, env=["LANG"]))


def test_environment_taken_away() -> None:
    assert environment(make(IMAGE, unsetenv=["LANG"], http_proxy=False)).keys() == {"PATH", "container", "HOSTNAME"}
    assert environment(make(IMAGE, unsetenv_all=True, env=["A=1"])) == {"A": "1"}


def test_environment_merged() -> None:
    merged = environment(make(IMAGE, env_merge=["PATH=/own:${PATH}", "X=$LANG-$NONE."]))
    assert (merged["PATH"], merged["X"]) == ("/own:/usr/bin:/bin", "C-.")


def test_environment_of_exec() -> None:
    host = MemoryHost(environ={"HERE": "host"})
    base = ["PATH=/bin", "A=1", "B=2"]
    assert exec_environment(base, {"env": ["A=x", "HERE", "B"], "tty": True}, host) == [
        "PATH=/bin",
        "A=x",
        "TERM=xterm",
        "HERE=host",
    ]


@pytest.mark.parametrize("line", ["=x", "a b=1", "\tA\t=1"])
def test_env_file_with_a_wrong_line(line: str) -> None:
    host = MemoryHost()
    host.files["/e"] = f"GOOD=1\n{line}\n"
    with pytest.raises(Exception, match="/e: line 2: "):
        make(IMAGE, host, env_file=["/e"])


@pytest.mark.parametrize(
    ("given", "of_image", "expected"),
    [
        (None, "", "/"),
        (None, "/srv/", "/srv"),
        (None, "srv", "/srv"),
        ("/a/../b//c/.", "/srv", "/b/c"),
        ("//x", "", "/x"),
        ("/..", "", "/"),
        ("/.hidden", "", "/.hidden"),
    ],
)
def test_directory(given: str | None, of_image: str, expected: str) -> None:
    image = {"id": "1", "config": {"config": {"Cmd": ["sh"], "WorkingDir": of_image}}}
    assert make(image, workdir=given)["spec"]["process"]["cwd"] == expected


def test_user_slot() -> None:
    first = make(IMAGE)["slots"][0]
    assert first == {"slot": "user", "user": "www", "groups": [], "home": True}
    second = make(IMAGE, user="0", group_add=["5"], env=["HOME=/h"])["slots"][0]
    assert second == {"slot": "user", "user": "0", "groups": ["5"], "home": False}


def test_limits_are_cut_to_the_ceiling_of_the_caller() -> None:
    host = MemoryHost()
    host.ceiling = 1000
    made = make(host=host, ulimit=["nofile=500:2000", "core=unlimited", "nproc=5:1000"])
    assert made["spec"]["process"]["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 500, "hard": 1000},
        {"type": "RLIMIT_CORE", "soft": 1000, "hard": 1000},
        {"type": "RLIMIT_NPROC", "soft": 5, "hard": 1000},
    ]
    assert made["warnings"] == [
        "WARNING: ulimit nofile is at most 1000 for this user: 500:1000 is set",
        "WARNING: ulimit core is at most 1000 for this user: 1000:1000 is set",
    ]


def test_limits_that_the_kernel_does_not_have_are_told() -> None:
    host = MemoryHost()
    host.memory_v1 = False
    made = make(host=host, memory_swappiness=10, oom_kill_disable=True, memory="64m", kernel_memory="50m")
    assert made["spec"]["linux"]["resources"]["memory"] == {"limit": 64 << 20, "swap": 128 << 20}
    words = [warning.split(". ")[1] for warning in made["warnings"]]
    assert words == ["Memory swappiness discarded.", "Limitation discarded.", "OomKillDisable discarded."]


def test_oom_score_of_an_ordinary_user_is_not_below_the_caller() -> None:
    assert make(oom_score_adj=-500)["spec"]["process"]["oomScoreAdj"] == -500
    made = make(host=MemoryHost(rootless=True), oom_score_adj=-500)
    assert made["spec"]["process"]["oomScoreAdj"] == 0
    assert made["warnings"] == ["WARNING: oom score adj is at least 0 for this user: 0 is set"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"cap_drop": ["ALL"]}, []),
        ({"cap_drop": ["all"], "cap_add": ["cap_chown", "NET_ADMIN"]}, ["CAP_CHOWN", "CAP_NET_ADMIN"]),
        ({"cap_drop": ["CHOWN"], "cap_add": ["chown"]}, None),
    ],
)
def test_capabilities(options: dict[str, Any], expected: list[str] | None) -> None:
    capabilities = make(**options)["spec"]["process"]["capabilities"]
    assert capabilities["bounding"] == capabilities["effective"] == capabilities["permitted"]
    if expected is None:
        assert set(capabilities["bounding"]) == set(make()["spec"]["process"]["capabilities"]["bounding"])
    else:
        assert capabilities["bounding"] == expected
    assert "inheritable" not in capabilities  # CVE-2022-24769


def test_all_capabilities_are_those_of_the_host() -> None:
    host = MemoryHost()
    host.bits = 0b1011
    added = make(host=host, cap_add=["ALL"], cap_drop=["CAP_CHOWN"])["spec"]["process"]["capabilities"]["bounding"]
    assert added == ["CAP_DAC_OVERRIDE", "CAP_FOWNER"]


def test_record() -> None:
    record = make(IMAGE, name="web", label=["a=b"], rm=True, log_opt=["max-size=1m"])["record"]
    assert record["version"] == 1
    assert record["name"] == "web"
    assert record["labels"] == {"vendor": "example", "a": "b"}
    assert record["log"] == {"driver": "json-file", "options": {"max-size": "1m", "max-file": "2"}}
    assert record["stop_signal"] == 3
    assert record["health"] == {"Test": ["CMD", "true"], "Interval": 1_000_000_000}
    assert record["remove"] is True
    assert (record["entrypoint"], record["command"]) == (["/entry"], ["serve", "--fast"])
    assert record["exposed_ports"] == ["80/tcp", "53/udp"]


def test_health_options_change_the_check_of_the_image() -> None:
    health = make(IMAGE, health_interval="1m30s", health_retries=5)["record"]["health"]
    assert health == {"Test": ["CMD", "true"], "Interval": 90_000_000_000, "Retries": 5}
    assert make(IMAGE, no_healthcheck=True)["record"]["health"] is None
    assert make(IMAGE, health_cmd="none")["record"]["health"] is None
    assert make(health_cmd="curl x")["record"]["health"]["Test"] == ["CMD-SHELL", "curl x"]
    assert make(health_cmd='["a", "b"]')["record"]["health"]["Test"] == ["CMD", "a", "b"]


def test_settings_are_the_defaults_of_options() -> None:
    settings = Settings(
        {
            "containers.pids_limit": (7, "f"),
            "containers.shm_size": ("1m", "f"),
            "containers.init": (True, "f"),
            "containers.ulimits": (["nofile=5"], "f"),
            "containers.capabilities": (["CAP_KILL"], "f"),
            "containers.env": (["LANG=de", "X=1"], "f"),
            "containers.stop_timeout": (3, "f"),
            "network.dns": (["9.9.9.9"], "f"),
            "logs.max_size": ("-1", "f"),
        }
    )
    made = make(IMAGE, settings=settings)
    assert made["spec"]["linux"]["resources"]["pids"] == {"limit": 7}
    assert made["spec"]["process"]["args"][0] == "/dev/init"
    assert made["spec"]["process"]["rlimits"][0]["hard"] == 5
    assert made["spec"]["process"]["capabilities"]["bounding"] == ["CAP_KILL"]
    assert environment(made)["LANG"] == "C"  # the image knows better
    assert environment(made)["X"] == "1"
    assert made["files"]["dns"] == ["9.9.9.9"]
    assert made["record"]["stop_timeout"] == 3
    assert make(settings=settings, init=False, command=["sh"], pids_limit=-1)["spec"]["process"]["args"] == ["sh"]
    assert "pids" not in make(settings=settings, pids_limit=-1)["spec"]["linux"]["resources"]


def test_default_pids_limit_is_dropped_where_nobody_can_set_it() -> None:
    host = MemoryHost(rootless=True)
    host.controllers = set()
    assert "pids" not in make(host=host)["spec"]["linux"]["resources"]
    assert make(host=host, pids_limit=5)["spec"]["linux"]["resources"]["pids"] == {"limit": 5}


def test_rootfs_is_a_directory() -> None:
    host = MemoryHost()
    host.paths["/home/user/web"] = host.paths["/srv"]
    assert make(None, host, command=["sh"])["spec"]["root"]["path"] == "/home/user/web"
