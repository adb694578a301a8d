"""`kube play` and `kube down`: pods of Kubernetes YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from program import until

if TYPE_CHECKING:
    from pathlib import Path

    from program import Crate

IMAGE = "crate.local/busybox"
YAML = f"""
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: kept}}
---
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {{tier: front}}
spec:
  restartPolicy: Never
  hostNetwork: true
  volumes:
  - {{name: shared, emptyDir: {{}}}}
  - {{name: data, persistentVolumeClaim: {{claimName: kept}}}}
  containers:
  - name: writer
    image: {IMAGE}
    command: [sh, -c, 'echo $WHO > /shared/file; touch /data/file']
    env: [{{name: WHO, value: me}}]
    volumeMounts:
    - {{name: shared, mountPath: /shared}}
    - {{name: data, mountPath: /data}}
  - name: reader
    image: {IMAGE}
    command: [sh, -c, 'until test -s /shared/file; do sleep 0.1; done; cat /shared/file']
    resources: {{limits: {{memory: 64Mi}}}}
    volumeMounts:
    - {{name: shared, mountPath: /shared, readOnly: true}}
"""

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def test_play_and_down(crate: Crate, tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(YAML)
    lines = crate.ok("kube", "play", str(file)).splitlines()
    assert lines[:2] == ["Volume:", "kept"] and "Pod:" in lines and "Containers:" in lines
    pod = lines[lines.index("Pod:") + 1]
    assert crate.ok("pod", "inspect", "-f", "{{.Id}} {{.ExitPolicy}}", "web") == f"{pod} stop"
    crate.ok("wait", "web-reader")
    assert crate.ok("logs", "web-reader") == "me"
    assert crate.inspect("web-reader")["HostConfig"]["Memory"] == 64 << 20
    until(lambda: crate.ok("pod", "inspect", "-f", "{{.State}}", "web") == "Exited", what="the pod has ended")
    assert "web" in crate.fails(125, "play", "kube", str(file))
    crate.ok("play", "kube", "--replace", "--start=false", str(file))
    assert crate.ok("pod", "inspect", "-f", "{{.State}}", "web") == "Created"
    assert crate.ok("kube", "down", "-", input=file.read_text()).startswith("Pods stopped:")
    assert crate("pod", "exists", "web").status == 1
    assert crate.ok("volume", "ls", "-q").split() == ["kept"]
    crate.ok("kube", "down", "--force", str(file))
    assert crate.ok("volume", "ls", "-q") == ""


def test_nothing_is_left_of_what_fails(crate: Crate, tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(YAML.replace("64Mi", "1Ki"))
    assert "memory" in crate.fails(125, "kube", "play", str(file)).lower()
    assert crate.ok("pod", "ps", "-q") == "" and crate.ok("ps", "-aq") == ""
    file.write_text("kind: [")
    assert "cannot read" in crate.fails(125, "kube", "play", str(file))
    file.write_text("kind: Service")
    assert "Service" in crate.fails(125, "kube", "play", str(file))
    assert "no such file" in crate.fails(125, "kube", "play", str(tmp_path / "none")).lower()
