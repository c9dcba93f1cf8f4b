"""Image sets by name: the packaged ones, and small files of the published formats."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from numerics import data
from numerics.datasets import NAMES, images


def write_idx(path: Path, array: np.ndarray) -> None:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


def write_mnist(folder: Path) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    found = {}
    for split, stem, count in (("train", "train", 6), ("test", "t10k", 4)):
        found[split] = rng.integers(1, 256, size=(count, 28, 28))
        write_idx(folder / f"{stem}-images-idx3-ubyte", found[split])
        write_idx(folder / f"{stem}-labels-idx1-ubyte", np.arange(count))
    return found


def write_cifar(folder: Path) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    parts = []
    for name in [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]:
        pixels = rng.integers(256, size=(3, 3072)).astype(np.uint8)
        content = {b"data": pixels, b"labels": [7, 8, 9]}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
        parts.append(pixels)
    return {"train": np.concatenate(parts[:-1]), "test": parts[-1]}


@pytest.mark.parametrize("name", ["digits", "mnist5k"])
def test_packaged_sets(name: str) -> None:
    mine, theirs = images(name, normalise=True, centre=True), getattr(data, name)
    other = theirs(normalise=True, centre=True)
    assert torch.equal(mine.x, other.x)
    assert torch.equal(mine.y, other.y)
    with pytest.raises(ValueError, match=f"split must be None for '{name}'"):
        images(name, split="train")


def test_mnist_from_a_folder(tmp_path: Path) -> None:
    pixels = write_mnist(tmp_path)
    for split, given in (("train", {}), ("train", {"split": "train"}), ("test", {"split": "test"})):
        x, y = images(f"mnist:{tmp_path}", **given)
        np.testing.assert_array_equal(x.numpy(), pixels[split].reshape(len(x), -1) / 255.0)
        assert y.tolist() == list(range(len(x)))
    x, y = images(f"mnist:{tmp_path}", normalise=True, labels="parity", split="test")
    torch.testing.assert_close(x.square().mean(dim=1), torch.ones(4, dtype=torch.float64))
    assert y.tolist() == [1.0, -1.0, 1.0, -1.0]


def test_cifar_from_a_folder(tmp_path: Path) -> None:
    pixels = write_cifar(tmp_path)
    x, y = images(f"cifar10:{tmp_path}")
    np.testing.assert_array_equal(x.numpy(), pixels["train"] / 255.0)
    assert y.tolist() == [7, 8, 9] * 5
    x, y = images(f"cifar10:{tmp_path}", split="test", labels=(9, 7), centre=True)
    assert y.tolist() == [-1.0, 1.0]
    assert float(x.mean(dim=0).abs().max()) < 1e-15


def test_a_folder_with_a_colon(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    write_mnist(folder)
    assert images(f"mnist:{folder}").x.shape == (6, 784)


def test_files_that_will_not_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lacks train-images"):
        images(f"mnist:{tmp_path}")
    with pytest.raises(ValueError, match="folder must be an existing folder"):
        images(f"cifar10:{tmp_path / 'none'}")
    write_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is truncated"):
        images(f"mnist:{tmp_path}")
    with pytest.raises(ValueError, match="split must be one of"):
        images(f"mnist:{tmp_path}", split="valid")


@pytest.mark.parametrize(
    "name", ["", "mnist", "mnist:", "cifar10", "digits:here", "imagenet:/tmp", 5, None]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="name must be one of") as caught:
        images(name)
    assert all(known in str(caught.value) for known in NAMES)
    assert ("needs a folder" in str(caught.value)) is (
        str(name).partition(":")[0] in NAMES_OF_FILES
    )


NAMES_OF_FILES = ("mnist", "cifar10")
