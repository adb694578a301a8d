"""`images`, `history`, `run --rmi`: what is shown of images, and when one goes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from program import Crate

IMAGE = "crate.local/busybox"
RUN = ("run", "--network", "none")

pytestmark = [pytest.mark.requires("root", "overlay", "busybox"), pytest.mark.usefixtures("busybox")]


def test_json_is_podmans(crate: Crate) -> None:
    crate.ok("tag", IMAGE, "second:one")
    (image,) = json.loads(crate.ok("images", "--format", "json"))
    assert set(image["Names"]) == {f"{IMAGE}:latest", "localhost/second:one"}
    assert image["Id"] == crate.ok("image", "inspect", "-f", "{{.Id}}", IMAGE)
    assert isinstance(image["Size"], int) and re.fullmatch(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", image["CreatedAt"])
    assert json.loads(crate.ok("images", "--format", "json", "nothing")) == []
    lines = crate.ok("images", "--format", "{{json .}}").splitlines()
    assert {json.loads(line)["Tag"] for line in lines} == {"latest", "one"}
    steps = json.loads(crate.ok("history", "--format", "json", IMAGE))
    assert steps[0]["id"] == image["Id"] and {"created", "CreatedBy", "size"} <= steps[0].keys()
    assert crate.ok("volume", "create", "--label", "a=b", "data") == "data"
    (volume,) = json.loads(crate.ok("volume", "ls", "--format", "json"))
    assert volume["Name"] == "data" and volume["Labels"] == {"a": "b"}
    assert "none" in [network["name"] for network in json.loads(crate.ok("network", "ls", "--format", "json"))]


def test_columns_are_aligned(crate: Crate) -> None:
    """Two blanks between columns that are ten wide at least, and each blank of a `table` begins one: as podman."""
    crate.ok("tag", IMAGE, "a.b/c:d")
    form = "table {{.Repository}} {{.Tag}} {{.ID}}"
    heading, first, second = crate.ok("images", "--sort", "repository", "--format", form).splitlines()
    short = crate.ok("images", "-q", IMAGE)
    assert heading == "REPOSITORY           TAG         IMAGE ID"
    assert (
        first == f"a.b/c                d           {short}" and second == f"crate.local/busybox  latest      {short}"
    )


def test_times_are_the_same_in_history(crate: Crate) -> None:
    form = "{{.CreatedSince}}--{{.CreatedAt}}"
    assert crate.ok("history", "--format", form, IMAGE).splitlines()[0] == crate.ok("images", "--format", form, IMAGE)


def test_what_is_not_there(crate: Crate) -> None:
    """podman's statuses: 1 of rmi and exists, 125 of whatever needs the image."""
    for words in ("history none", "untag none", "tag none other", "image inspect none"):
        done = crate(*words.split())
        assert done.status == 125 and "none: image not known" in done.err, words
    assert crate("rmi", "none").status == 1 and crate("image", "exists", "none").status == 1


def test_run_takes_the_image_along(crate: Crate) -> None:
    crate.ok(*RUN, "--name", "other", IMAGE, "true")
    kept = crate(*RUN, "--rmi", IMAGE, "sh", "-c", "exit 3")
    assert kept.status == 3 and "the image stays" in kept.err
    assert crate.ok("ps", "-a", "--format", "{{.Names}}") == "other"
    crate.ok("rm", "other")
    assert crate.ok(*RUN, "--rmi", IMAGE, "echo", "last") == "last"
    assert crate("image", "exists", IMAGE).status == 1
    assert "--detach" in crate.fails(125, *RUN, "--rmi", "-d", IMAGE, "true")


def test_platform_is_looked_at(crate: Crate) -> None:
    assert crate.ok("image", "inspect", "--platform", "linux", "-f", "{{.Os}}", IMAGE) == "linux"
    assert "is of linux/" in crate.fails(125, "image", "inspect", "--platform", "linux/s390x", "-f", "{{.Os}}", IMAGE)
    assert "is of linux/" in crate.fails(125, "rmi", "--platform", "linux/s390x", IMAGE)
    assert "not for linux/s390x" in crate.fails(125, "pull", "-q", "--platform", "linux/s390x", IMAGE)
    assert crate("image", "exists", IMAGE).status == 0
    crate.ok("rmi", "--platform", "linux", IMAGE)
    assert crate("image", "exists", IMAGE).status == 1


def test_what_is_refused_says_why(crate: Crate) -> None:
    for words, reason in {
        "create --gpus all": "--device", "create --isolation hyperv": "default", "create --cpu-count 2": "Windows",
        "create --io-maxiops 5": "Windows", "create --use-api-socket": "no daemon",
        "create --storage-opt size=1G": "quotas", "create --volume-driver nfs": "local",
        "create --link-local-ip 169.254.1.1": "--ip",
    }.items():  # fmt: skip
        refusal = crate.fails(125, *words.split(), IMAGE)
        assert words.split()[1] in refusal and reason in refusal, refusal
    crate.ok("create", "--isolation", "default", "--cpu-count=0", "--volume-driver", "local", "--name", "one", IMAGE)
    assert "--checkpoint is not supported" in crate.fails(125, "start", "--checkpoint", "x", "one")


def test_image_of_an_archive(crate: Crate) -> None:
    archive = f"{crate.place}/image.tar"
    crate.ok("tag", IMAGE, "packed:one")
    crate.ok("save", "-o", archive, "packed:one")
    crate.ok("rmi", "packed:one", IMAGE)
    done = crate(*RUN, "--name", "one", f"docker-archive:{archive}", "echo", "unpacked")
    assert (done.status, done.out) == (0, "unpacked\n")
    assert done.err.startswith("Getting image source signatures\nCopying blob ") and "Copying config" in done.err
    assert crate.inspect("one")["ImageName"] == "localhost/packed:one"
    assert crate.ok("pull", "-q", f"docker-archive:{archive}") == crate.inspect("one")["Image"]
    assert "not supported" in crate.fails(125, "pull", "docker-daemon:busybox")
    assert "no-such-file" in crate.fails(125, *RUN, "docker-archive:/no-such-file", "true")
    assert crate.ok(*RUN, "--pull", "never", "docker://localhost/packed:one", "echo", "by name") == "by name"


def test_trees(crate: Crate) -> None:
    """`images --tree` draws platforms and layers, `image tree` podman's form; what images say is no markup."""
    crate.ok("create", "--name", "one", IMAGE)
    crate.ok("commit", "-q", "-m", "x", "one", "child:1")
    crate.ok("manifest", "create", "both:1", IMAGE, "child:1")
    lines = crate.ok("images", "-t", "--sort", "repository").splitlines()
    image_id, child_id = (crate.ok("images", "-q", name) for name in (IMAGE, "child:1"))
    machine = crate.ok("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", IMAGE)
    assert lines[0].startswith(f"{IMAGE}:latest  {image_id}  ")
    assert lines[1].startswith(f"└── {machine}  {image_id}  ") and lines[2].startswith("    └── ")
    assert lines[2].endswith("crate: busybox of this host")
    assert lines[3].startswith("localhost/both:1  ") and lines[4].startswith(f"├── {machine}  {image_id}")
    assert any(line.startswith(f"└── {machine}  {child_id}") for line in lines[5:])
    shown = crate.ok("image", "tree", "--whatrequires", IMAGE).splitlines()
    assert shown[:2] == [f"Image ID: {image_id}", f"Tags:     [{IMAGE}:latest]"] and shown[3] == "Image Layers"
    assert shown[4].startswith("└── ID: ") and shown[4].endswith(f"Top Layer of: [{IMAGE}:latest]")
    assert shown[5].startswith("    └── ID: ") and shown[5].endswith("Top Layer of: [localhost/child:1]")
    assert len(crate.ok("image", "tree", IMAGE).splitlines()) == 5
    assert "exclude each other" in crate.fails(125, "images", "--tree", "-q")


def test_names_that_an_image_had(crate: Crate) -> None:
    for name in ("first", "second"):
        crate.ok("tag", IMAGE, name)
        crate.ok("rmi", name)
    wanted = f"{IMAGE}:latest, localhost/second:latest, localhost/first:latest"
    assert crate.ok("images", "--format", "{{.History}}") == wanted
    crate.ok("pull", "-q", IMAGE)
    assert crate.ok("image", "inspect", "-f", '{{join .NamesHistory ", "}}', IMAGE) == wanted
    assert wanted in crate.ok("images", "--history")
