"""Kubernetes objects as options of pods and containers."""

from __future__ import annotations

from typing import Any

import pytest

from crate.errors import UsageError
from crate.plan import kube


def pod(**spec: Any) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": "web", "labels": {"tier": "front"}}, "spec": spec}


def one(**container: Any) -> dict[str, Any]:
    return {"name": "main", "image": "nginx", **container}


def test_a_container() -> None:
    made = kube.make_pod(
        pod(
            restartPolicy="Never",
            containers=[
                one(
                    command=["sh", "-c"],
                    args=["exit 3"],
                    env=[{"name": "A", "value": "1"}, {"name": "B"}],
                    ports=[{"containerPort": 80, "hostPort": 8080}, {"containerPort": 53}],
                    resources={"limits": {"cpu": "500m", "memory": "128Mi"}, "requests": {"memory": "1G"}},
                    securityContext={"runAsGroup": 7, "capabilities": {"drop": ["ALL"]}},
                    imagePullPolicy="Never",
                )
            ],
            securityContext={"runAsUser": 1000, "allowPrivilegeEscalation": False},
        ),
        {},
    )
    assert made.pod["name"] == "web" and made.pod["label"] == ["tier=front"] and made.pod["exit_policy"] == "stop"
    assert made.pod["publish"] == ["8080:80/tcp"]
    (container,) = made.containers
    wanted = {
        "name": "web-main", "image": "nginx", "entrypoint": '["sh","-c"]', "command": ["exit 3"], "env": ["A=1", "B="],
        "cpus": "0.500", "memory": "134217728", "memory_reservation": "1000000000", "user": "1000:7", "restart": "no",
        "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "pull": "never",
    }  # fmt: skip
    assert {key: container[key] for key in wanted} == wanted


def test_volumes() -> None:
    volumes = [
        {"name": "host", "hostPath": {"path": "/srv/data", "type": "DirectoryOrCreate"}},
        {"name": "scratch", "emptyDir": {}},
        {"name": "kept", "persistentVolumeClaim": {"claimName": "claim"}},
    ]
    mounts = [
        {"name": "host", "mountPath": "/data", "readOnly": True},
        {"name": "scratch", "mountPath": "/tmp"},
        {"name": "kept", "mountPath": "/db"},
    ]
    made = kube.make_pod(pod(volumes=volumes, containers=[one(volumeMounts=mounts)]), {})
    assert made.containers[0]["volume"] == ["/srv/data:/data:ro", "web-scratch:/tmp", "claim:/db"]
    assert made.directories == ["/srv/data"] and made.volumes == ["web-scratch"]


def test_deployment_and_host_network() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod(hostNetwork=True, containers=[one()])["spec"]}
    document = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3, "template": template}}
    made = kube.make_pod(document, {})
    assert made.pod["name"] == "web-pod" and made.pod["label"] == ["a=b"] and made.pod["network"] == ["host"]
    assert made.containers[0]["name"] == "web-pod-main" and made.containers[0]["restart"] == "always"
    assert "one replica" in made.warnings[0]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"kind": "Service"}, "cannot play kind 'Service'"),
        (pod(), "has no containers"),
        (pod(containers=[{"name": "x"}]), "has no image"),
        (pod(containers=[one()], initContainers=[one()]), "initContainers is not supported"),
        (pod(containers=[one(env=[{"name": "A", "valueFrom": {"secretKeyRef": {}}}])]), "valueFrom of variable A"),
        (pod(containers=[one(volumeMounts=[{"name": "gone", "mountPath": "/x"}])]), "no volume 'gone'"),
        (pod(containers=[one()], volumes=[{"name": "v", "nfs": {"server": "s"}}]), "nfs is not supported"),
        (pod(containers=[one(resources={"limits": {"memory": "lots"}})]), "no quantity"),
        (pod(containers=[one()], restartPolicy="Sometimes"), "invalid restartPolicy"),
        ({"kind": "Pod", "spec": {"containers": [one()]}}, "has no metadata.name"),
    ],
)
def test_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        kube.kind_of(document)
        kube.make_pod(document, {})
