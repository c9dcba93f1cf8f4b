"""Teachers, packaged digits, and readers of files that may be missing, damaged or hostile."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerics import data, image_files

# ------------------------------------------------------------------------------------ teacher


@given(samples=st.integers(1, 2500), batch_size=st.integers(1, 3000), seed=st.integers(0, 2**40))
def test_batches_do_not_change_the_samples(samples: int, batch_size: int, seed: int) -> None:
    teacher = data.GaussianTeacher(3, np.arange(3.0), noise=0.5)
    whole = teacher.sample(samples, seed=seed)
    parts = list(teacher.batches(samples, max(batch_size, samples // 20 + 1), seed=seed))
    assert torch.equal(torch.cat([part.x for part in parts]), whole.x)
    assert torch.equal(torch.cat([part.y for part in parts]), whole.y)


def test_batches_can_be_iterated_twice() -> None:
    batches = data.GaussianTeacher(2, np.ones(2)).batches(5000, 2000, seed=3)
    assert len(batches) == 3
    assert [len(x) for x, _ in batches] == [2000, 2000, 1000]
    for (x1, y1), (x2, y2) in zip(batches, batches, strict=True):
        assert torch.equal(x1, x2)
        assert torch.equal(y1, y2)


def test_more_samples_begin_with_the_same() -> None:
    teacher = data.GaussianTeacher(4, np.ones(4))
    assert torch.equal(teacher.sample(100).x, teacher.sample(3000).x[:100])


@pytest.mark.parametrize("kind", ["none", "vector", "matrix"])
def test_teacher_moments(kind: str) -> None:
    d, samples = 3, 200_000
    root = np.array([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [-0.3, 0.2, 0.7]])
    covariance = {"none": None, "vector": np.array([0.5, 1.0, 2.0]), "matrix": root @ root.T}[kind]
    beta = np.array([1.0, -2.0, 0.5])
    teacher = data.GaussianTeacher(d, beta, covariance, noise=0.3)
    x, y = teacher.sample(samples, seed=11)
    C = teacher.covariance
    # Five standard errors of a sample covariance entry.
    error = 5 * np.sqrt((C**2 + np.outer(np.diag(C), np.diag(C))) / samples)
    assert (np.abs(np.cov(x.numpy().T) - C) < error).all()
    residual = (y - x @ torch.from_numpy(beta)).numpy()
    assert abs(residual.std() - 0.3) < 5 * 0.3 / np.sqrt(2 * samples)


def test_noiseless_teacher_is_linear() -> None:
    beta = np.array([1.0, -1.0])
    x, y = data.GaussianTeacher(2, beta).sample(10, dtype=torch.float32)
    assert x.dtype == y.dtype == torch.float32
    torch.testing.assert_close(y, x @ torch.tensor([1.0, -1.0]))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"d": 0, "beta": np.ones(0)}, "d must be a positive integer"),
        ({"d": 2, "beta": np.ones(3)}, r"beta must be finite of shape \(2,\)"),
        ({"d": 2, "beta": np.array([1.0, np.nan])}, "beta must be finite"),
        ({"d": 2, "beta": np.ones(2), "covariance": np.ones(3)}, "covariance must be finite of"),
        ({"d": 2, "beta": np.ones(2), "covariance": -np.ones(2)}, "negative variances"),
        ({"d": 2, "beta": np.ones(2), "covariance": np.array([[1.0, 1], [0, 1]])}, "symmetric"),
        ({"d": 2, "beta": np.ones(2), "covariance": np.diag([1.0, -1.0])}, "semi-definite"),
        ({"d": 2, "beta": np.ones(2), "noise": -1.0}, "noise must be finite and non-negative"),
    ],
)
def test_bad_teachers(arguments: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        data.GaussianTeacher(**arguments)  # type: ignore[arg-type]


def test_bad_batches() -> None:
    teacher = data.GaussianTeacher(1, np.ones(1))
    with pytest.raises(ValueError, match="samples must be a positive integer"):
        teacher.batches(0)
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        teacher.batches(1, 0)
    with pytest.raises(ValueError, match="dtype must be"):
        teacher.batches(1, dtype=torch.float16)


# ----------------------------------------------------------------------------------- packaged


def test_digits() -> None:
    x, y = data.digits()
    assert x.shape == (1797, 64)
    assert x.dtype == torch.float64
    assert y.dtype == torch.int64
    assert 0.0 <= float(x.min()) < float(x.max()) == 1.0
    assert sorted(set(y.tolist())) == list(range(10))


def test_normalised_and_centred_digits() -> None:
    x, y = data.digits(normalise=True, centre=True, labels="parity")
    torch.testing.assert_close(x.square().mean(dim=1), torch.ones(len(x), dtype=x.dtype))
    assert set(y.tolist()) == {-1.0, 1.0}
    centred, _ = data.digits(centre=True)
    assert float(centred.mean(dim=0).abs().max()) < 1e-12


def test_two_classes() -> None:
    x, y = data.digits(labels=(3, 8))
    _, classes = data.digits()
    assert len(x) == int(((classes == 3) | (classes == 8)).sum())
    assert int((y == 1).sum()) == int((classes == 3).sum())


def test_mnist5k() -> None:
    x, y = data.mnist5k(normalise=True)
    assert x.shape == (5000, 784)
    assert torch.bincount(y).tolist() == [500] * 10
    torch.testing.assert_close(x.norm(dim=1), torch.full((5000,), 28.0, dtype=x.dtype))


def test_an_image_without_contrast_stays_zero() -> None:
    x, _ = data.prepare(np.zeros((2, 4)), np.arange(2), full_scale=1.0, normalise=True)
    assert float(x.abs().max()) == 0.0


def test_bad_labels() -> None:
    with pytest.raises(ValueError, match="labels must be one of"):
        data.digits(labels="odd")
    with pytest.raises(ValueError, match="labels must be one of"):
        data.digits(labels=(3, 3))
    with pytest.raises(ValueError, match="labels names class 10"):
        data.digits(labels=(3, 10))
    with pytest.raises(ValueError, match="same positive length"):
        data.prepare(np.zeros((2, 4)), np.arange(3), full_scale=1.0)


# ---------------------------------------------------------------------------------------- idx


def idx(array: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.astype(np.uint8).tobytes()
    )


def write_mnist(folder: Path, *, zipped: bool, dot: str) -> np.ndarray:
    images = np.random.default_rng(0).integers(256, size=(6, 28, 28))
    for stem, array in (("train-images", images), ("train-labels", np.arange(6))):
        raw = idx(array)
        name = f"{stem}{dot}idx{array.ndim}-ubyte" + (".gz" if zipped else "")
        (folder / name).write_bytes(gzip.compress(raw) if zipped else raw)
    return images


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dot", ["-", "."])
def test_mnist_files(tmp_path: Path, zipped: bool, dot: str) -> None:
    images = write_mnist(tmp_path, zipped=zipped, dot=dot)
    x, y = image_files.mnist(tmp_path)
    np.testing.assert_array_equal(x.numpy(), images.reshape(6, 784) / 255.0)
    assert y.tolist() == list(range(6))
    assert len(image_files.mnist(tmp_path, labels=(1, 4)).y) == 2


def test_mnist_folders_that_will_not_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="folder must be an existing folder"):
        image_files.mnist(tmp_path / "none")
    with pytest.raises(ValueError, match="lacks train-images"):
        image_files.mnist(tmp_path)
    with pytest.raises(ValueError, match=r"split must be one of \['test', 'train'\]"):
        image_files.mnist(tmp_path, "valid")
    write_mnist(tmp_path, zipped=False, dot="-")
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(5)))
    with pytest.raises(ValueError, match="do not belong together"):
        image_files.mnist(tmp_path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "no idx file"),
        (b"PK\x03\x04", "no idx file"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00", r"unsigned bytes \(type 0x08\), got 0x0d"),
        (b"\x00\x00\x08\x03\x00\x00", "header is incomplete"),
        (idx(np.arange(9))[:-1], "is truncated: shape"),
        (idx(np.arange(9)) + b"x", "is too long"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "announces shape"),
        (gzip.compress(idx(np.arange(100)))[:-9], "cannot read"),
        (b"\x1f\x8b\x00\x00", "cannot read"),
    ],
)
def test_damaged_idx_files(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match):
        image_files.read_idx(path)


def test_unreadable_idx_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        image_files.read_idx(tmp_path)  # a folder


@given(st.binary(max_size=64))
def test_random_bytes_are_refused_or_read(tmp_path_factory: object, content: bytes) -> None:
    path = Path(tmp_path_factory.mktemp("idx")) / "file"  # type: ignore[attr-defined]
    path.write_bytes(content)
    try:
        array = image_files.read_idx(path)
    except ValueError:
        return
    assert array.dtype == np.uint8


# -------------------------------------------------------------------------------------- CIFAR


def write_cifar(folder: Path, protocol: int = 2, rows: int = 4) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    images = rng.integers(256, size=(5 * rows, 3072)).astype(np.uint8)
    for k in range(5):
        part = images[k * rows : (k + 1) * rows]
        content = {
            b"data": part,
            b"labels": [int(i) % 10 for i in range(rows)],
            b"batch_label": b"",
        }
        (folder / f"data_batch_{k + 1}").write_bytes(pickle.dumps(content, protocol=protocol))
    return images


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("inner", [False, True])
def test_cifar_files(tmp_path: Path, protocol: int, inner: bool) -> None:
    folder = tmp_path / "cifar-10-batches-py" if inner else tmp_path
    images = write_cifar(folder, protocol)
    x, y = image_files.cifar10(tmp_path)
    np.testing.assert_array_equal(x.numpy(), images / 255.0)
    assert y.tolist() == [0, 1, 2, 3] * 5


def test_pickles_of_python_2(tmp_path: Path) -> None:
    """The published files: protocol 2, str of Python 2, arrays under numpy's old names."""
    path = tmp_path / "batch"
    modern = pickle.dumps({"data": np.arange(6, dtype=np.uint8)}, protocol=2)
    old = modern.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    path.write_bytes(old.replace(b"X\x04\x00\x00\x00data", b"U\x04data"))
    content = image_files.read_pickle(path)
    assert content[b"data"].tolist() == list(range(6))


class Hostile:
    """A pickle of this would run a command where it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.target,))


def test_hostile_pickles_are_refused_before_they_act(tmp_path: Path) -> None:
    target = tmp_path / "touched"
    raw = pickle.dumps({b"data": Hostile(target)}, protocol=2)
    pickle.loads(raw)
    assert target.exists()  # it is hostile indeed
    target.unlink()
    path = tmp_path / "data_batch_1"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"data_batch_1 is no image batch.*has no place"):
        image_files.read_pickle(path)
    assert not target.exists()


@pytest.mark.parametrize("module", ["os", "builtins", "numpy.lib.npyio", "numpy.f2py"])
def test_only_listed_names_are_found(module: str) -> None:
    import io

    unpickler = image_files._ArraysOnly(io.BytesIO())
    with pytest.raises(pickle.UnpicklingError, match="has no place"):
        unpickler.find_class(module, "system")


def test_cifar_folders_that_will_not_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lacks data_batch_1"):
        image_files.cifar10(tmp_path)
    write_cifar(tmp_path)
    path = tmp_path / "data_batch_3"
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(ValueError, match="data_batch_3 is no image batch, or damaged"):
        image_files.cifar10(tmp_path)
    for content, match in (
        ([1, 2], "must hold a dictionary"),
        ({b"data": np.zeros((2, 3072)), b"labels": [0, 1]}, "matrix of unsigned bytes"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]}, "is truncated"),
        ({b"data": np.zeros((2, 3000), np.uint8), b"labels": [0, 1]}, "is truncated"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 11]}, "integers from 0 to 9"),
    ):
        path.write_bytes(pickle.dumps(content, protocol=2))
        with pytest.raises(ValueError, match=match):
            image_files.cifar10(tmp_path)


@pytest.mark.parametrize("index", [b"\xff\xff\xff\x7f", b"\x00\x00\x00\x10"])
def test_a_damaged_byte_does_not_fill_the_memory(tmp_path: Path, index: bytes) -> None:
    """The unpickler's table of objects is as long as the largest number in the file."""
    path = tmp_path / "data_batch_1"
    path.write_bytes(b"\x80\x02]r" + index + b".")
    with pytest.raises(ValueError, match=r"data_batch_1 is no image batch.*numbers an object"):
        image_files.read_pickle(path)
    path.write_bytes(b"\x80\x02]r\x04\x00\x00\x00.")
    assert image_files.read_pickle(path) == []


def test_folders_and_images_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="folder must be a path, got None"):
        image_files.mnist(None)  # type: ignore[arg-type]
    for name, array in (("images-idx3", np.zeros((6, 0, 28))), ("labels-idx1", np.zeros(6))):
        (tmp_path / f"train-{name}-ubyte").write_bytes(idx(array))
    with pytest.raises(ValueError, match="do not belong together"):
        image_files.mnist(tmp_path)
