"""Pruning criteria as saliency models: Random, Magnitude, SNIP, GraSP, one-hidden-layer SynFlow.

Each factory returns a :class:`~theory.saliency.SaliencyModel`; ``CRITERIA`` lists them by name.
To add one, write a factory (and a rule, if its score has a new shape) and put it in the list:
the battery of tests, the command line and the claims' figures take it from there.

Facts about real one-hidden-layer networks that these models encode (squared loss, Gaussian
inputs, odd activation, many more samples than inputs): the first-order score of ``w_ij`` is
``|w_ij| |b_i - beta_i| |a_j|`` up to a constant, where ``b`` is the network's own linear part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from theory.laws import Gaussian, Law
from theory.profiles import ConstantProfile, HalfNormalProfile, as_profile
from theory.saliency import (
    IndependentRule,
    MagnitudeRule,
    OffsetRule,
    SaliencyModel,
    SignedRule,
)


def _law(weight_law: Law | None) -> Law:
    if weight_law is None:
        return Gaussian()
    if not isinstance(weight_law, Law):
        raise TypeError(f"weight_law must be a theory.laws.Law, got {type(weight_law).__name__}")
    return weight_law


def random(weight_law: Law | None = None) -> SaliencyModel:
    """Scores independent of everything: the constant graphon, with independent weights."""
    return SaliencyModel("random", IndependentRule(), _law(weight_law))


def magnitude(weight_law: Law | None = None) -> SaliencyModel:
    """Score ``|w|``: a constant mask graphon, but the variance graphon is not the mask graphon."""
    return SaliencyModel("magnitude", MagnitudeRule(), _law(weight_law))


def _factors(row_profile: Any, column_law: Any) -> dict[str, Any]:
    row = HalfNormalProfile() if row_profile is None else as_profile(row_profile, "row_profile")
    column = HalfNormalProfile() if column_law is None else as_profile(column_law, "column_law")
    return {"row": row, "column": column}


def snip(
    row_profile: Any = None,
    column_law: Any = None,
    weight_law: Law | None = None,
    *,
    offset: Any = None,
) -> SaliencyModel:
    """SNIP, ``|w dL/dw|``; for odd activations ``|w| r c`` with ``r = |E[e x_i]|``, ``c = |a|``.

    ``row_profile`` defaults to the half-normal profile of an isotropic Gaussian teacher,
    ``column_law`` to that of Gaussian output weights. ``offset`` (positive, in the units of the
    row profile) makes the model conditional: ``|w| |r + offset w| c``, what an activation with
    non-zero mean leads to.
    """
    rule = MagnitudeRule() if offset is None else OffsetRule(offset)
    return SaliencyModel("snip", rule, _law(weight_law), **_factors(row_profile, column_law))


def grasp(
    row_profile: Any = None,
    column_law: Any = None,
    weight_law: Law | None = None,
    *,
    signed: bool = False,
) -> SaliencyModel:
    """GraSP, ``w (H g)``: by magnitude ``|w| r c``, or ``signed=True`` for ``w r c``."""
    rule = SignedRule() if signed else MagnitudeRule()
    name = "grasp-signed" if signed else "grasp"
    return SaliencyModel(name, rule, _law(weight_law), **_factors(row_profile, column_law))


def grasp_signed(
    row_profile: Any = None, column_law: Any = None, weight_law: Law | None = None
) -> SaliencyModel:
    """Signed GraSP: :func:`grasp` with ``signed=True``."""
    return grasp(row_profile, column_law, weight_law, signed=True)


def synflow(column_law: Any = None, weight_law: Law | None = None) -> SaliencyModel:
    """One shot of SynFlow on one hidden layer: path score ``|w| |a|``, no data, so ``r = 1``."""
    factors = _factors(ConstantProfile(1), column_law)
    return SaliencyModel("synflow", MagnitudeRule(), _law(weight_law), **factors)


CRITERIA: dict[str, Callable[..., SaliencyModel]] = {
    "random": random,
    "magnitude": magnitude,
    "snip": snip,
    "grasp": grasp,
    "grasp-signed": grasp_signed,
    "synflow": synflow,
}


FACTORS: dict[str, tuple[str, ...]] = {
    "random": (),
    "magnitude": (),
    "snip": ("row_profile", "column_law"),
    "grasp": ("row_profile", "column_law"),
    "grasp-signed": ("row_profile", "column_law"),
    "synflow": ("column_law",),
}
"""Which factors each criterion's factory takes."""


def criterion(name: str, **options: Any) -> SaliencyModel:
    """The criterion called ``name`` with its options; ValueError names the known ones."""
    if name not in CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(CRITERIA)}; got {name!r}")
    return CRITERIA[name](**options)
