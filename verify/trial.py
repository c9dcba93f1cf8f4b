"""Trials: the seeded computations that statistical checks are made of.

A trial is a top-level function ``f(seed: int, **settings) -> dict[str, float | list[float]]``
under the decorator `trial`. One call is one replicate: one independently seeded network or mask.
Its key in the store is (name, digest of the code, settings, seed), so a changed computation is
never mistaken for the old one (`verify.digest`).
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import numbers
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from verify.digest import code_digest

SEED_BITS = 48

Values = dict[str, Any]


class Trial:
    """A named, digestible trial function; call it like the function it wraps."""

    def __init__(self, function: Callable[..., Mapping[str, Any]]) -> None:
        if "." in function.__qualname__:
            raise ValueError(
                f"a trial must be a top-level function, so that worker processes find it; "
                f"got {function.__qualname__}"
            )
        parameters = list(inspect.signature(function).parameters.values())
        if not parameters or parameters[0].name != "seed":
            raise ValueError(f"the first parameter of trial {function.__name__} must be 'seed'")
        self.function = function
        self.module = function.__module__
        self.name = f"{function.__module__}.{function.__qualname__}"
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    @cached_property
    def digest(self) -> str:
        """Digest of the code this trial runs (see `verify.digest.code_digest`)."""
        return code_digest(self.module)

    def accepts(self, setting: str) -> bool:
        """Whether the trial takes a setting of that name."""
        parameters = inspect.signature(self.function).parameters
        return setting in parameters or any(
            p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()
        )

    def require_settings(self, settings: Mapping[str, Any]) -> None:
        """Raise ValueError if the trial cannot be called with these settings."""
        try:
            inspect.signature(self.function).bind(0, **settings)
        except TypeError as error:
            raise ValueError(f"settings of trial {self.name}: {error}") from None
        canonical(settings)

    def __call__(self, seed: int, **settings: Any) -> Values:
        """Run one replicate and check what it returns (names to finite floats or flat lists)."""
        return checked_values(self.name, self.function(seed, **settings))

    def __repr__(self) -> str:
        return f"trial({self.name})"


def trial(function: Callable[..., Mapping[str, Any]]) -> Trial:
    """Make a trial of a top-level function ``f(seed, **settings)``."""
    return Trial(function)


def canonical(settings: Mapping[str, Any]) -> str:
    """Settings as canonical JSON: sorted names, no blanks, tuples as lists, numpy scalars plain.

    Raises ValueError for anything JSON cannot hold exactly (NaN, arrays, SymPy objects).
    """
    try:
        return json.dumps(
            plain(dict(settings)), sort_keys=True, separators=(",", ":"), allow_nan=False
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"settings must be JSON-able: {error}; got {settings!r}") from None


def plain(value: Any) -> Any:
    """`value` with tuples as lists and numpy scalars as Python numbers."""
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("names must be strings")
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if type(value).__module__ == "numpy" and isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not JSON-able")


def trial_seed(root: int, name: str, settings: Mapping[str, Any], replicate: int) -> int:
    """Seed of one replicate, independent over trials, settings and replicates.

    The device is left out: where a number is computed should not change which network it is
    about. Nothing else enters, so claims that ask for the same trial share its result.
    """
    described = {key: item for key, item in settings.items() if key != "device"}
    text = f"{root}\n{name}\n{canonical(described)}\n{replicate}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> (64 - SEED_BITS)


def trial_key(name: str, digest: str, settings: Mapping[str, Any], seed: int) -> str:
    """The store's key: SHA-256 of (name, digest, settings, seed)."""
    text = json.dumps([name, digest, canonical(settings), seed])
    return hashlib.sha256(text.encode()).hexdigest()


def checked_values(name: str, values: Any) -> Values:
    """A trial's return value as plain floats and lists; ValueError if it is anything else."""
    if not isinstance(values, Mapping) or not values:
        raise ValueError(f"trial {name} must return a non-empty dict of metrics; got {values!r}")
    return {str(key): _checked_metric(name, key, value) for key, value in values.items()}


def _checked_metric(name: str, key: Any, value: Any) -> float | list[float]:
    if hasattr(value, "tolist"):  # numpy arrays and scalars, torch tensors
        value = value.tolist()
    if isinstance(value, list | tuple):
        if all(type(item) is float for item in value) and all(map(math.isfinite, value)):
            return list(value)  # histograms have thousands of entries
        return [_checked_float(name, key, item) for item in value]
    return _checked_float(name, key, value)


def _checked_float(name: str, key: Any, value: Any) -> float:
    if not isinstance(value, numbers.Real):
        raise ValueError(
            f"trial {name}: metric {key!r} must be a float or a flat list of floats; got {value!r}"
        )
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"trial {name}: metric {key!r} is not finite: {number}")
    return number
