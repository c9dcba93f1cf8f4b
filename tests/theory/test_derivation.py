"""Checks, chains and the registry: what is proved, what is refuted, and what is left open."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import theory.derivations as registry
from theory.checks import sample_points, separate
from theory.derivation import (
    AllOf,
    Antiderivative,
    Check,
    CheckResult,
    Cited,
    Definition,
    Derivation,
    Enclosure,
    Identity,
    Induction,
    IntegralEnclosure,
    Sign,
    Status,
    Step,
    Tail,
)
from theory.laws import Uniform
from theory.rewrite import STRATEGIES
from theory.special import StruveL

Q = sp.Rational
X = sp.Symbol("x", positive=True)
Y = sp.Symbol("y", real=True)
Z = sp.Symbol("z", positive=True)
U, V, C = sp.Symbol("u"), sp.Symbol("v"), sp.Symbol("c", positive=True)
N = sp.Symbol("n", integer=True, positive=True)
L = sp.Symbol("l", integer=True, positive=True)
F, G = sp.Function("F"), sp.Function("G")


def status(check: Check) -> Status:
    assert isinstance(check, Check)
    assert check.describe()
    result = check.run()
    assert result.seconds >= 0
    assert result.detail
    return result.status


# -------------------------------------------------------------------------------- identities

TRUE_IDENTITIES = [
    ((X + 1) ** 2, X**2 + 2 * X + 1),
    (sp.erfc(Y), 1 - sp.erf(Y)),
    (sp.besselk(2, X), sp.besselk(0, X) + 2 / X * sp.besselk(1, X)),
    (StruveL(1, X), StruveL(-1, X) - 2 / sp.pi),
    (sp.cosh(Y) ** 2 - sp.sinh(Y) ** 2, 1),
    (sp.gamma(X + 1), X * sp.gamma(X)),
    (sp.beta(X, 2), 1 / (X * (X + 1))),
    (sp.Sum(F(L), (L, 1, N + 1)), sp.Sum(F(L), (L, 1, N)) + F(N + 1)),
    (sp.Product(F(L), (L, 1, N + 2)), sp.Product(F(L), (L, 1, N)) * F(N + 1) * F(N + 2)),
    (sp.Integral(C * F(V) + V, (V, 0, 1)), C * sp.Integral(F(V), (V, 0, 1)) + Q(1, 2)),
    (sp.Integral(C, (U, 0, 1), (V, 0, 2)), 2 * C),
    (sp.Derivative(F(X) ** 2, X), 2 * F(X) * sp.Derivative(F(X), X)),
    ((1 + X**2 / C) ** Q(3, 2) * C ** Q(3, 2), (C + X**2) ** Q(3, 2)),
]


@pytest.mark.parametrize(("lhs", "rhs"), TRUE_IDENTITIES, ids=str)
def test_true_identities_are_proved_and_perturbed_ones_refuted(lhs: sp.Expr, rhs: sp.Expr) -> None:
    assert status(Identity(lhs, rhs)) is Status.PROVED
    assert status(Identity(lhs, rhs * Q(21, 20))) is Status.FAILED
    assert status(Identity(lhs, rhs + Q(1, 20))) is Status.FAILED


def test_what_is_true_but_not_simplified_is_undecided_not_failed() -> None:
    # sum of inverse squares to infinity: true, and beyond every strategy here
    assert status(Identity(sp.polygamma(1, X) - sp.polygamma(1, X + 1), 1 / X**2 + 0)) in (
        Status.PROVED,
        Status.UNDECIDED,
    )
    hidden = Identity(F(X) * G(X), G(X) * F(X + 0 * Y))
    assert status(hidden) is Status.PROVED
    assert status(Identity(sp.zeta(X + 1), sp.zeta(X + 1, 1) + 0)) is not Status.FAILED
    assert status(Identity(sp.airyai(X), sp.airybi(X))) is Status.UNDECIDED


def test_a_domain_limits_where_an_identity_is_refuted() -> None:
    claim = sp.Piecewise((X, X < 1), (2, True))
    assert status(Identity(claim, X, domain={X: (0, 1)})) is not Status.FAILED
    assert status(Identity(claim, X, domain={X: (3, 4)})) is Status.FAILED


def test_different_functions_are_told_apart() -> None:
    assert status(Identity(F(X), G(X))) is Status.FAILED
    assert status(Identity(F(X, Y), F(Y, X))) is Status.FAILED


@settings(max_examples=40)
@given(
    st.lists(st.integers(-5, 5), min_size=1, max_size=4),
    st.lists(st.integers(-5, 5), min_size=1, max_size=4),
)
def test_polynomial_identities_are_decided(first: list[int], second: list[int]) -> None:
    p, q = (sum(a * X**i for i, a in enumerate(part)) for part in (first, second))
    expected = Status.PROVED if sp.expand(p - q) == 0 else Status.FAILED
    found = status(Identity(p, q))
    # four sample points may all be roots of the difference; then there is no refutation
    assert found is expected or (found is Status.UNDECIDED and expected is Status.FAILED)


@pytest.mark.parametrize("name", [name for name, _ in STRATEGIES])
def test_no_strategy_brings_a_nonzero_expression_to_zero(name: str) -> None:
    strategy = dict(STRATEGIES)[name]
    for lhs, rhs in TRUE_IDENTITIES:
        assert strategy(sp.sympify(lhs - rhs + Q(1, 20))) != 0


def test_sample_points_respect_assumptions() -> None:
    negative = sp.Symbol("m", negative=True)
    symbols = {X, Y, N, negative}
    points = list(sample_points(symbols, {Y: (2, 3)}))
    assert len(points) == 4
    for point in points:
        assert point[X] > 0
        assert point[negative] < 0
        assert point[N].is_Integer
        assert 2 < point[Y] < 3


def test_separate_finds_nothing_between_equals() -> None:
    assert separate(sp.erfc(X), 1 - sp.erf(X)) is None
    assert separate(X, X + Q(1, 10**30)) is not None


def test_separate_leaves_bound_symbols_alone() -> None:
    bound = sp.Sum(L, (L, 1, 3))
    assert separate(bound + L, L + 6) is None
    assert separate(bound + L, L + 7) is not None
    assert separate(sp.Derivative(X**3, X) + X, 3 * X**2 + X) is None
    assert separate(sp.Derivative(X**3, X), 2 * X**2) is not None


# ------------------------------------------------------------------------------ antiderivative


def test_antiderivative() -> None:
    density, tail = sp.exp(-X), -sp.exp(-X)
    assert status(Antiderivative(tail, density, X, {sp.oo: 0, 0: -1})) is Status.PROVED
    assert status(Antiderivative(tail, density, X, {sp.oo: 0, 0: 1})) is Status.FAILED
    assert status(Antiderivative(tail * Q(21, 20), density, X)) is Status.FAILED
    assert status(Antiderivative(tail + 1, density, X, {sp.oo: 0})) is Status.FAILED
    assert status(Antiderivative(sp.sin(X), sp.cos(X), X, {sp.oo: 0})) is not Status.PROVED


def test_antiderivative_at_minus_infinity_and_from_below() -> None:
    assert status(Antiderivative(sp.exp(Y), sp.exp(Y), Y, {-sp.oo: 0})) is Status.PROVED
    check = Antiderivative(Y**2, 2 * Y, Y, {2: 4}, from_below=(2,))
    assert status(check) is Status.PROVED


# ------------------------------------------------------------------------------- certified


def test_enclosure_and_sign() -> None:
    box = {X: (0, 3)}
    assert status(Enclosure(sp.erfc(X), 1 - sp.erf(X), box, Q(1, 10**6))) is Status.PROVED
    assert status(Enclosure(sp.erfc(X), 1 - sp.erf(X) + X / 99, box, Q(1, 100))) is Status.FAILED
    assert status(Sign(X**2 + 1, ">0", box)) is Status.PROVED
    assert status(Sign(-sp.exp(X), "<0", box)) is Status.PROVED
    assert status(Sign(X - 1, ">=0", box)) is Status.FAILED
    assert status(Sign((X - Q(1, 3)) ** 2 + sp.exp(-300), ">0", box, 10)) is Status.UNDECIDED
    assert status(Enclosure(sp.exp(X), sp.exp(X), {X: (0, 90)}, Q(1, 10**9), 2)) is Status.PROVED
    with pytest.raises(ValueError, match="relation must be one of"):
        Sign(X, ">>", box)


def test_integral_enclosure_on_points_and_boxes() -> None:
    area, closed = sp.exp(-C * X), (1 - sp.exp(-C)) / C
    for values in ([Q(1), Q(2)], [(Q(1), 1 + Q(1, 10**9))]):
        check = IntegralEnclosure(closed, area, X, (0, 1), {C: values}, Q(1, 10**6))
        assert status(check) is Status.PROVED
    wide = IntegralEnclosure(closed, area, X, (0, 1), {C: [(1, 2)]}, Q(1, 10**6))
    assert status(wide) is Status.UNDECIDED
    wrong = IntegralEnclosure(closed * Q(21, 20), area, X, (0, 1), {C: [Q(1)]})
    assert status(wrong) is Status.FAILED


def test_integral_to_infinity_needs_a_proved_tail() -> None:
    area = X * sp.exp(-X)
    good = Tail((X + 1) * sp.exp(-X), 40, sp.exp(-X))
    assert status(IntegralEnclosure(1, area, X, (0, sp.oo), tail=good)) is Status.PROVED
    assert status(IntegralEnclosure(2, area, X, (0, sp.oo), tail=good)) is Status.FAILED
    assert status(IntegralEnclosure(1, area, X, (0, sp.oo))) is Status.UNDECIDED
    for bad in (
        Tail(sp.exp(-X), 40, sp.exp(-X)),  # majorant below the integrand
        Tail((X + 1) * sp.exp(-X) + 1, 40, sp.exp(-X)),  # does not vanish
        Tail((X + 1) * sp.exp(-X), 40, -sp.exp(-X)),  # weight not positive
        Tail((X + 1) * sp.exp(-X), 40),  # not a polynomial without its weight
    ):
        assert status(IntegralEnclosure(1, area, X, (0, sp.oo), tail=bad)) is Status.UNDECIDED


def test_a_tail_bound_refuses_an_integrand_that_changes_sign() -> None:
    tail = Tail((X + 1) * sp.exp(-X), 3, sp.exp(-X))
    assert tail.holds((X - 5) * sp.exp(-X), X) is not None
    assert tail.holds((X - 2) * sp.exp(-X), X) is None


# -------------------------------------------------------------------------------- induction


def constant_path_density(closed: sp.Expr) -> Induction:
    """Path density of the constant graphon ``c`` through ``n`` layers, right or wrong."""
    step = {F(N + 1, U): sp.Integral(C * F(N, V), (V, 0, 1))}
    return Induction(N, [sp.Eq(F(N, U), closed, evaluate=False)], {F(1, U): C}, step)


def test_path_density_of_a_constant_graphon() -> None:
    assert status(constant_path_density(C**N)) is Status.PROVED


@pytest.mark.parametrize("wrong", [C ** (N + 1), C * N, C**N * Q(21, 20), C ** (2 * N - 1), C])
def test_wrong_path_densities_are_refuted(wrong: sp.Expr) -> None:
    assert status(constant_path_density(wrong)) is Status.FAILED


def test_the_base_alone_or_the_step_alone_is_not_enough() -> None:
    good_base = constant_path_density(C ** (2 * N - 1))
    assert all(check.run().status is Status.PROVED for check in good_base.base())
    assert any(check.run().status is Status.FAILED for check in good_base.step())
    good_step = constant_path_density(7 * C**N)
    assert all(check.run().status is Status.PROVED for check in good_step.step())
    assert any(check.run().status is Status.FAILED for check in good_step.base())


def test_product_graphons_keep_a_product_over_layers() -> None:
    f = sp.Function("f")
    weight = sp.Function("q")  # q(l) = int f_l g_{l+1}
    step = {F(N + 1, U): f(N + 1, U) * weight(N) * F(N, U) / f(N, U)}
    closed = f(N, U) * sp.Product(weight(L), (L, 1, N - 1))
    check = Induction(N, [sp.Eq(F(N, U), closed)], {F(1, U): f(1, U)}, step)
    assert status(check) is Status.PROVED
    doubled = Induction(N, [sp.Eq(F(N, U), closed * 2)], {F(1, U): f(1, U)}, step)
    assert status(doubled) is Status.FAILED


def test_two_families_together() -> None:
    # forward variance c^n and a kernel that sums layers: n c^n
    claims = [sp.Eq(F(N), C**N), sp.Eq(G(N), N * C**N)]
    step = {F(N + 1): C * F(N), G(N + 1): C * G(N) + F(N + 1)}
    initial = {F(1): C, G(1): C}
    assert status(Induction(N, claims, initial, step)) is Status.PROVED
    # the later claim may use the earlier one at n + 1, not the other way round
    swapped = Induction(N, claims[::-1], initial, step)
    assert status(swapped) is Status.UNDECIDED


def test_induction_from_another_start() -> None:
    check = Induction(N, sp.Eq(F(N), 2**N), {F(0): 1}, {F(N + 1): 2 * F(N)}, start=0)
    assert status(check) is Status.PROVED


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: Induction(X, sp.Eq(F(X), 1), {}, {}), "variable must be an integer"),
        (lambda: Induction(N, sp.Eq(X, 1), {}, {}), "claims must be"),
        (lambda: Induction(N, sp.Eq(F(N, U, U), 1), {}, {}), "distinct symbols"),
        (lambda: Induction(N, sp.Eq(F(N, 2), 1), {}, {}), "distinct symbols"),
        (lambda: Induction(N, sp.Eq(F(N), 1), {}, {}), "initial must define"),
        (lambda: Induction(N, sp.Eq(F(N), 1), {F(1): 1}, {}), "recurrence must define"),
    ],
)
def test_induction_refuses(build: Callable[[], Induction], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        build()


# ---------------------------------------------------------------------------------- chains

GOOD = Step(sp.Eq(X, X), "trivial", Identity(X, X))
FALSE = Step("x = 2x", "false", Identity(X, 2 * X))
NAME = Step("x", "naming", Definition("x is a ratio"))
CITED = Step("theorem", "known", Cited("Theorem 1", "a paper"))


def chain(*steps: Step, **mutants: Check) -> Derivation:
    return Derivation("n", "A title", "x = x", "x > 0", steps, ("x is positive",), mutants)


@pytest.mark.parametrize(
    ("derivation", "expected"),
    [
        (chain(GOOD), Status.PROVED),
        (chain(NAME, GOOD), Status.PROVED),
        (chain(NAME), Status.UNDECIDED),
        (chain(GOOD, CITED), Status.UNDECIDED),
        (chain(GOOD, FALSE), Status.FAILED),
        (chain(FALSE, CITED), Status.FAILED),
        (chain(GOOD, wrong=Identity(X, 2 * X)), Status.PROVED),
        (chain(GOOD, survivor=Identity(X, X)), Status.FAILED),
        (chain(GOOD, unclear=Identity(sp.airyai(X), sp.airybi(X))), Status.UNDECIDED),
        (chain(GOOD, named=Definition("true by fiat")), Status.FAILED),
    ],
)
def test_status_of_a_chain(derivation: Derivation, expected: Status) -> None:
    result = derivation.verify()
    assert result.status is expected
    assert bool(result.reasons) is (expected is not Status.PROVED)


def test_conditional_chains_say_on_what() -> None:
    result = chain(GOOD, CITED).verify()
    assert result.conditional_on == ("conditional on Theorem 1 (a paper)",)
    assert chain(GOOD).verify().conditional_on == ()


def test_a_chain_needs_steps_and_a_conjunction_needs_checks() -> None:
    with pytest.raises(ValueError, match="steps must contain"):
        chain()
    with pytest.raises(ValueError, match="checks must contain"):
        AllOf(())


def test_all_of_takes_the_worst() -> None:
    true, false = Identity(X, X), Identity(X, 2 * X)
    open_ = Cited("T", "s")
    assert status(AllOf((true, true))) is Status.PROVED
    assert status(AllOf((true, open_))) is Status.UNDECIDED
    assert status(AllOf((open_, false))) is Status.FAILED


def test_printing() -> None:
    derivation = chain(NAME, GOOD, wrong=Identity(X, 2 * X))
    plain, full = derivation.to_text(), derivation.to_text(derivation.verify())
    assert "Outcome: proved" in full
    assert "Outcome" not in plain
    assert "Mutant wrong" in plain
    assert "[failed]" in full
    assert derivation._repr_latex_().startswith("$")
    assert "**A title**" in derivation._repr_markdown_()
    assert str(Status.PROVED) == "proved"


# --------------------------------------------------------------------------------- registry


@pytest.mark.parametrize(
    "name", [name for name in registry.names() if name.startswith(("laws.", "row_", "path_"))]
)
def test_registered_derivations_are_proved_and_their_mutants_refuted(name: str) -> None:
    derivation = registry.get(name)
    assert derivation.name == name
    assert len(derivation.mutants) >= 2, "a proof that nothing could break proves nothing"
    result = derivation.verify()
    assert result.reasons == ()
    assert result.status is Status.PROVED
    assert all(found.status is Status.FAILED for _, found in result.mutants)
    assert derivation.to_text(result).count("\n") > 4


def test_every_closed_form_of_every_law_has_a_derivation() -> None:
    from theory.laws import LAWS

    forms = ("survival", "mean_above", "second_above", "two_sided", "quantile")
    wanted = {f"laws.{law}.{form}" for law, form in itertools.product(LAWS, forms)}
    assert wanted <= set(registry.names())


def test_unknown_and_duplicate_names() -> None:
    with pytest.raises(ValueError, match=r"name must be one of .*laws"):
        registry.get("laws.cauchy.survival")
    taken = registry.names()[0]
    with pytest.raises(ValueError, match="already registered"):
        registry.derivation(taken)(lambda: chain(GOOD))


def test_importing_theory_is_light() -> None:
    code = (
        "import sys, theory; heavy = {'torch', 'scipy', 'flint', 'sympy'} & set(sys.modules); "
        "assert not heavy, heavy; import theory.derivation, theory.laws; "
        "assert 'torch' not in sys.modules and 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_checks_are_values() -> None:
    assert Identity(X, Y) == Identity(X, Y)
    assert CheckResult(Status.PROVED, "symbolic", "") != CheckResult(Status.FAILED, "symbolic", "")
    assert Uniform() == Uniform(1)
