"""The registry of derivations: every proved statement by name.

A module of this package registers a zero-argument function with the :func:`derivation`
decorator; nothing is built or verified on import. ``names()`` lists what there is and
``get(name)`` builds one.

>>> get("laws.uniform.survival").verify().status.value
'proved'
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Final

from theory.derivation import Derivation

__all__ = ["derivation", "get", "names"]

_REGISTRY: Final[dict[str, Callable[[], Derivation]]] = {}


def derivation(
    name: str,
) -> Callable[[Callable[[], Derivation]], Callable[[], Derivation]]:
    """Register a zero-argument function that builds the derivation called ``name``.

    Raises
    ------
    ValueError
        If the name is taken.
    """

    def register(build: Callable[[], Derivation]) -> Callable[[], Derivation]:
        if name in _REGISTRY:
            raise ValueError(f"name {name!r} is already registered")
        _REGISTRY[name] = build
        return build

    return register


def _load() -> None:
    """Import every module of the package; each registers its own derivations."""
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")


def names() -> tuple[str, ...]:
    """All registered names, sorted."""
    _load()
    return tuple(sorted(_REGISTRY))


def get(name: str) -> Derivation:
    """Build the derivation called ``name``.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those there are.
    """
    _load()
    if name not in _REGISTRY:
        raise ValueError(f"name must be one of {', '.join(sorted(_REGISTRY))}; got {name!r}")
    return _REGISTRY[name]()
