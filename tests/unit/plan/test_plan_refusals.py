"""Wrong values of options: the words, the option and the value in them."""

from __future__ import annotations

from typing import Any

import pytest

from crate.errors import CrateError, HostError, UsageError
from unit.plan.plan_cases import IMAGE, MemoryHost, make

# option → (value, part of the message)
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"memory": "x"}, 'invalid argument "x" for "-m, --memory" flag: invalid size: \'x\''),
    ({"memory": "5q"}, "invalid suffix: 'q'"),
    ({"memory": "1.2.3m"}, 'strconv.ParseFloat: parsing "1.2.3": invalid syntax'),
    ({"memory": "-5m"}, "invalid size: '-5m'"),
    ({"memory": "99999999p"}, "invalid size"),
    ({"memory": "1m"}, "minimum memory limit allowed is 6MB"),
    ({"memory_swap": "1g"}, "always set the memory limit when using memoryswap"),
    ({"memory": "1g", "memory_swap": "512m"}, "memoryswap limit should be larger than memory limit"),
    ({"memory_reservation": "1m"}, "minimum memory reservation allowed is 6MB"),
    ({"memory": "64m", "memory_reservation": "128m"}, "can not be less than memory reservation limit"),
    ({"memory_swappiness": 101}, "valid memory swappiness range is 0-100"),
    ({"oom_score_adj": 2000}, "range for oom score adj is [-1000, 1000]"),
    ({"cpus": "a"}, 'for "--cpus" flag: failed to parse a as a rational number'),
    ({"cpus": "0.001"}, "range of CPUs is from 0.01"),
    ({"cpus": "-1"}, "range of CPUs is from 0.01"),
    ({"cpus": "1.1234567891"}, "value is too precise"),
    ({"cpus": "1", "cpu_period": 5000}, "Nano CPUs and CPU Period cannot both be set"),
    ({"cpus": "1", "cpu_quota": 5000}, "Nano CPUs and CPU Quota cannot both be set"),
    ({"cpu_period": 10}, "CPU cfs period can not be less than 1ms"),
    ({"cpu_quota": 10}, "CPU cfs quota can not be less than 1ms"),
    ({"cpu_shares": "many"}, 'flag: strconv.ParseInt: parsing "many": invalid syntax'),
    ({"cpu_shares": -1}, "value must be a positive integer"),
    ({"cpuset_cpus": "0-9"}, "requested CPUs are not available - requested 0-9, available: 0-3"),
    ({"cpuset_cpus": "a"}, "invalid value a for cpuset cpus"),
    ({"cpuset_cpus": "3-1"}, "invalid value 3-1 for cpuset cpus"),
    ({"cpuset_mems": "4"}, "requested memory nodes are not available"),
    ({"pids_limit": "9223372036854775808"}, "value out of range"),
    ({"blkio_weight": "5"}, "range of blkio weight is from 10 to 1000"),
    ({"blkio_weight": "70000"}, "value out of range"),
    ({"blkio_weight_device": ["/dev/sda"]}, "bad format: /dev/sda"),
    ({"device_read_bps": ["/dev/nope:1m"]}, "cannot limit /dev/nope: no such file"),
    ({"device_read_bps": ["/dev/fuse:1m"]}, "not a block device"),
    ({"device_read_iops": ["/dev/sda:1m"]}, 'strconv.ParseUint: parsing "1m"'),
    ({"shm_size": "5x"}, 'invalid argument "5x" for "--shm-size" flag'),
    ({"cgroup_conf": ["memory"]}, 'invalid --cgroup-conf "memory"'),
    ({"ulimit": ["nofile"]}, 'for "--ulimit" flag: invalid ulimit argument: nofile'),
    ({"ulimit": ["bogus=1"]}, "invalid ulimit type: bogus"),
    ({"ulimit": ["nofile=1:2:3"]}, "too many limit value arguments - 1:2:3"),
    ({"ulimit": ["nofile=2:1"]}, "less than or equal to hard limit: 2 > 1"),
    ({"ulimit": ["nofile=-1:5"]}, "hard limit: -1 > 5"),
    ({"ulimit": ["nofile=x"]}, 'strconv.ParseInt: parsing "x": invalid syntax'),
    ({"ulimit": ["nofile=-7"]}, "value out of range"),
    ({"volume": ["relative/path:/x"]}, '"relative/path" includes invalid characters for a local volume name'),
    ({"volume": ["/srv:x"]}, "invalid mount path: 'x' mount path must be absolute"),
    ({"volume": ["/srv:/"]}, "destination can't be '/'"),
    ({"volume": ["/srv:/x/../"]}, "destination can't be '/'"),
    ({"volume": ["/srv:/x:what"]}, "invalid mode: what"),
    ({"volume": ["/srv:/x:ro,rw"]}, "invalid mode: ro,rw"),
    ({"volume": ["/srv:/x:O"]}, "overlay volumes (O) are not supported"),
    ({"volume": ["/srv:/x:ro:more"]}, "invalid volume specification: '/srv:/x:ro:more'"),
    ({"volume": ["/srv:"]}, "invalid volume specification: '/srv:'"),
    ({"volume": [":/x"]}, "invalid volume specification: ':/x'"),
    ({"volume": ["/nowhere:/x"]}, "bind source path does not exist: /nowhere"),
    ({"volume": ["/srv:/x", "/srv:/x/"]}, "/x: duplicate mount destination"),
    ({"volume": ["/srv:/x:idmap=uids=0-1"]}, "invalid idmap uids=0-1"),
    ({"volume": ["/srv:/x:idmap"]}, "idmap needs --uidmap or --userns"),
    ({"volumes_from": ["c:bogus"]}, "invalid mode: bogus"),
    ({"mount": ["type=bind,src=/nowhere,dst=/x"]}, "bind source path does not exist: /nowhere"),
    ({"mount": ["type=bind,dst=/x"]}, "source is required for a bind mount"),
    ({"mount": ["type=bind,src=/srv"]}, "target is required"),
    ({"mount": ["type=nfs,dst=/x"]}, 'invalid filesystem type "nfs"'),
    ({"mount": ["dst=/x,what"]}, "invalid field 'what' must be a key=value pair"),
    ({"mount": ["dst=/x,what=1"]}, "unexpected key 'what' in 'what=1'"),
    ({"mount": ["dst=/x,ro=maybe"]}, "invalid value for readonly: maybe"),
    ({"mount": ["type=bind,src=/srv,dst=/x,tmpfs-size=1m"]}, "cannot use option 'tmpfs-size' with mount type 'bind'"),
    ({"mount": ["type=bind,src=/srv,dst=/x,bind-propagation=odd"]}, "invalid propagation value: odd"),
    ({"mount": ["type=bind,src=/srv,dst=/x,bind-recursive=readonly"]}, "requires 'readonly' to be specified"),
    ({"mount": ["type=bind,src=/srv,dst=/x,bind-recursive=odd"]}, "invalid value for bind-recursive: odd"),
    ({"mount": ["type=volume,src=/srv,dst=/x"]}, "a volume has a name, not a path"),
    ({"mount": ["type=volume,src=v,dst=/x,volume-subpath=../up"]}, "subpath must be a relative path"),
    ({"mount": ["type=tmpfs,src=x,dst=/x"]}, "cannot use option 'source' with mount type 'tmpfs'"),
    ({"mount": ["type=tmpfs,dst=/x,tmpfs-mode=9"]}, "invalid value for tmpfs-mode: 9"),
    ({"mount": ['type=tmpfs,"dst=/x']}, 'extraneous or missing " in quoted-field'),
    ({"tmpfs": ["/x:what"]}, "invalid tmpfs option 'what'"),
    ({"tmpfs": ["x"]}, "mount path must be absolute"),
    ({"image_volume": "odd"}, 'invalid image-volume type "odd"'),
    ({"device": ["/dev/nope"]}, "error gathering device information while adding custom device /dev/nope"),
    ({"device": ["/srv/file"]}, "not a device node"),
    ({"device": ["/srv"]}, "no devices found in the directory"),
    ({"device": ["/dev/fuse:rwx"]}, "rwx is not an absolute path"),
    ({"device": ["/dev/fuse:/dev/x:rr"]}, "invalid device mode: rr"),
    ({"device_cgroup_rule": ["c 1 rwm"]}, "invalid device cgroup format 'c 1 rwm'"),
    ({"cap_add": ["foo"]}, 'invalid CapAdd: unknown capability: "CAP_FOO"'),
    ({"cap_drop": ["foo"]}, 'invalid CapDrop: unknown capability: "CAP_FOO"'),
    ({"cap_add": ["ALL"], "cap_drop": ["all"]}, "adding all caps and removing all caps not allowed"),
    ({"security_opt": ["foo=1"]}, 'invalid --security-opt: "foo=1"'),
    ({"security_opt": ["foo"]}, 'invalid --security-opt: "foo"'),
    ({"security_opt": ["no-new-privileges=maybe"]}, 'invalid --security-opt: "no-new-privileges=maybe"'),
    ({"security_opt": ["systempaths=some"]}, 'invalid --security-opt: "systempaths=some"'),
    ({"security_opt": ["apparmor=mine"]}, "crate does not load AppArmor profiles"),
    ({"security_opt": ["seccomp=/nowhere"]}, "opening seccomp profile (/nowhere) failed: No such file or directory"),
    ({"sysctl": ["kernel.panic=1"]}, "sysctl 'kernel.panic=1' is not allowed"),
    ({"sysctl": ["net.a"]}, "net.a must be formatted as key=value"),
    ({"sysctl": ["net.a=1"], "network": ["host"]}, "because the network namespace is not the container's own"),
    ({"sysctl": ["kernel.shmmax=1"], "ipc": "host"}, "because the IPC namespace is not the container's own"),
    ({"pid": "foo"}, "--pid: invalid PID mode"),
    ({"ipc": "foo"}, "--ipc: invalid IPC mode"),
    ({"uts": "container:"}, "--uts: invalid UTS mode"),
    ({"cgroupns": "ns:relative"}, "--cgroupns: invalid CGROUP mode"),
    ({"userns": "foo"}, "--userns: invalid USER mode"),
    ({"uidmap": ["0:100000"], "gidmap": ["0:1:0"]}, "invalid mapping: 0:1:0"),
    ({"userns": "keep-id:x=1"}, "keep-id is only supported in rootless mode"),
    ({"network": ["bo/gus"]}, 'invalid --network "bo/gus"'),
    ({"network": ["container:"]}, "invalid container format container:<name|id>"),
    ({"network": ["host", "web"]}, "cannot attach both user-defined networks and --network host"),
    ({"network": ["web:bogus=1"]}, "unexpected key bogus"),
    ({"network": ["ns:here"]}, "the path of a network namespace is absolute"),
    (
        {"network": ["host"], "mac_address": "92:d0:c6:0a:29:33"},
        "conflicting options: mac-address and the network mode",
    ),
    ({"network": ["none"], "ip": "10.0.0.1"}, "user specified IP address is supported on user defined networks only"),
    ({"network": ["host"], "network_alias": ["a"]}, "network-scoped alias is supported only"),
    ({"network": ["container:x"], "publish": ["80:80"]}, "port publishing and the container type network mode"),
    ({"network": ["container:x"], "hostname": "x"}, "hostname and the network mode"),
    ({"network": ["container:x"], "dns": ["1.1.1.1"]}, "dns and the network mode"),
    ({"network": ["container:x"], "add_host": ["a:1.1.1.1"]}, "custom host-to-IP mapping and the network mode"),
    ({"ip": "10.0.0"}, "invalid IPv4 address: 10.0.0"),
    ({"ip6": "10.0.0.1"}, "invalid IPv6 address: 10.0.0.1"),
    ({"mac_address": "x"}, "x is not a valid mac address"),
    ({"mac_address": "01:00:00:00:00:00"}, "it is a multicast address"),
    ({"publish": ["99999:1"]}, 'for "-p, --publish" flag: invalid hostPort: 99999'),
    ({"publish": ["1:99999"]}, "invalid containerPort: 99999"),
    ({"publish": ["0"]}, "invalid containerPort: 0"),
    ({"publish": ["80:80/icmp"]}, "invalid proto: icmp"),
    ({"publish": ["1.2.3:80:80"]}, "invalid IP address: 1.2.3"),
    ({"publish": ["[::x]:80:80"]}, "invalid IP address: ::x"),
    ({"publish": ["8000-8001:80-85"]}, "invalid ranges specified for container and host Ports"),
    ({"publish": ["9-8:9-8"]}, "invalid range specified for port: 9-8"),
    ({"publish": ["80:"]}, "no port specified: 80:<empty>"),
    ({"publish": ["80:80", "80:81"]}, "conflicting port mappings for host port 80 (tcp)"),
    ({"expose": ["80/icmp"]}, "invalid protocol 'icmp' for --expose"),
    ({"expose": ["x"]}, "invalid range format for --expose: x"),
    ({"hostname": "a b"}, 'invalid hostname "a b"'),
    ({"hostname": "x" * 65}, "invalid hostname"),
    ({"hostname": "a", "uts": "host"}, "conflicting options: hostname and the UTS mode"),
    ({"no_hosts": True, "add_host": ["a:1.1.1.1"]}, "--no-hosts and --add-host cannot be set together"),
    ({"dns": ["none", "1.1.1.1"]}, "none cannot be combined"),
    ({"dns": ["1.1.1"]}, 'invalid argument "1.1.1" for "--dns" flag: 1.1.1 is not an ip address'),
    ({"add_host": ["a"]}, "invalid --add-host a"),
    ({"add_host": ["a:1.2"]}, "invalid IP address in --add-host a:1.2"),
    ({"personality": "bsd"}, "invalid personality bsd"),
    ({"env": ["=x"]}, 'for "-e, --env" flag: invalid environment variable: =x'),
    ({"env_file": ["/nowhere"]}, "open /nowhere: no such file or directory"),
    ({"label": ["=x"]}, 'for "-l, --label" flag: invalid label: =x'),
    ({"annotation": ["x"]}, "x must be formatted as key=value"),
    ({"workdir": "x"}, 'the working directory "x" is invalid, it needs to be an absolute path'),
    ({"user": "a:b:c"}, 'invalid user "a:b:c"'),
    ({"umask": "9"}, "invalid umask string 9"),
    ({"entrypoint": ""}, "no command specified"),
    ({"stop_signal": "FOO"}, "invalid signal: FOO"),
    ({"restart": "odd"}, "invalid restart policy 'odd'"),
    ({"restart": "always:3"}, "maximum retry count can only be used with 'on-failure'"),
    ({"restart": "on-failure:x"}, "maximum retry count must be an integer"),
    ({"restart": "always", "rm": True}, "cannot specify both --restart and --rm"),
    ({"log_driver": "gelf"}, 'no log driver named "gelf" is registered'),
    ({"log_opt": ["max-size"]}, "invalid logging opt format"),
    ({"log_opt": ["bogus=1"]}, "unknown log opt 'bogus' for json-file log driver"),
    ({"log_opt": ["max-size=x"]}, "invalid size: 'x'"),
    ({"log_opt": ["max-file=0"]}, "max-file cannot be less than 1"),
    ({"attach": ["tty"]}, "valid streams are STDIN, STDOUT and STDERR"),
    ({"attach": ["stdin"], "detach": True}, "cannot specify both --attach and --detach"),
    ({"detach_keys": "ctrl-1"}, "invalid detach keys (ctrl-1)"),
    ({"health_cmd": "x", "no_healthcheck": True}, "--no-healthcheck conflicts with --health-* options"),
    ({"health_cmd": "x", "health_interval": "5"}, 'time: missing unit in duration "5"'),
    ({"health_cmd": "x", "health_interval": "5x"}, 'time: unknown unit "x" in duration "5x"'),
    ({"health_cmd": "x", "health_timeout": "abc"}, 'time: invalid duration "abc"'),
    ({"health_cmd": "x", "health_timeout": "1us"}, "Timeout in Healthcheck cannot be less than 1ms"),
    ({"gpus": "all"}, "--gpus is not supported"),
    ({"link": ["a:b:c"]}, "bad format for links: a:b:c"),
    ({"init": True, "init_path": "/nowhere"}, "cannot use init program /nowhere: no such file"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED, ids=[str(case[0])[:70] for case in REFUSED])
def test_wrong_value_is_refused_in_words(options: dict[str, Any], words: str) -> None:
    defaults: dict[str, Any] = {"command": ["sh"]} if "entrypoint" not in options else {}
    with pytest.raises(UsageError) as refused:
        make(**defaults, **options)
    assert words in refused.value.message
    assert refused.value.exit_status == 125
    assert "\n" not in str(refused.value)


def test_no_command_at_all() -> None:
    with pytest.raises(UsageError, match="no command specified"):
        make({"id": "1", "config": {"config": {}}})


def test_capability_that_the_host_lacks() -> None:
    host = MemoryHost()
    host.bits &= ~(1 << 24)
    with pytest.raises(HostError, match="CAP_SYS_RESOURCE"):
        make(host=host, cap_add=["sys_resource"])


def test_no_init_program_installed() -> None:
    class Bare(MemoryHost):
        def init_program(self) -> str:
            return ""

    with pytest.raises(HostError) as refused:
        make(host=Bare(), init=True)
    assert refused.value.hint == "install the package catatonit or tini"


def test_rootfs_that_is_not_there() -> None:
    with pytest.raises(CrateError, match="cannot use rootfs web: no such directory"):
        make(None, command=["sh"])


def test_image_with_a_wrong_volume() -> None:
    image = {**IMAGE, "config": {"config": {"Cmd": ["x"], "Volumes": {"/": {}}}}}
    with pytest.raises(UsageError, match="destination can't be '/'"):
        make(image)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"Cmd": ["a\0b"]}, "command: a NUL byte"),
        ({"Cmd": ["a"], "Env": ["A=1", "B=\0"]}, "environment: a NUL byte"),
        ({"Cmd": ["a"], "WorkingDir": "/a\0"}, "working directory: a NUL byte"),
        ({"Cmd": ["a"], "Volumes": {"/a\0": {}}}, "mounts: a NUL byte"),
    ],
)
def test_image_with_nul_bytes(config: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make({"id": "1", "layers": [], "config": {"config": config}})
