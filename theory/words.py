"""Identities between matrices of any size, proved as identities between words.

A matrix is a noncommutative symbol, a product a word, and what is known of the matrices (that one
is the inverse of another's Gram matrix, say) a list of facts by which words are rewritten. Two
expressions whose difference rewrites to nothing are equal for all matrices that obey the facts,
whatever their sizes. A disproof is an example: explicit matrices that obey the facts and tell the
two sides apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sympy as sp

from theory.checks import CheckResult, Status, Timed

__all__ = ["MatrixIdentity", "matrices", "transpose", "value"]

_LIMIT: Final = 2000
Word = tuple[sp.Expr, ...]
Polynomial = dict[Word, sp.Expr]


def matrices(names: str) -> tuple[sp.Symbol, ...]:
    """Matrices by name, separated by spaces: symbols that do not commute."""
    return tuple(sp.Symbol(name, commutative=False) for name in names.split())


def _words(expr: Any) -> Polynomial:
    """An expression as coefficients of words; the empty word is the identity matrix."""
    found: Polynomial = {}
    for term in sp.Add.make_args(sp.expand(sp.sympify(expr))):
        numbers, letters = term.args_cnc()
        word: list[sp.Expr] = []
        for letter in letters:
            base, power = letter.as_base_exp()
            if not (base.is_Symbol and power.is_Integer and power.is_positive):
                raise ValueError(f"expr must be a polynomial in matrices, got {letter}")
            word += [base] * int(power)
        key = tuple(word)
        found[key] = found.get(key, sp.S.Zero) + sp.Mul(*numbers)
    return found


def _expression(words: Polynomial) -> sp.Expr:
    return sp.Add(*[factor * sp.Mul(*word) for word, factor in words.items()])


def transpose(expr: Any, pairs: Mapping[Any, Any]) -> sp.Expr:
    """The transposed expression; ``pairs`` maps matrices to their transposes, others are symmetric.

    Raises ValueError for anything but a polynomial in matrices.
    """
    table = {**pairs, **{new: old for old, new in pairs.items()}}
    return _expression(
        {
            tuple(table.get(letter, letter) for letter in reversed(word)): factor
            for word, factor in _words(expr).items()
        }
    )


def value(expr: Any, example: Mapping[Any, Any]) -> sp.Matrix | sp.Expr:
    """The expression at explicit matrices and numbers; a number where it has no matrix in it.

    Raises ValueError if a matrix is missing or shapes do not fit.
    """
    numbers = {k: v for k, v in example.items() if not isinstance(v, sp.MatrixBase)}
    total: Any = sp.S.Zero
    scalar: Any = sp.S.Zero
    for word, factor in _words(expr).items():
        lost = [str(letter) for letter in word if letter not in example]
        if lost:
            raise ValueError(f"example must give {', '.join(lost)}")
        size = sp.sympify(factor).subs(numbers)
        if not word:
            scalar += size
            continue
        product = example[word[0]]
        for letter in word[1:]:
            product = product * example[letter]
        term = size * product
        total = term if total is sp.S.Zero else total + term
    if total is sp.S.Zero:
        return scalar
    if scalar != 0:
        if total.rows != total.cols:
            raise ValueError(f"expr must not add a multiple of the identity to {total.shape}")
        total = total + scalar * sp.eye(total.rows)
    return sp.ImmutableMatrix(total)


@dataclass(frozen=True)
class MatrixIdentity(Timed):
    """``lhs = rhs`` for all matrices, of all sizes that fit, that obey the facts.

    Parameters
    ----------
    lhs, rhs
        Polynomials in noncommutative symbols; other symbols are numbers.
    facts
        Pairs ``(word, expression)``: a product of matrices and what it equals.
    example
        Matrices and numbers that obey the facts, for disproofs.

    Raises
    ------
    ValueError
        If a fact's left side is no product, or the example does not obey the facts.
    """

    lhs: Any
    rhs: Any
    facts: tuple[tuple[Any, Any], ...]
    example: Mapping[Any, Any]

    def __post_init__(self) -> None:
        for word, expr in self.facts:
            known = _words(word)
            if len(known) != 1 or next(iter(known.values())) != 1 or () in known:
                raise ValueError(f"facts must have products of matrices on the left, got {word}")
            if not _equal(word, expr, self.example):
                raise ValueError(f"example must obey the fact {word} = {expr}")

    def describe(self) -> str:
        """One line: the identity and what it uses."""
        facts = ", ".join(f"{word} = {expr}" for word, expr in self.facts)
        return f"{self.lhs} = {self.rhs} as words" + (f" with {facts}" if facts else "")

    def _run(self) -> CheckResult:
        if not _equal(self.lhs, self.rhs, self.example):
            return CheckResult(Status.FAILED, "symbolic", "an example tells the sides apart")
        left = self._reduced(_words(sp.sympify(self.lhs) - sp.sympify(self.rhs)))
        if left is None or any(sp.simplify(factor) != 0 for factor in left.values()):
            return CheckResult(Status.UNDECIDED, "symbolic", "words are left after rewriting")
        return CheckResult(Status.PROVED, "symbolic", "equal word by word, for all sizes")

    def _reduced(self, words: Polynomial) -> Polynomial | None:
        """Rewrite by the facts until none applies; None if that takes too long."""
        rules = [(next(iter(_words(word))), _words(expr)) for word, expr in self.facts]
        done: Polynomial = {}
        waiting = list(words.items())
        for _ in range(_LIMIT):
            if not waiting:
                return done
            word, factor = waiting.pop()
            hit = _match(word, rules)
            if hit is None:
                done[word] = done.get(word, sp.S.Zero) + factor
                continue
            at, length, put = hit
            waiting += [(word[:at] + w + word[at + length :], factor * f) for w, f in put.items()]
        return None


def _match(word: Word, rules: list[tuple[Word, Polynomial]]) -> tuple[int, int, Polynomial] | None:
    for head, put in rules:
        for at in range(len(word) - len(head) + 1):
            if word[at : at + len(head)] == head:
                return at, len(head), put
    return None


def _equal(lhs: Any, rhs: Any, example: Mapping[Any, Any]) -> bool:
    """Whether both sides agree at the example; a number stands for a multiple of the identity."""
    one, two = value(lhs, example), value(rhs, example)
    if isinstance(one, sp.MatrixBase) != isinstance(two, sp.MatrixBase):
        matrix, number = (one, two) if isinstance(one, sp.MatrixBase) else (two, one)
        if matrix.rows != matrix.cols and number != 0:
            return False
        both = matrix - (number * sp.eye(matrix.rows) if number != 0 else sp.zeros(*matrix.shape))
    elif isinstance(one, sp.MatrixBase) and one.shape != two.shape:
        return False
    else:
        both = one - two
    entries = both if isinstance(both, sp.MatrixBase) else [both]
    return all(sp.simplify(entry) == 0 for entry in entries)
