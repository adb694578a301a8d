"""Whatever the options say: a plan whose spec fits the schema, or one clear line."""

from __future__ import annotations

from typing import Any

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crate.errors import CrateError
from examples import examples
from unit.plan.oci_schema import CONFIG
from unit.plan.plan_cases import IMAGE, MemoryHost, make

VALIDATOR = jsonschema.Draft202012Validator(CONFIG)
WORDS = (
    *"host private none container:x ns:/p 1 0 -1 1.5 64m 1gb 0-3 1,2 a=b net.a=1 kernel.shmmax=5 always KILL".split(),
    *"/srv /srv:/x:ro v:/y /z type=bind,src=/srv,dst=/q type=tmpfs,dst=/r /t:size=1m,exec nofile=1:2".split(),
    *"/dev/fuse /dev/sda:/dev/b:r /dev/sda:100 ALL chown seccomp=unconfined no-new-privileges label=disable".split(),
    *"80 80:80 [::1]:80:80/udp 1-3:4-6 53/udp bridge web web:ip=1.2.3.4 1.1.1.1 name:1.2.3.4 user:group".split(),
    *"on-failure:3 json-file max-size=1m LINUX32 022 5s ctrl-a 0:1000:10 memory.high=1 hugetlb.2MB.max=1m".split(),
    *("c 1:2 rw", ""),
)
# What can be an argument of a program: any bytes but zero.
ARGUMENTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("\udc80"), max_size=12
)
VALUES = st.one_of(st.sampled_from(WORDS), ARGUMENTS)
TEXTS = (
    "memory memory_swap memory_reservation shm_size cpus cpuset_cpus cpuset_mems pid ipc uts cgroupns userns hostname "
    "domainname workdir user entrypoint stop_signal restart log_driver ip ip6 mac_address detach_keys umask tz "
    "personality cgroup_parent image_volume health_cmd health_interval init_path"
).split()
LISTS = (
    "env label annotation volume mount tmpfs device device_cgroup_rule cap_add cap_drop security_opt sysctl ulimit "
    "publish expose network add_host dns dns_search log_opt blkio_weight_device device_read_bps cgroup_conf uidmap "
    "gidmap group_add volumes_from unsetenv env_merge"
).split()
NUMBERS = "pids_limit cpu_shares cpu_period cpu_quota memory_swappiness oom_score_adj blkio_weight stop_timeout".split()
FLAGS = "tty privileged read_only init publish_all rm no_hosts oom_kill_disable unsetenv_all no_healthcheck".split()

OPTIONS = st.one_of(
    st.tuples(st.sampled_from(TEXTS), VALUES),
    st.tuples(st.sampled_from(LISTS), st.lists(VALUES, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(NUMBERS), st.integers(-2, 1 << 40)),
    st.tuples(st.sampled_from(FLAGS), st.booleans()),
)


@settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(OPTIONS, max_size=4, unique_by=lambda option: option[0]), st.booleans())
def test_any_options(options: list[tuple[str, Any]], rootless: bool) -> None:
    try:
        made = make(IMAGE, MemoryHost(rootless=rootless), command=["sh"], **dict(options))
    except CrateError as error:
        assert error.message and error.exit_status == 125
        return
    VALIDATOR.validate(made["spec"])
    destinations = [mount["destination"] for mount in made["spec"]["mounts"]]
    assert len(destinations) == len(set(destinations))
    for volume in made["volumes"]:
        assert destinations[volume["mount"]] == volume["destination"]
