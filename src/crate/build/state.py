"""What a stage has become so far: its layers, its configuration, its history, and the keys of its cache."""

from __future__ import annotations

from typing import Any

from crate.build.records import dataclass, field
from crate.oci import digest as digests
from crate.oci import json


@dataclass
class State:
    """An image that is being made. It travels between the processes of a build as JSON.

    `config` is the `config` of an image config. `layers` are chain ids, lowest first, as `diff_ids` and `descriptors`
    (of a manifest) are; of a base image some may have no blob here. `files_key` names the content of the layers in the
    cache, `key` besides all that was configured. `base` is the name and digest that labels tell, `inherited` how many
    of the layers and steps of history came from the base image, `onbuild` its triggers;
    `variables` those of the stage's end, and its ARGs; `keys` of all records of the cache that made it.
    """

    architecture: str
    os: str
    variant: str = ""
    author: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)
    diff_ids: list[str] = field(default_factory=list)
    descriptors: list[dict[str, Any]] = field(default_factory=list)
    files_key: str = ""
    key: str = ""
    created: str = ""
    base: tuple[str, str] = ("", "")
    inherited: tuple[int, int] = (0, 0)
    onbuild: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    image: str = ""

    def copy(self) -> State:
        """An independent one."""
        return State.from_json(self.to_json())

    def to_json(self) -> str:
        """All of it as text."""
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> State:
        """What `to_json` gave."""
        fields = json.loads(text)
        fields["base"], fields["inherited"] = tuple(fields["base"]), tuple(fields["inherited"])
        return cls(**fields)


def key_of(*parts: Any) -> str:
    """A key of the cache: the digest of these values (of JSON), as bare hexadecimal digits."""
    return digests.of(json.canonical(list(parts)).encode("utf-8", "surrogateescape")).partition(":")[2]
