"""Networks in a virtual machine: an ordinary user's, with a kernel and a way out of their own; root's on a wire.

The user's are the main job in one start: pasta with a published port, a network with names, one without a way out.
"""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from abilities import CHECKOUT, vm_runner

IMAGE = "crate.local/busybox"
SECONDS = 900  # emulation is 15 to 40 times slower than the host
# `page ADDRESS`: what a client on the machine gets; `inside NAME ADDRESS`: what one in a container gets.
SCRIPT = f"""
crate() {{ "{CHECKOUT}/.venv/bin/crate" "$@"; }}
page() {{ for turn in 1 2 3 4 5 6 7 8 9; do curl -sfm 20 "http://$1/" && return; sleep 2; done; echo "no page of $1"; }}
inside() {{ crate exec "$1" timeout 60 wget -qO- "http://$2/" 2>/dev/null || echo "no way to $2"; }}
serve() {{
    name=$1; shift
    crate run -d --name "$name" "$@" {IMAGE} sh -c "mkdir /w; echo $name > /w/index.html; exec httpd -fh /w"
}}
crate pull -q {IMAGE} > /dev/null
serve alone -p 127.0.0.1:8001:80 > /dev/null
page 127.0.0.1:8001
crate network create front > /dev/null
crate network create --internal closed > /dev/null
serve web --network front --network-alias shop -p 8002:80 > /dev/null
serve kept --network closed > /dev/null
crate run -d --name client --network front --network closed {IMAGE} sleep 10000 > /dev/null
crate run -d --name prisoner --network closed {IMAGE} sleep 10000 > /dev/null
page 127.0.0.1:8002
page "$(hostname -I | cut -d ' ' -f 1):8002"
inside client web
inside client shop
inside client kept
inside prisoner kept
inside prisoner web
outside=$(crate exec client ip route | sed -n 's/^default via \\([^ ]*\\) .*/\\1/p')
echo "out: $([ -n "$outside" ] && echo yes) $(crate exec prisoner ip route | grep -c default)"
crate network connect front prisoner
inside prisoner web
crate rm -f -t 0 -a > /dev/null
crate network rm front closed
"""
SHOWN = """alone web web web web kept kept no way to web out: yes 0 web front closed"""

pytestmark = [
    pytest.mark.requires("root", "vm", "busybox"),
    pytest.mark.timeout(SECONDS + 60),
    pytest.mark.xdist_group("vm"),
    pytest.mark.slow,
]


def in_vm(*words: str) -> subprocess.CompletedProcess[str]:
    runner = vm_runner()
    assert runner
    command = [str(runner), "--timeout", str(SECONDS), "-e", "CRATE_IN_VM=1", *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["PYTHONPATH"] = f"{CHECKOUT}/src:{CHECKOUT}/tests"
    return subprocess.run(command, check=False, cwd=CHECKOUT, env=environment, capture_output=True, text=True)


@pytest.mark.requires("pasta")
def test_networks_of_an_ordinary_user() -> None:
    done = in_vm("--user", "tester", "--", "sh", "-c", SCRIPT)
    assert " ".join(done.stdout.split()) == SHOWN, done.stdout + done.stderr


def test_macvlan_and_ipvlan() -> None:
    tests = ("-c", "pyproject.toml", "--rootdir=tests", "-p", "no:cacheprovider", f"--timeout={SECONDS}")
    done = in_vm("--", str(CHECKOUT / ".venv/bin/python"), "-m", "pytest", *tests, "tests/net/test_macvlan.py")
    found = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0 and found and int(found[1]) >= 9, done.stdout + done.stderr
