"""`manifest`: lists made of local images and of those of a registry, pushed to it, read by skopeo, run by name."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from registry.made import layer_tar

if TYPE_CHECKING:
    from images.server import Registry
    from program import Crate

IMAGE = "crate.local/busybox"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

pytestmark = [
    pytest.mark.requires("root", "overlay", "busybox", "skopeo", "registry"),
    pytest.mark.usefixtures("busybox"),
]


@pytest.fixture
def arm(crate: Crate) -> str:
    """A small image for another platform."""
    (crate.place / "arm.tar").write_bytes(layer_tar(arm="yes"))
    crate.ok("import", "-q", "--arch", "arm64", "--variant", "v8", f"{crate.place}/arm.tar", "arm:1")
    return "arm:1"


def inspect(crate: Crate, name: str, *options: str) -> Any:
    return json.loads(crate.ok("manifest", "inspect", *options, name))


def raw(name: str) -> dict[str, Any]:
    command = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert isinstance(found, dict)
    return found


def test_a_list_grows_and_shrinks(crate: Crate, arm: str) -> None:
    list_id = crate.ok("manifest", "create", "both:1")
    assert inspect(crate, "both:1") == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    assert crate.ok("manifest", "add", "both:1", IMAGE) == list_id
    assert crate.ok("manifest", "add", "--annotation", "a=b", "--os-version", "7", list_id[:12], arm) == list_id
    own, other = inspect(crate, "both:1")["manifests"]
    assert other["platform"] == {"architecture": "arm64", "os": "linux", "os.version": "7"}
    assert other["annotations"] == {"a": "b"} and other["size"] > 0
    assert own["digest"] == crate.ok("image", "inspect", "-f", "{{.Digest}}", IMAGE)
    crate.ok("manifest", "annotate", "--variant", "v9", "--features", "x,y", "both:1", other["digest"])
    crate.ok("manifest", "annotate", "--arch", "mips", "both:1", arm)
    told = inspect(crate, "both:1")["manifests"][1]["platform"]
    assert told["variant"] == "v9" and told["features"] == ["x", "y"] and told["architecture"] == "mips"
    crate.ok("manifest", "add", "both:1", arm)
    assert len(inspect(crate, "both:1")["manifests"]) == 2, "an image is in a list once"
    assert crate.ok("manifest", "remove", "both:1", other["digest"]) == list_id
    assert [one["digest"] for one in inspect(crate, "both:1")["manifests"]] == [own["digest"]]
    assert crate("manifest", "exists", "both:1").status == 0 and crate("manifest", "exists", arm).status == 1
    assert "already in use" in crate.fails(125, "manifest", "create", "both:1")
    assert "already in use" in crate.fails(125, "manifest", "create", IMAGE)
    assert crate.ok("manifest", "create", "--amend", "both:1", arm) == list_id
    assert len(inspect(crate, "both:1")["manifests"]) == 2
    assert "no such manifest list" in crate.fails(125, "manifest", "add", arm, IMAGE)
    assert "no image of the manifest list" in crate.fails(125, "manifest", "remove", "both:1", "sha256:" + "0" * 64)
    assert "annotation" in crate.fails(125, "manifest", "annotate", "--annotation", "x", "both:1", arm)
    # The list has names as an image has, and is no image.
    crate.ok("tag", "both:1", "example.com/both:2")
    assert crate.ok("run", "--rm", "--network", "none", "both:1", "echo", "ours") == "ours"
    assert "example.com/both" in crate.ok("images", "--filter", "manifest=true")
    assert "both" not in crate.ok("images", "--filter", "manifest=false", "--format", "{{.Repository}}")
    crate.ok("untag", "both:1", "both:1")
    gone = crate.ok("rmi", "example.com/both:2").splitlines()
    assert gone == ["Untagged: example.com/both:2", f"Deleted: {list_id}"]
    assert crate("image", "exists", IMAGE).status == 0 and crate("image", "exists", arm).status == 0


def test_push(crate: Crate, registry: Registry, arm: str) -> None:
    crate.ok("manifest", "create", "both:1", IMAGE, arm)
    crate.ok("rmi", arm)  # the list keeps what it needs
    target = f"{registry.address}/pushed/both:1"
    digest = crate.ok("manifest", "push", "-q", "--digestfile", f"{crate.place}/digest", "both:1", f"docker://{target}")
    assert (crate.place / "digest").read_text() == digest
    pushed = raw(target)
    assert pushed["mediaType"] == OCI_INDEX and len(pushed["manifests"]) == 2
    assert crate.ok("manifest", "inspect", target) == crate.ok(
        "manifest", "inspect", f"{target.rpartition(':')[0]}@{digest}"
    )
    whole = inspect(crate, target, "--verbose")
    assert {one["Descriptor"]["platform"]["architecture"] for one in whole} >= {"arm64"}
    assert all(one["OCIManifest"]["layers"] for one in whole)
    crate.ok("rmi", "-f", IMAGE)
    crate.ok("pull", "-q", "--platform", "linux/arm64", target)
    assert crate.ok("image", "inspect", "-f", "{{.Architecture}}", target) == "arm64"
    for architecture in ("amd64", "arm64"):
        copy = ["skopeo", "--insecure-policy", "--override-arch", architecture, "copy", "-q", "--src-tls-verify=false"]
        subprocess.run([*copy, f"docker://{target}", f"dir:{crate.place}/{architecture}"], check=True)
    # Lists of lists, of what only the registry has: within one registry, to another repository, in docker's form.
    crate.ok("manifest", "create", "again:1")
    crate.ok("manifest", "add", "--arch", "arm64", "again:1", f"docker://{target}")
    assert len(inspect(crate, "again:1")["manifests"]) == 1
    crate.ok("manifest", "add", "--all", "again:1", f"docker://{target}")
    assert len(inspect(crate, "again:1")["manifests"]) == 2
    second = f"{registry.address}/other/again:2"
    crate.ok("manifest", "push", "-q", "--rm", "again:1", second)
    assert {one["digest"] for one in raw(second)["manifests"]} == {one["digest"] for one in pushed["manifests"]}
    assert crate("manifest", "exists", "again:1").status == 1
    crate.ok("manifest", "create", "--all", "third", f"docker://{target}")
    crate.ok("manifest", "push", "-q", "--all=false", "--format", "v2s2", "third", target.replace(":1", ":docker"))
    assert raw(target.replace("both:1", "both:docker"))["mediaType"].endswith("manifest.list.v2+json")
    assert "not supported" in crate.fails(125, "manifest", "push", "third", f"dir:{crate.place}/x")
    assert crate("manifest", "inspect", f"{registry.address}/none").status == 125
