"""One step of a stage: looked up in the cache, or made and kept there; at most one process makes the same step.

    key = what the layers below are + the instruction as it is executed + the digests of all that goes into it

The key of a step that changes files leaves out what was only configured since, but for what the step itself sees of it
(environment, directory, user, shell): a changed LABEL makes no RUN anew. A step that only configures has a key too, for
its `created`: the same Dockerfile gives the same image again.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from crate.build.state import State, key_of
from crate.image import making
from crate.storage import build_cache, layers
from crate.storage.layer_work import LayerWork

if TYPE_CHECKING:
    from collections.abc import Callable

    from crate.build.request import Request
    from crate.storage.roots import Roots

_FORM = 1  # of the keys: another one makes every step anew


class Steps:
    """Makes the steps of one stage. `uses_cache` is False for --no-cache; what is made is kept all the same."""

    def __init__(self, roots: Roots, request: Request, uses_cache: bool) -> None:
        self._roots = roots
        self._request = request
        self._uses_cache = uses_cache
        self._times = [request.epoch, request.latest_ns, request.exact_times]

    def begin(self, state: State, *inputs: Any) -> None:
        """The first keys of a stage, which stand for its base image."""
        state.files_key = key_of(_FORM, state.diff_ids, state.os, state.architecture, state.variant)
        state.key = key_of(_FORM, state.image or state.files_key, *inputs)

    def configured(self, state: State, created_by: str, text: str) -> bool:
        """Notes a step that changed no file: its entry of the history. True when it was known."""
        state.key = key_of(state.key, "configure", text, created_by, self._times)
        state.keys.append(state.key)
        record = self._find(state, state.key)
        created = record["created"] if record else self._now()
        if not record:
            build_cache.put(
                self._roots, state.key, {"layer": "", "created": created, "size": 0, "text": text, "parent": ""}
            )
        entry = {"created": created, "created_by": created_by, "comment": COMMENT, "empty_layer": True}
        _add_history(state, entry)
        return record is not None

    def changed(
        self,
        state: State,
        created_by: str,
        inputs: list[Any],
        change: Callable[[LayerWork, int], object],
        *,
        keeps_empty: bool = True,
    ) -> bool:
        """Notes a step that changes files, after `change` made it, unless it is known: True then.

        `change` gets the layer and the descriptor of its root, which is closed afterwards. `inputs` (of JSON) are all
        that the result depends on. Without `keeps_empty` a step that changed nothing has no layer.
        """
        files_key = key_of(state.files_key, inputs, self._times)
        record = self._find(state, files_key)
        known = record is not None
        if record is None:
            with build_cache.Turn(self._roots, files_key):
                record = self._find(state, files_key)
                known = record is not None
                if record is None:
                    record = self._make(state, files_key, created_by, change, keeps_empty)
        entry = {"created": record["created"], "created_by": created_by, "comment": COMMENT}
        if record["layer"]:
            state.layers.append(record["layer"])
            state.diff_ids.append(record["diff_id"])
            state.descriptors.append(record["descriptor"])
        else:
            entry["empty_layer"] = True
        state.files_key = files_key
        state.keys.append(files_key)
        state.key = key_of(state.key, "files", files_key, created_by)
        _add_history(state, entry)
        return known

    def _make(
        self,
        state: State,
        files_key: str,
        created_by: str,
        change: Callable[[LayerWork, int], object],
        keeps_empty: bool,
    ) -> dict[str, Any]:
        started = time.monotonic()
        with LayerWork(self._roots, state.diff_ids) as work:
            root_fd = work.mount(state.layers)
            try:
                change(work, root_fd)
            finally:
                os.close(root_fd)
            record: dict[str, Any] = {"created": self._now(), "text": created_by, "layer": "", "size": 0}
            record["parent"] = state.layers[-1] if state.layers else ""
            if work.is_empty() and not keeps_empty:
                work.abort()
            else:
                work.seal(self._request.latest_ns, self._request.exact_times)
                assert work.unpacked
                layers.publish(self._roots, [work], synced=False)
                record |= {
                    "layer": work.chain_id,
                    "diff_id": work.diff_id,
                    "descriptor": making.layer_descriptor(work),
                    "size": work.unpacked.size,
                }
        record["seconds"] = round(time.monotonic() - started, 3)
        build_cache.put(self._roots, files_key, record)
        return record

    def _find(self, state: State, key: str) -> dict[str, Any] | None:
        """The record of a step that may be used again: its layer is here, on the layers of this stage."""
        if not self._uses_cache:
            return None
        record = build_cache.find(self._roots, key)
        if record is None:
            return None
        if record["layer"]:
            if layers.chain_ids([*state.diff_ids, record["diff_id"]])[-1] != record["layer"]:
                return None
            if layers.missing(self._roots, [record["layer"]]):
                return None
        if self._request.cache_ttl >= 0:
            from crate.oci import moment

            if time.time() - moment.created(record["created"]) / 1e9 > self._request.cache_ttl:
                return None
        return record

    def _now(self) -> str:
        return making.now() if self._request.epoch is None else making.stamp(self._request.epoch * 1_000_000_000)


COMMENT = "buildkit.dockerfile.v0"


def _add_history(state: State, entry: dict[str, Any]) -> None:
    state.history.append(entry)
    state.created = entry["created"]
