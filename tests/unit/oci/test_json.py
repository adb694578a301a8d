"""The hot JSON module is `json`, faster to load."""

from __future__ import annotations

import json as standard
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.oci import json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_writes_as_json_does(value: object) -> None:
    assert json.dumps(value) == standard.dumps(value, separators=(",", ":"))
    assert json.canonical(value) == standard.dumps(value, separators=(",", ":"), sort_keys=True)


@given(VALUES)
def test_pretty_as_json_does(value: object) -> None:
    assert json.pretty(value) == standard.dumps(value, indent=4)


@given(VALUES, st.text(alphabet=" \t\r\n", max_size=3))
def test_reads_as_json_does(value: object, space: str) -> None:
    text = space + standard.dumps(value) + space
    assert json.loads(text) == value
    assert json.loads(text.encode()) == value


@given(st.text(max_size=30))
def test_refuses_what_json_refuses(text: str) -> None:
    try:
        expected = standard.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            json.loads(text)
    else:
        assert json.loads(text) == expected or expected != expected  # noqa: PLR0124 - NaN


@pytest.mark.parametrize("text", ["{", "[1,", '{"a"}', '"\\x"', "01", "[1] 2", "", "nul"])
def test_refuses_without_json_loaded(text: str) -> None:
    """The interpreter's scanner raises an exception of `json.decoder`, which a hot command has not imported."""
    program = (
        "import sys; sys.path.insert(0, 'src')\nfrom crate.oci import json\n"
        "try:\n    json.loads(sys.argv[1])\nexcept ValueError:\n    print('refused')"
    )
    run = [sys.executable, "-I", "-S", "-c", program, text]
    assert subprocess.run(run, capture_output=True, text=True, check=False).stdout == "refused\n"


def test_refuses_values_without_a_form() -> None:
    with pytest.raises(TypeError, match="set has no JSON form"):
        json.dumps({1, 2})
