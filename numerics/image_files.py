"""Readers for MNIST and CIFAR-10 as their makers publish them, from a folder the user names.

Nothing is downloaded. Every failure is a ValueError that names the file and says what was
expected: a folder that is not there, a file that is missing, unreadable, truncated or of another
format.
"""

from __future__ import annotations

import gzip
import io
import pickle
import pickletools
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.data import Dataset, prepare

__all__ = ["cifar10", "mnist", "read_idx", "read_pickle"]

Bytes = NDArray[np.uint8]

_MNIST = {
    "train": ("train-images", "train-labels"),
    "test": ("t10k-images", "t10k-labels"),
}
_CIFAR = {"train": [f"data_batch_{k}" for k in range(1, 6)], "test": ["test_batch"]}

_LARGEST = 2**31
"""Bytes of the largest array a header may announce: a damaged header must not fill the memory."""


def _folder(folder: str | Path) -> Path:
    if not isinstance(folder, str | Path):
        raise ValueError(f"folder must be a path, got {folder!r}")
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise ValueError(f"folder must be an existing folder, got {str(folder)!r}")
    return path


def _split(split: str, known: dict[str, Any]) -> Any:
    if not isinstance(split, str) or split not in known:
        raise ValueError(f"split must be one of {sorted(known)}, got {split!r}")
    return known[split]


def read_idx(path: str | Path) -> Bytes:
    """An array of unsigned bytes in the idx format, gzipped or not (told by its content).

    Format: two zero bytes, type 0x08, number of axes, each axis as a big-endian 32-bit integer,
    then the data. Raises ValueError if the file cannot be read or is anything else.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"cannot read {path.name}: {error}") from error
    if len(raw) < 4 or raw[:2] != b"\x00\x00":
        raise ValueError(f"{path.name} is no idx file: it must begin with two zero bytes")
    if raw[2] != 0x08:
        raise ValueError(f"{path.name} must hold unsigned bytes (type 0x08), got 0x{raw[2]:02x}")
    axes = raw[3]
    start = 4 + 4 * axes
    if len(raw) < start:
        raise ValueError(f"{path.name} is truncated: its header is incomplete")
    shape = struct.unpack(f">{axes}I", raw[4:start])
    size = int(np.prod(shape, dtype=object)) if axes else 0
    if size > _LARGEST:
        raise ValueError(f"{path.name} announces shape {shape}, which is no image set")
    if len(raw) - start != size:
        what = "truncated" if len(raw) - start < size else "too long"
        raise ValueError(
            f"{path.name} is {what}: shape {shape} needs {size} bytes, it has {len(raw) - start}"
        )
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape)


def _idx_file(folder: Path, stem: str, axes: int) -> Path:
    names = [f"{stem}{dot}idx{axes}-ubyte{end}" for dot in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ValueError(f"{folder} lacks {stem}: it must hold one of {', '.join(names)}")


def mnist(
    folder: str | Path,
    split: str = "train",
    *,
    normalise: bool = False,
    centre: bool = False,
    labels: str | tuple[int, int] = "class",
) -> Dataset:
    """MNIST (or a set of the same format) from its idx files, d = 784.

    Options as in :func:`numerics.data.prepare`. Raises ValueError as the module says.
    """
    images_stem, labels_stem = _split(split, _MNIST)
    path = _folder(folder)
    images = read_idx(_idx_file(path, images_stem, 3))
    classes = read_idx(_idx_file(path, labels_stem, 1))
    if images.ndim != 3 or classes.ndim != 1 or len(images) != len(classes) or not images.size:
        raise ValueError(
            f"{path}: images {images.shape} and labels {classes.shape} do not belong together"
        )
    return prepare(
        images, classes, full_scale=255.0, normalise=normalise, centre=centre, labels=labels
    )


def _latin_encode(text: str, encoding: str = "latin1") -> bytes:
    """How protocol 2 of Python 3 spells a bytes object."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding!r} has no place in an image set")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How protocol 2 of Python 3 spells the empty bytes object; longer ones need no call."""
    return b""


def _allowed() -> dict[tuple[str, str], Any]:
    """Everything the pickle of a NumPy array refers to, in its spellings through the years."""
    probe = np.zeros(1, dtype=np.uint8)
    rebuild = probe.__reduce__()[0]
    frombuffer = probe.__reduce_ex__(5)[0]
    found: dict[tuple[str, str], Any] = {
        ("_codecs", "encode"): _latin_encode,
        ("__builtin__", "bytes"): _no_bytes,
    }
    for root in ("numpy.core", "numpy._core"):
        found[f"{root}.multiarray", "_reconstruct"] = rebuild
        found[f"{root}.numeric", "_frombuffer"] = frombuffer
    found["numpy", "ndarray"] = np.ndarray
    found["numpy", "dtype"] = np.dtype
    return found


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that builds containers, strings, numbers and NumPy arrays, and nothing else.

    A pickle can name any function and call it. This one looks names up in a closed table, so a
    file that names something else is refused before anything is called.
    """

    table = _allowed()

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.table[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it refers to {module}.{name}, which has no place in an image set"
            ) from None


def _check_memo(raw: bytes) -> None:
    """Refuse a pickle cut short, or one that numbers its objects beyond what the file can hold.

    The unpickler keeps a table as long as the largest number, so that one damaged byte could fill
    the memory before anything is noticed.
    """
    for code, argument, _ in pickletools.genops(raw):
        if code.name in ("PUT", "LONG_BINPUT") and int(str(argument)) > len(raw):
            raise pickle.UnpicklingError(f"it numbers an object {argument}")


def read_pickle(path: str | Path) -> Any:
    """The content of a pickle of containers, strings, numbers and NumPy arrays.

    Byte strings of Python 2 stay bytes. Raises ValueError if the file cannot be read, is
    damaged, or refers to anything else.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
        _check_memo(raw)
        return _ArraysOnly(io.BytesIO(raw), encoding="bytes").load()
    except OSError as error:
        raise ValueError(f"cannot read {path.name}: {error}") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(f"{path.name} is no image batch, or damaged: {error}") from error


def _cifar_batch(path: Path) -> tuple[Bytes, NDArray[np.int64]]:
    if not path.is_file():
        raise ValueError(f"{path.parent} lacks {path.name}: CIFAR-10's Python version is needed")
    content = read_pickle(path)
    if not isinstance(content, dict) or not {b"data", b"labels"} <= content.keys():
        raise ValueError(f"{path.name} must hold a dictionary with b'data' and b'labels'")
    data, classes = content[b"data"], content[b"labels"]
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2:
        raise ValueError(f"{path.name}: b'data' must be a matrix of unsigned bytes")
    if data.shape[1] != 3072 or not isinstance(classes, list) or len(classes) != len(data):
        raise ValueError(f"{path.name} is truncated: rows of 3072 bytes, one label each, expected")
    if not all(isinstance(label, int) and 0 <= label < 10 for label in classes):
        raise ValueError(f"{path.name}: b'labels' must be integers from 0 to 9")
    return data, np.asarray(classes, dtype=np.int64)


def cifar10(
    folder: str | Path,
    split: str = "train",
    *,
    normalise: bool = False,
    centre: bool = False,
    labels: str | tuple[int, int] = "class",
) -> Dataset:
    """CIFAR-10 from its Python batches (five for ``"train"``, one for ``"test"``), d = 3072.

    ``folder`` holds the batches, or a folder ``cifar-10-batches-py`` that does. Options as in
    :func:`numerics.data.prepare`. Raises ValueError as the module says; the pickles are read by
    an unpickler that cannot call anything but NumPy's array constructors.
    """
    names = _split(split, _CIFAR)
    path = _folder(folder)
    inner = path / "cifar-10-batches-py"
    path = inner if inner.is_dir() else path
    parts = [_cifar_batch(path / name) for name in names]
    images = np.concatenate([data for data, _ in parts])
    classes = np.concatenate([k for _, k in parts])
    return prepare(
        images, classes, full_scale=255.0, normalise=normalise, centre=centre, labels=labels
    )
