"""Kernels of pruned networks: limits against the general engine and against real networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.complexity import linear_floor
from numerics.data import Dataset, GaussianTeacher
from numerics.kernel import GraphonKernel
from numerics.network import OneHiddenLayer
from numerics.pruned_kernels import (
    CRITERIA,
    finite_kernel,
    image_split,
    pruned_kernels,
    pruned_network,
)
from numerics.pruned_limits import limit_kernel, limit_stack, linear_path_density, row_factors
from theory import criteria
from theory.dual_smooth import Erf
from theory.profiles import EmpiricalProfile, HalfNormalProfile

D = 12


def _rows(seed: int = 0, d: int = D) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).standard_normal(d)) + 0.05


def _inputs(seed: int = 0, n: int = 6, d: int = D) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed + 1).standard_normal((n, d)))


def _relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


class TestLimits:
    """Nodes against the general engine's own quadrature over positions."""

    @pytest.mark.parametrize("density", [0.05, 0.2, 0.9])
    @pytest.mark.parametrize("kind", ["saliency", "graphon"])
    def test_against_positions(self, density: float, kind: str) -> None:
        rows, x = _rows(), _inputs()
        limit = criteria.snip(EmpiricalProfile(rows)).limit(density)
        column = HalfNormalProfile()

        def layer(which: str) -> object:
            def values(uu: np.ndarray, vv: np.ndarray) -> np.ndarray:
                index = np.clip((np.asarray(uu) * D).astype(int), 0, D - 1)
                return limit.at_factors(rows[index], column(vv), which)  # type: ignore[arg-type]

            return values

        def squared(uu: np.ndarray, vv: np.ndarray) -> np.ndarray:
            return column(uu) ** 2 + 0.0 * vv

        P = layer("mask")
        layers = [(layer("variance"), P), (squared, 1.0)] if kind == "saliency" else [(P, P), 1.0]
        general = GraphonKernel("erf", layers, tolerance=1e-7)(x, get="ntk")
        rule = limit_kernel("snip", density, D, rows, kind=kind, order=10)(x, get="ntk")
        assert _relative(rule, general) < 1e-6
        coarse = limit_kernel("snip", density, D, rows, kind=kind)(x, get="ntk")
        assert _relative(coarse, rule) < 1e-5

    def test_constant_criteria(self) -> None:
        x = _inputs()
        dense = GraphonKernel("erf", [0.3, 1.0])(x, get="ntk")
        assert _relative(limit_kernel("random", 0.3, D)(x, get="ntk"), dense) < 1e-14
        V = criteria.magnitude().limit(0.3).total("variance")
        masked = GraphonKernel("erf", [(V, 0.3), 1.0])(x, get="ntk")
        assert _relative(limit_kernel("magnitude", 0.3, D)(x, get="ntk"), masked) < 1e-14
        alone = limit_kernel("magnitude", 0.3, D, kind="graphon")(x, get="ntk")
        assert _relative(alone, dense) < 1e-14

    def test_synflow_has_equal_rows(self) -> None:
        x = _inputs()
        one, other = (
            limit_kernel(c, 0.2, D, np.ones(D))(x, get="ntk") for c in ("synflow", "snip")
        )
        assert _relative(one, other) < 1e-14
        assert _relative(limit_kernel("synflow", 0.2, D)(x, get="ntk"), other) < 1e-14

    @given(st.integers(0, 10**6), st.floats(0.02, 0.98), st.floats(1e-3, 1e3))
    @settings(max_examples=20)
    def test_rows_matter_up_to_scale_and_density_is_met(
        self, seed: int, density: float, scale: float
    ) -> None:
        rows = _rows(seed)
        stack = limit_stack("snip", density, D, rows)
        first, output = stack.layers
        assert output.weights is not None
        assert first.T is not None
        assert float((output.weights @ first.T).mean()) == pytest.approx(density, abs=2e-5)
        assert float(output.weights @ output.V[0]) == pytest.approx(1.0, abs=1e-5)  # E a^2
        assert (first.V >= first.T - 1e-12).all()
        scaled = limit_stack("snip", density, D, scale * rows).layers[0]
        assert scaled.T is not None
        assert np.abs(scaled.T - first.T).max() < 1e-9

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (("grasp-signed", 0.2, D, _rows()), "criterion"),
            (("nonsense", 0.2, D), "criterion"),
            (("snip", 0.2, D), "rows"),
            (("snip", 0.2, D, _rows(0, 3)), "rows"),
            (("snip", 0.0, D, _rows()), "density"),
            (("snip", 0.6, 2, [1.0, 0.0]), "density"),
            (("snip", 0.2, 2, [math.nan, 1.0]), "r must"),
            (("random", 1.5, D), "density"),
        ],
    )
    def test_bad_arguments(self, arguments: tuple[object, ...], text: str) -> None:
        with pytest.raises(ValueError, match=text):
            limit_kernel(*arguments)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="kind"):
            limit_stack("random", 0.2, D, kind="network")
        with pytest.raises(ValueError, match="order"):
            limit_stack("snip", 0.2, D, _rows(), order=1)


class TestRowFactors:
    """What the data say about inputs."""

    def test_of_a_linear_teacher(self) -> None:
        beta = np.linspace(-1.0, 2.0, D)
        x, y = GaussianTeacher(D, beta).sample(200_000, seed=3)
        found = row_factors("snip", x, y)
        assert found is not None
        spread = math.sqrt((beta @ beta + 4.0) / 200_000)  # the estimate's own deviation, at most
        assert np.abs(found - np.abs(beta)).max() < 5 * spread

    def test_contain_the_networks_own_output(self) -> None:
        """|b - beta| with the network's linear part b, up to sampling, sqrt(d/N) = 6 %."""
        d = 100
        beta = np.linspace(-1.0, 2.0, d) / 10.0
        x, y = GaussianTeacher(d, beta).sample(30_000, seed=3)
        net = OneHiddenLayer(d, 1024, "erf", seed=1)
        b = float(Erf().mean_dot(1)) * (net.a @ net.W)[0].numpy() / math.sqrt(d * net.n)
        found = row_factors("snip", x, y, net)
        assert found is not None
        assert np.linalg.norm(found - np.abs(b - beta)) < 0.1 * np.linalg.norm(b - beta)
        assert np.linalg.norm(found - np.abs(beta)) > 0.3 * np.linalg.norm(beta)

    def test_by_criterion(self) -> None:
        x, y = _inputs(0, 50), torch.from_numpy(np.sign(_rows(1, 50) - 0.6))
        assert row_factors("random", x, y) is None
        assert row_factors("magnitude", x, y) is None
        assert row_factors("synflow", x, y).tolist() == [1.0] * D  # type: ignore[union-attr]
        grasp = row_factors("grasp", x, y)
        dense = GraphonKernel("erf", depth=1)(x, get=("ntk", "nngp"))
        input_layer = dense.ntk - dense.nngp
        expected = (x.T @ (input_layer @ -y) / 2500).abs().numpy()
        assert grasp == pytest.approx(expected, rel=1e-9)

    def test_bad_arguments(self) -> None:
        x, y = _inputs(), torch.ones(6, dtype=torch.float64)
        with pytest.raises(ValueError, match="x and y"):
            row_factors("snip", x, y[:3])
        with pytest.raises(ValueError, match="NaN"):
            row_factors("snip", x / 0.0, y)
        with pytest.raises(ValueError, match="criterion"):
            row_factors("grasp-signed", x, y)


class TestNetworks:
    """Real networks and their limit."""

    def test_finite_kernel_is_the_gradients_gram(self) -> None:
        x, y = _inputs(0, 5), torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0], dtype=torch.float64)
        net = pruned_network("snip", 0.3, 20, x, y, seed=4)
        assert net.mask is not None
        assert int(net.mask.sum()) == 72
        W, a = net.W.clone().requires_grad_(), net.a.clone().requires_grad_()
        rows = []
        for f in net.forward(x, W, a)[:, 0]:
            gW, ga = torch.autograd.grad(f, (W, a), retain_graph=True)
            rows.append(torch.cat((gW.ravel(), ga.ravel())))
        jacobian = torch.stack(rows)
        assert _relative(finite_kernel(net, x), jacobian @ jacobian.T) < 1e-12
        assert _relative(finite_kernel(net, x[:2], x), (jacobian @ jacobian.T)[:2]) < 1e-12

    @pytest.mark.parametrize("criterion", CRITERIA)
    def test_antisymmetric_outputs_vanish(self, criterion: str) -> None:
        x, y = _inputs(0, 9), torch.from_numpy(np.sign(_rows(2, 9) - 0.6))
        net = pruned_network(criterion, 0.25, 40, x, y, antisymmetric=True, seed=2)
        assert float(net.forward(x).abs().max()) < 1e-12
        assert net.mask is not None
        assert int(net.mask.sum()) == 120

    @pytest.mark.parametrize("criterion", ["magnitude", "snip", "grasp"])
    def test_converge_to_the_saliency_kernel_and_not_to_the_graphon_one(
        self, criterion: str
    ) -> None:
        """Linear teacher, many samples: d and n grow together, as the theorem wants."""
        found = {}
        for d, n in ((8, 256), (96, 2048)):
            beta = np.linspace(-1.0, 2.0, d) / math.sqrt(d)
            data = GaussianTeacher(d, beta).sample(8000, seed=5)
            x = _inputs(3, 20, d)
            blocks = {
                kind: pruned_kernels(
                    criterion, 0.2, x, data, kind=kind, n=n, seed=2, antisymmetric=True
                ).train
                for kind in ("saliency", "graphon", "network")
            }
            found[d] = [_relative(blocks[k], blocks["network"]) for k in ("saliency", "graphon")]
        # 12 times the inputs and 8 times the neurons: errors of order 1/(density d) and n^(-1/2)
        # fall by a factor between 2.8 and 12, and the graphon kernel's does not vanish
        assert found[96][0] < 0.6 * found[8][0]
        assert found[96][0] < 0.5 * found[96][1]

    def test_blocks_and_kinds(self) -> None:
        x, y = _inputs(0, 9), torch.from_numpy(np.sign(_rows(2, 9) - 0.6))
        for kind in ("saliency", "graphon", "network"):
            found = pruned_kernels("snip", 0.5, x[:6], (x, y), x[6:], kind=kind, n=64)
            assert found.train.shape == (6, 6)
            assert found.cross is not None
            assert found.cross.shape == (3, 6)
            assert (found.network is not None) == (kind == "network")
        with pytest.raises(ValueError, match="kind"):
            pruned_kernels("snip", 0.5, x, (x, y), kind="other")


class TestPathDensity:
    """The linear part of the kernels on data."""

    @pytest.mark.parametrize("density", [0.05, 0.2, 0.8])
    def test_equal_slopes_are_the_closed_form(self, density: float) -> None:
        rows = _rows(5)
        limit = criteria.snip(EmpiricalProfile(rows)).limit(density)
        from theory.special import path_density_values

        expected = path_density_values(limit.tau / rows)
        found = linear_path_density("snip", density, rows, order=10)
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
        assert linear_path_density("random", 0.3, d=4) == pytest.approx(0.3)
        assert linear_path_density("magnitude", 0.3, x=_inputs()) == pytest.approx(0.3)

    @given(st.integers(0, 10**6), st.sampled_from(["random", "magnitude", "snip"]))
    @settings(max_examples=12)
    def test_certified_is_below_the_kernel_whatever_the_norms(
        self, seed: int, criterion: str
    ) -> None:
        x = _inputs(seed, 10) * torch.linspace(0.2, 3.0, 10, dtype=torch.float64)[:, None]
        rows = _rows(seed)
        kernel = limit_kernel(criterion, 0.3, D, rows)(x, get="ntk")
        path = linear_path_density(criterion, 0.3, rows, x, slopes="certified")
        assert linear_floor(kernel, x, path).least >= -1e-9
        assert (path > 0.0).all()

    def test_mean_needs_equal_weighted_norms(self) -> None:
        """Random's V treats inputs alike, so equal norms do; with unequal ones it can fail."""
        x = _inputs(1, 100, 4)
        sphere = 2.0 * x / x.norm(dim=1, keepdim=True)
        uneven = sphere * 0.05
        uneven[0] = 10.0 * sphere[0]  # at one large input slopes are far below the typical one
        for inputs, below in ((sphere, True), (uneven, False)):
            kernel = limit_kernel("random", 0.9, 4)(inputs, get="ntk")
            path = linear_path_density("random", 0.9, x=inputs, slopes="mean")
            assert (linear_floor(kernel, inputs, path).least >= -1e-9) is below
            sure = linear_path_density("random", 0.9, x=inputs, slopes="certified")
            assert linear_floor(kernel, inputs, sure).least >= -1e-9
        certified = linear_path_density("random", 0.9, x=sphere, slopes="certified")
        mean = linear_path_density("random", 0.9, x=sphere, slopes="mean")
        assert (certified >= mean * (1 - 1e-9)).all()

    def test_bad_arguments(self) -> None:
        for call, text in (
            (lambda: linear_path_density("random", 0.5), "d must"),
            (lambda: linear_path_density("random", 0.5, d=3, slopes="mean"), "x must"),
            (lambda: linear_path_density("random", 0.5, d=3, slopes="other"), "slopes"),
            (
                lambda: linear_path_density("random", 0.5, d=3, x=_inputs(), slopes="mean"),
                "coordinates",
            ),
        ):
            with pytest.raises(ValueError, match=text):
                call()


class TestSplits:
    """Parts of an image task."""

    def test_disjoint_centred_and_on_the_sphere(self) -> None:
        split = image_split("digits", 100, 50, 200, seed=1)
        d = split.train.x.shape[1]
        assert [len(part.y) for part in split] == [100, 50, 200]
        for part in split:
            assert float((part.x.square().sum(dim=1) - d).abs().max()) < 1e-9
            assert set(part.y.tolist()) == {1.0, -1.0}
        both = torch.cat([part.x for part in split])
        assert len(torch.unique(both, dim=0)) >= 349
        standard = image_split("digits", 100, 50, seed=1, scaling="standard").train.x
        assert float(standard.mean(dim=0).abs().max()) < 1e-9
        assert float((standard.std(dim=0, correction=0) - 1.0).abs().max()) < 1e-9

    def test_own_data_and_errors(self) -> None:
        own = Dataset(_inputs(0, 8), torch.tensor([1.0, -1.0] * 4))
        assert image_split(own, 4, 2, 2).mask.x.shape == (2, D)
        with pytest.raises(ValueError, match="NaN"):
            image_split(Dataset(own.x / 0.0, own.y), 4, 2)
        for arguments, text in (
            (("nothing", 4, 2), "data"),
            ((own, 4, 5), "sizes"),
            ((own, 0, 5), "sizes"),
        ):
            with pytest.raises(ValueError, match=text):
                image_split(*arguments)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="scaling"):
            image_split(own, 4, 2, scaling="other")
