"""Image sets by name, so that a protocol, a command or a report can say in one word what it used.

Two come with packages, ``"digits"`` and ``"mnist5k"``; two are read from a folder that the name
carries, ``"mnist:FOLDER"`` (idx files) and ``"cifar10:FOLDER"`` (Python batches). Nothing is
downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numerics.data import Dataset, digits, mnist5k
from numerics.image_files import cifar10, mnist

__all__ = ["NAMES", "images"]

NAMES = ("digits", "mnist5k", "mnist:FOLDER", "cifar10:FOLDER")
"""What :func:`images` understands; FOLDER is a path, ``~`` included."""

_PACKAGED: dict[str, Callable[..., Dataset]] = {"digits": digits, "mnist5k": mnist5k}
_READERS: dict[str, Callable[..., Dataset]] = {"mnist": mnist, "cifar10": cifar10}


def images(
    name: str,
    *,
    normalise: bool = False,
    centre: bool = False,
    labels: str | tuple[int, int] = "class",
    split: str | None = None,
) -> Dataset:
    """The image set of a name, x (N, d) float64 and y (N,).

    Args:
        name: one of :data:`NAMES`; d is 64, 784, 784 and 3072.
        normalise, centre, labels: as in :func:`numerics.data.prepare`.
        split: ``"train"`` (also None) or ``"test"`` of a set that is read from a folder; the
            packaged ones have none.

    Raises:
        ValueError: an unknown name (the message lists the known ones), a folder or a file that
            will not do, a split of a set that has none, labels that the set does not have.
    """
    if not isinstance(name, str):
        raise ValueError(f"name must be one of {', '.join(NAMES)}; got {name!r}")
    options: dict[str, Any] = {"normalise": normalise, "centre": centre, "labels": labels}
    kind, colon, folder = name.partition(":")
    if kind in _PACKAGED and not colon:
        if split is not None:
            raise ValueError(f"split must be None for {name!r}, which is one set; got {split!r}")
        return _PACKAGED[kind](**options)
    if kind in _READERS and folder:
        return _READERS[kind](folder, "train" if split is None else split, **options)
    missing = f"; {kind!r} needs a folder after the colon" if kind in _READERS else ""
    raise ValueError(f"name must be one of {', '.join(NAMES)}; got {name!r}{missing}")
