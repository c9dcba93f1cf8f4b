"""The trials behind the kernel claims: what they hold fixed, and what they would notice."""

from __future__ import annotations

import numpy as np
import pytest

from numerics.kernel import GraphonKernel
from theory.reduction import chain_factor
from verify.trials import dynamics, kernels, saliency, signals


@pytest.mark.parametrize("d", [12, 40, 64])
def test_inputs_have_the_same_gram_matrices_at_every_dimension(d: int) -> None:
    x, reference = kernels.inputs(d), kernels.inputs(12)
    half = d // 2
    for part, old in ((x[:, :half], reference[:, :6]), (x[:, half:], reference[:, 6:])):
        np.testing.assert_allclose(part @ part.T / half, old @ old.T / 6, atol=1e-12)


@pytest.mark.parametrize("d", [7, 10])
def test_inputs_need_room(d: int) -> None:
    with pytest.raises(ValueError, match="d must be even"):
        kernels.inputs(d)


def test_unknown_cases_are_refused() -> None:
    with pytest.raises(ValueError, match="case"):
        kernels.layers_of("triangle")


@pytest.mark.parametrize("network", kernels.NETWORKS)
@pytest.mark.parametrize("case", ["blocks", "chain"])
def test_predictions_do_not_depend_on_the_dimension(case: str, network: str) -> None:
    small, large = (kernels.predicted(case, network, d) for d in (12, 64))
    np.testing.assert_allclose(small, large, rtol=1e-10)


def test_the_chain_obeys_the_path_density_law() -> None:
    layers = kernels.layers_of("chain")
    factor = chain_factor(layers)
    dense = kernels.predicted("dense", "independent-mask", 12, depth=len(layers) - 1)
    chain = kernels.predicted("chain", "independent-mask", 12)
    np.testing.assert_allclose(chain, factor * dense, rtol=1e-12)
    means = np.prod([layer.mean() for layer in layers])
    assert abs(factor / means - 1) > 0.1  # or the shapes would not matter


def test_the_printed_kernel_lacks_the_output_term() -> None:
    whole = kernels.predicted("blocks", "variance-profile", 12)
    printed = kernels.predicted("blocks", "variance-profile", 12, part="printed")
    missing = whole - printed
    assert np.all(np.linalg.eigvalsh(missing) > 0)
    assert np.trace(missing) > 0.1 * np.trace(whole)


def test_shapes_are_told_apart_along_their_own_direction() -> None:
    dense = kernels.predicted("dense", "independent-mask", 12, depth=3)
    moved = kernels.predicted("input", "independent-mask", 12)
    assert kernels.toward_input(3.0 * dense, "relu", 3) == pytest.approx(0.0, abs=1e-10)
    assert kernels.toward_input(0.1 * moved, "relu", 3) == pytest.approx(1.0, abs=1e-10)


def test_scale_and_distance() -> None:
    kernel = np.array([[2.0, 0.5], [0.5, 1.0]])
    assert kernels.scale(3.0 * kernel, kernel) == pytest.approx(3.0)
    assert kernels.distance(3.0 * kernel, kernel) == pytest.approx(2.0)


TRIALS = [
    (kernels.graphon_network, {"n": 32, "case": "blocks", "network": "independent-mask"}),
    (kernels.graphon_network, {"n": 32, "case": "chain", "network": "variance-profile"}),
    (
        kernels.density_exponent,
        {"n": 32, "depth": 2, "activation": "relu", "trained": "all", "output": "pruned"},
    ),
    (signals.positions, {"n": 32}),
    (signals.gradients, {"n": 32}),
    (dynamics.mode_decay, {"n": 48, "depth": 1, "density": 0.5}),
    (dynamics.magnitude_spectrum, {"n": 48, "depth": 2, "density": 0.3}),
    (saliency.model_kernel, {"n": 48}),
    (saliency.teacher_kernel, {"n": 48, "criterion": "snip"}),
    (saliency.digits_kernel, {"n": 50, "criterion": "magnitude"}),
]


@pytest.mark.parametrize(("trial", "settings"), TRIALS, ids=lambda value: str(value)[:60])
def test_trials_depend_on_their_seed_alone(trial: object, settings: dict[str, object]) -> None:
    first, again, other = (trial(seed, **settings) for seed in (1, 1, 2))  # type: ignore[operator]
    assert first == again
    assert first != other
    assert all(np.all(np.isfinite(value)) for value in first.values())


def test_the_ratios_of_the_recursion() -> None:
    assert signals.ratio_of_variances() > 1.5
    _, second, output = kernels.layers_of("blocks")
    weighted = [sum(output[0, b] * second[b, a] for b in range(2)) for a in range(2)]
    assert signals.ratio_of_gradients() == pytest.approx(weighted[0] / weighted[1])


@pytest.mark.parametrize("t", signals.FREQUENCIES)
def test_characteristic_functions(t: float) -> None:
    rng = np.random.default_rng(5)
    size = 400_000
    laws = {
        signals.gaussian_cosine: rng.standard_normal(size),
        signals.laplace_cosine: rng.laplace(scale=np.sqrt(0.5), size=size),
        signals.uniform_cosine: rng.uniform(-np.sqrt(3), np.sqrt(3), size),
    }
    for closed, sample in laws.items():
        assert closed(t) == pytest.approx(np.cos(t * sample).mean(), abs=0.006)


def test_the_three_readings_differ_where_they_should() -> None:
    x = kernels.inputs(12)
    rows = np.sort(np.abs(np.random.default_rng(3).standard_normal(12)))
    found = saliency.kernels("snip", rows, x, "relu", 0.2)
    assert set(found) == set(saliency.READINGS)
    assert np.trace(found["saliency"]) > 1.2 * np.trace(found["shape"])
    assert np.trace(found["shape"]) > 1.2 * np.trace(found["graphon"])
    magnitude = saliency.kernels("magnitude", rows, x, "relu", 0.2)
    np.testing.assert_allclose(magnitude["shape"], magnitude["graphon"], rtol=1e-6)


def test_magnitudes_kernel_is_the_reduction_law() -> None:
    depth, density = 2, 0.3
    shift = dynamics.magnitude_law(density, depth)
    assert shift == pytest.approx(dynamics.magnitude_shift(density, 1, depth))
    v = np.exp(dynamics.magnitude_shift(density, 0, 1))
    layers = [(v, density)] * (depth + 1)
    kernel = GraphonKernel("relu", layers, gain=2.0)(kernels.inputs(64, 10), get="ntk")
    np.testing.assert_allclose(
        np.asarray(kernel), np.exp(shift) * dynamics.dense_kernel(depth, 10), rtol=1e-10
    )
