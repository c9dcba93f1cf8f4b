"""Trials: keys, seeds, returned values, and digests that follow the code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import demo_trials as trials
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify.digest import closure, code_digest
from verify.trial import Trial, canonical, checked_values, trial, trial_key, trial_seed


def test_a_trial_is_its_function_and_its_name() -> None:
    assert trials.noisy_mean.name == "demo_trials.noisy_mean"
    one, other = trials.noisy_mean(3, n=10), trials.noisy_mean(3, n=10)
    assert one == other
    assert isinstance(one["profile"], list)
    assert trials.noisy_mean.accepts("n")
    assert not trials.noisy_mean.accepts("device")
    assert trials.device_name_length.accepts("device")


def test_only_top_level_functions_with_a_seed_are_trials() -> None:
    def inner(seed: int) -> dict[str, float]:
        return {"x": 1.0}

    with pytest.raises(ValueError, match="top-level"):
        trial(inner)
    with pytest.raises(ValueError, match="first parameter"):
        Trial(lambda_without_seed)


def lambda_without_seed(n: int) -> dict[str, float]:
    """No trial: it takes no seed."""
    return {"x": float(n)}


def test_values_are_plain_and_finite() -> None:
    found = checked_values("t", {"a": np.float32(0.5), "b": np.arange(3), "c": 1, "d": True})
    assert found == {"a": 0.5, "b": [0.0, 1.0, 2.0], "c": 1.0, "d": 1.0}
    assert all(type(found[key]) is float for key in "acd")


@pytest.mark.parametrize(
    "values",
    [{}, None, {"a": float("nan")}, {"a": [1.0, float("inf")]}, {"a": "x"}, {"a": [[1.0]]}],
)
def test_other_values_are_refused(values: Any) -> None:
    with pytest.raises(ValueError, match="trial t"):
        checked_values("t", values)


plain = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.one_of(
        st.integers(-100, 100),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=5),
        st.booleans(),
        st.none(),
        st.lists(st.integers(0, 5), max_size=3),
    ),
    max_size=4,
)


@given(plain, st.integers(0, 2**40), st.integers(0, 1000))
def test_keys_and_seeds_ignore_the_order_of_settings(
    settings: dict[str, Any], root: int, replicate: int
) -> None:
    backwards = dict(reversed(settings.items()))
    assert canonical(settings) == canonical(backwards)
    seed = trial_seed(root, "t", settings, replicate)
    assert seed == trial_seed(root, "t", backwards, replicate)
    assert 0 <= seed < 2**48
    assert seed != trial_seed(root, "t", settings, replicate + 1)
    assert seed != trial_seed(root + 1, "t", settings, replicate)


@given(plain)
def test_keys_differ_with_each_part(settings: dict[str, Any]) -> None:
    key = trial_key("t", "d", settings, 1)
    assert key == trial_key("t", "d", settings, 1)
    others = {
        trial_key("s", "d", settings, 1),
        trial_key("t", "e", settings, 1),
        trial_key("t", "d", {**settings, "another": 1}, 1),
        trial_key("t", "d", settings, 2),
    }
    assert len(others) == 4
    assert key not in others


def test_tuples_and_numpy_scalars_are_the_same_settings() -> None:
    assert canonical({"a": (1, 2), "b": np.int64(3)}) == canonical({"b": 3, "a": [1, 2]})
    for bad in ({"a": float("nan")}, {"a": np.zeros(2)}, {"a": {1: 2}}, {"a": object()}):
        with pytest.raises(ValueError, match="JSON-able"):
            canonical(bad)


def test_the_device_changes_the_key_but_not_the_seed() -> None:
    here, there = {"n": 1, "device": "cpu"}, {"n": 1, "device": "cuda"}
    assert trial_seed(0, "t", here, 0) == trial_seed(0, "t", there, 0)
    assert trial_key("t", "d", here, 0) != trial_key("t", "d", there, 0)


# ------------------------------------------------------------------------- digests

SOURCES = {
    "sample_house/__init__.py": '"""House."""\nTOP = 1\n',
    "sample_house/measure.py": (
        "from sample_house.inner import deep\nfrom sample_house import helper\nimport math\n"
        "def f():\n    from sample_house import late\n    return late.X\n"
    ),
    "sample_house/helper.py": "from . import relative\nfrom .inner.other import Y\n",
    "sample_house/relative.py": "R = 1\n",
    "sample_house/late.py": '"""Late."""\nX = 1  # one\n',
    "sample_house/unused.py": "U = 1\n",
    "sample_house/inner/__init__.py": "",
    "sample_house/inner/deep.py": "from sample_house import TOP\nD = TOP\n",
    "sample_house/inner/other.py": "Y = 1\n",
    "sample_house/dynamic/__init__.py": "",
    "sample_house/dynamic/lister.py": "import importlib\nimportlib.import_module('x')\n",
    "sample_house/dynamic/listed.py": "L = 1\n",
    "sample_house/dynamic/user.py": "from sample_house.dynamic import lister\n",
}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package on disk, importable for the time of a test."""
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "sample_house"
    for name in [name for name in sys.modules if name.startswith("sample_house")]:
        del sys.modules[name]


def test_the_closure_follows_imports_everywhere_but_no_further(house: Path) -> None:
    assert closure("sample_house.measure") == (
        "sample_house",
        "sample_house.helper",
        "sample_house.inner",
        "sample_house.inner.deep",
        "sample_house.inner.other",
        "sample_house.late",
        "sample_house.measure",
        "sample_house.relative",
    )


def test_imports_by_name_bring_the_whole_package(house: Path) -> None:
    assert "sample_house.dynamic.listed" in closure("sample_house.dynamic.user")


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("measure.py", "late.X", "late.X + 1", True),
        ("late.py", "X = 1", "X = 2", True),
        ("inner/other.py", "Y = 1", "Y = 2", True),
        ("__init__.py", "TOP = 1", "TOP = 2", True),
        ("late.py", "# one", "# the first", False),
        ("late.py", "Late.", "Never too late.", False),
        ("unused.py", "U = 1", "U = 2", False),
    ],
)
def test_the_digest_follows_the_code(
    house: Path, file: str, old: str, new: str, changes: bool
) -> None:
    before = code_digest("sample_house.measure")
    path = house / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert (code_digest("sample_house.measure") != before) is changes


def test_the_digest_of_a_trial_reaches_the_packages_it_measures_with() -> None:
    found = closure("verify.trial")
    assert "verify.digest" in found
    assert "verify" not in found  # the packages of judgement list claims and compute nothing
    assert "verify.runner" not in found
