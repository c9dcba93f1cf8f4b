"""The trials about coupled kernels and pruned spectra: what they hold fixed and would notice."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from numerics.attribution import shapley
from verify import experiments
from verify.experiments import coupled_factor as factor_experiment
from verify.experiments import spectrum as spectrum_experiment
from verify.trial import Trial
from verify.trials import coupled, coupled_factor, coupled_spectrum, pruned_spectra

SMALL: dict[str, Any] = {"points": 3, "samples": 64}
NETWORK = {"n": 48, "depth": 2, "batch": 4, **SMALL}
CAUSES = {"n": 48, "depth": 2, "batch": 4, "points": 8, "samples": 64, "solutions": 2}
REDRAWN = {"n": 48, "density": 0.3, "batch": 8, "points": 12, "cells": 8, "networks": 2}
TRIALS: list[tuple[Trial, dict[str, Any]]] = [
    (coupled.pruned_network, NETWORK),
    (coupled_spectrum.spectrum_causes, {**CAUSES, "density": 0.2}),
    (
        coupled_factor.coupled_factor,
        {"vary": "depth", "values": (1, 2), "batch": 4, **SMALL},
    ),
    (pruned_spectra.mask_spectra, {**CAUSES, "density": 0.2, "others": 2}),
    (pruned_spectra.redrawn_spectra, {**REDRAWN, "criterion": "snip"}),
    (pruned_spectra.redrawn_spectra, {**REDRAWN, "criterion": "synflow", "rounds": 5}),
]


@pytest.mark.parametrize(("trial", "settings"), TRIALS, ids=lambda value: str(value)[:50])
def test_trials_depend_on_their_seed_alone(trial: Trial, settings: dict[str, Any]) -> None:
    first, again, other = (trial(seed, **settings) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert all(math.isfinite(value) for value in first.values())


# ------------------------------------------------------------------------------ coupled networks


def test_the_batch_and_the_inputs_are_different_digits() -> None:
    given = coupled.problem(6, 5, 10)
    assert given.x.shape == (6, 64)
    assert given.inputs.shape == (5, 64)
    assert given.y.dtype == torch.int64
    assert set(coupled.problem(6, 5, 1).y.tolist()) <= {-1.0, 1.0}
    norms = torch.cat([given.x, given.inputs]).square().sum(dim=1)
    torch.testing.assert_close(norms, torch.full_like(norms, 64.0))
    assert not any(bool((given.x == one).all(dim=1).any()) for one in given.inputs)


def test_readings_may_be_left_out() -> None:
    whole = coupled.pruned_network(3, **NETWORK)
    assert {"coupled", "uncoupled", "graphon", "layer_1", "layer_3", "beside"} <= set(whole)
    part = coupled.pruned_network(3, **NETWORK, readings=("coupled",))
    assert not {"uncoupled", "graphon"} & set(part)
    assert part == {name: whole[name] for name in part}


def test_a_network_that_keeps_everything_has_no_ratio_to_tell() -> None:
    settings = {**NETWORK, "n": 512, "samples": 1024, "depth": 1}
    found = [coupled.pruned_network(seed, density=1.0, **settings) for seed in range(3)]
    assert all(row["density"] == row["uneven"] == 0.0 for row in found)
    for name in ("coupled", "uncoupled", "graphon"):
        assert np.mean([row[name] for row in found]) == pytest.approx(0.0, abs=0.15)


# ------------------------------------------------------------------------------------- causes


def test_independent_masks_have_the_densities_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    given = [torch.from_numpy(rng.random((200, 150)) < p) for p in (0.1, 0.5)]
    given[0][:100] = False
    drawn = coupled_spectrum.independent_masks(given, 1)
    again = coupled_spectrum.independent_masks(given, 1)
    for mask, new, same in zip(given, drawn, again, strict=True):
        share = float(mask.double().mean())
        assert torch.equal(new, same)
        assert new.dtype == torch.bool
        assert float(new.double().mean()) == pytest.approx(share, abs=0.01)
        correlation = np.corrcoef(mask.numpy().ravel(), new.numpy().ravel())[0, 1]
        assert abs(correlation) < 0.03
    assert int(drawn[0][:100].sum()) > 0


def test_the_shares_add_up_to_the_rise() -> None:
    found = coupled_spectrum.spectrum_causes(4, **CAUSES, density=0.2)
    shares = [found[f"{cause} share"] for cause in coupled_spectrum.CAUSES]
    assert sum(shares) == pytest.approx(found["rise"], abs=1e-12)
    assert found["rise"] == pytest.approx(found["input_coupling_width"] - found["none"])
    for name, (cause, part) in coupled_spectrum.PARTS.items():
        beyond = found[f"{cause} share"] - part * found["rise"]
        assert found[name] == pytest.approx(beyond, abs=1e-12)
    other = pruned_spectra.mask_spectra(4, **CAUSES, density=0.2, others=1)
    shares = [other[f"{cause} share"] for cause in coupled_spectrum.CAUSES]
    assert sum(shares) == pytest.approx(other["rise"], abs=1e-12)
    assert other["rise"] == pytest.approx(other["own energy"] - other["limit dense energy"])


def test_both_spectrum_trials_name_the_causes_alike() -> None:
    found = pruned_spectra.mask_spectra(5, **CAUSES, density=0.2, others=1)
    kinds = {(): "dense", ("input",): "input", ("coupling",): "behind"}
    effect = {}
    for on in coupled_spectrum.SETS:
        kind = kinds.get(tuple(c for c in ("input", "coupling") if c in on), "own")
        finite = "independent" if kind == "dense" else kind
        effect[on] = found[f"{finite} energy" if "width" in on else f"limit {kind} energy"]
    for cause, share in shapley(coupled_spectrum.CAUSES, effect).items():
        assert found[f"{cause} share"] == pytest.approx(share, abs=1e-12)


# ------------------------------------------------------------------------------------- factors


def test_at_density_one_there_is_no_factor() -> None:
    found = coupled_factor.factors(1, 1.0, 2, 4, "relu", 3, 1024)
    assert found == pytest.approx({"uncoupled": 0.0, "graphon": 0.0}, abs=0.15)
    pruned = coupled_factor.factors(1, 0.1, 2, 4, "relu", 3, 256)
    assert pruned["graphon"] > pruned["uncoupled"] > 0.5


def test_a_sweep_holds_what_its_values_say() -> None:
    fixed = {"batch": 4, **SMALL}
    found = coupled_factor.coupled_factor(
        2, vary="density", values=(0.1, 0.3, 0.9), depth=1, **fixed
    )
    for name in ("graphon", "uncoupled"):
        steps = [found[f"{name} step {k}"] for k in (1, 2)]
        assert sum(steps) == pytest.approx(found[f"{name} change"])
        assert found[f"{name} 0.9"] - found[f"{name} 0.1"] == pytest.approx(found[f"{name} change"])
        alone = coupled_factor.factors(2, 0.3, 1, 4, "relu", 3, 64)
        assert found[f"{name} 0.3"] == pytest.approx(alone[name])


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"vary": "width", "values": (1, 2)}, "vary"), ({"vary": "depth", "values": (1,)}, "values")],
)
def test_sweeps_of_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        coupled_factor.coupled_factor(0, **settings)


# -------------------------------------------------------------------------------------- spectra


def test_unknown_images_are_refused() -> None:
    with pytest.raises(ValueError, match="dataset"):
        pruned_spectra.images("cifar", 4, 4, 1)
    with pytest.raises(ValueError, match="batch and points"):
        pruned_spectra.images("digits", 1000, 1000, 1)


def test_summaries_of_a_known_spectrum() -> None:
    values = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.25], dtype=torch.float64)
    found = pruned_spectra.summaries("own", torch.diag(values))
    assert found["own energy"] == pytest.approx(15.5 / 16.0)
    assert found["own rank"] == pytest.approx(2.0)
    assert found["own gap"] == pytest.approx(2.0)
    with pytest.raises(ValueError, match="points"):
        pruned_spectra.summaries("own", torch.eye(2))
    with pytest.raises(ValueError, match="three eigenvalues"):
        pruned_spectra.summaries("own", torch.ones(6, 6))


def test_masks_that_keep_everything_change_no_spectrum() -> None:
    found = pruned_spectra.redrawn_spectra(1, criterion="snip", **{**REDRAWN, "density": 1.0})
    assert found["redrawn energy"] == pytest.approx(found["dense energy"], rel=1e-6)


def test_snip_concentrates_the_energy_by_its_own_weights() -> None:
    settings = {**CAUSES, "n": 128, "samples": 128, "density": 0.05, "others": 1}
    found = [pruned_spectra.mask_spectra(seed, **settings) for seed in range(3)]
    mean = {name: np.mean([row[name] for row in found]) for name in found[0]}
    assert mean["own energy"] > mean["fresh energy"] > mean["limit dense energy"]
    assert mean["limit own energy"] > mean["limit fresh energy"]


# ---------------------------------------------------------------------------------- experiments


def test_the_experiments_show_metrics_that_their_trials_return() -> None:
    registry = experiments.load()
    sample = pruned_spectra.mask_spectra(0, **CAUSES, density=0.2, others=1)
    redrawn = pruned_spectra.redrawn_spectra(0, criterion="snip", **REDRAWN)
    for part in registry.get("spectrum").parts:
        known = redrawn if part.trial is pruned_spectra.redrawn_spectra else sample
        assert set(part.show) <= set(known), part.name
    for part in registry.get("coupled-factor").parts:
        values = factor_experiment.SWEEPS[part.name]
        assert part.settings["full"]["values"] == part.settings["quick"]["values"] == values
        assert set(part.show) == {f"{o} {v:g}" for o in factor_experiment.OVER for v in values}


def test_the_printed_tables_are_whole() -> None:
    count = len(spectrum_experiment.SPARSITIES)
    for table in spectrum_experiment.PRINTED.values():
        assert set(table) == set(spectrum_experiment.CRITERIA)
        assert all(len(row) == count and 0.4 < min(row) < 0.7 for row in table.values())
    for densities in spectrum_experiment.DENSITIES.values():
        assert {round(100 * (1 - p)) for p in densities} <= set(spectrum_experiment.SPARSITIES)
