"""Streams are functions of seed and path; devices are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerics import device, seeds

KEYS = st.lists(st.one_of(st.integers(), st.text(max_size=8)), max_size=4).map(tuple)


@given(seed=st.integers(), key=KEYS)
def test_same_path_same_numbers(seed: int, key: tuple[int | str, ...]) -> None:
    first, second = seeds.generator(seed, *key), seeds.generator(seed, *key)
    second_torch = seeds.torch_generator(seed, *key)
    assert np.array_equal(first.random(4), second.random(4))
    expected = torch.rand(4, generator=seeds.torch_generator(seed, *key))
    assert torch.equal(torch.rand(4, generator=second_torch), expected)
    assert 0 <= seeds.derive(seed, *key) < 2**63


@given(one=st.tuples(st.integers(), KEYS), two=st.tuples(st.integers(), KEYS))
def test_different_paths_are_different_streams(
    one: tuple[int, tuple[int | str, ...]], two: tuple[int, tuple[int | str, ...]]
) -> None:
    same = one == two
    states = [seeds.generator(s, *k).integers(2**63, size=2).tolist() for s, k in (one, two)]
    assert (states[0] == states[1]) is same
    assert (seeds.derive(one[0], *one[1]) == seeds.derive(two[0], *two[1])) is same


@pytest.mark.parametrize(
    ("one", "two"),
    [((0, "1"), (0, 1)), ((0, "ab"), (0, "a", "b")), ((0, 1, 2), (0, 12)), ((0,), (0, ""))],
)
def test_paths_do_not_run_together(one: tuple[int | str, ...], two: tuple[int | str, ...]) -> None:
    assert seeds.derive(*one) != seeds.derive(*two)  # type: ignore[arg-type]


def test_numpy_integers_are_integers() -> None:
    assert seeds.derive(np.int64(3), np.int32(4)) == seeds.derive(3, 4)


def test_seeds_beyond_32_bits_differ() -> None:
    """PyTorch's own CPU generator would take both for the same seed."""
    draws = [seeds.generator(s).random() for s in (5, 5 + 2**32, 5 + 2**64)]
    assert len(set(draws)) == 3


@pytest.mark.parametrize("seed", [1.0, "1", None, True])
def test_a_seed_is_an_integer(seed: object) -> None:
    with pytest.raises(TypeError, match="seed must be an integer"):
        seeds.generator(seed)  # type: ignore[arg-type]


def test_a_key_is_an_integer_or_a_string() -> None:
    with pytest.raises(TypeError, match=r"key must hold integers and strings, got 0\.5"):
        seeds.generator(1, 0.5)  # type: ignore[arg-type]


def test_devices() -> None:
    assert device.resolve("cpu") == torch.device("cpu")
    assert device.resolve(torch.device("cpu")) == torch.device("cpu")
    assert device.resolve("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "cpu:0", "CUDA", ""])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="device must be one of auto, cpu, cuda"):
        device.resolve(name)


def test_a_device_is_a_name() -> None:
    with pytest.raises(TypeError, match="device must be a name"):
        device.resolve(0)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_cuda_where_there_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="sees no CUDA device"):
        device.resolve(name)


def test_cuda_index_out_of_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert device.resolve("cuda:0") == torch.device("cuda:0")
    with pytest.raises(ValueError, match="'cuda:1' does not exist"):
        device.resolve("cuda:1")
