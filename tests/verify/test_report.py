"""The report: one page, no network, everything escaped, figures inside, honest about failures."""

from __future__ import annotations

import html.parser
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import demo_claims as demo
import numpy as np
import pytest
from matplotlib.figure import Figure

from verify import graph, markup, plots, plots_checks, report, runner
from verify.checks import Certified, CertifiedCheck, statistical
from verify.measured import Series
from verify.outcome import CheckOutcome, StepRecord
from verify.plots_experiments import Curves, images_over_curves
from verify.runner import Run


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The demonstration claims, two of which do not come out as recorded."""
    claims = (*demo.CHEAP, demo.FAILING, demo.CONSTANT)
    return runner.run(claims, jobs=1, store=tmp_path_factory.mktemp("s") / "s.sqlite")


@pytest.fixture(scope="module")
def page(found: Run) -> str:
    """The page of that run."""
    return report.render(found)


class Tags(html.parser.HTMLParser):
    """Collects tags and addresses, and checks that tags are closed in order."""

    void = frozenset({"meta", "link", "img", "br", "path", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_no_network(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert len(set(tags.ids)) == len(tags.ids)
    for address in tags.addresses:
        assert address.startswith(("data:", "#")), address
        if address.startswith("#"):
            assert address[1:] in tags.ids
    assert not re.search(r"@import|url\(\s*['\"]?https?:", page)


def test_every_claim_is_there_with_its_evidence_and_the_command(page: str, found: Run) -> None:
    for claim, outcome in zip(found.claims, found.outcomes, strict=True):
        assert f'id="{claim.id}"' in page
        assert f"graphonlimit verify {claim.id} --profile quick --seed 0" in page
        for item in outcome.evidence:
            assert item.name in page
        for mutant in outcome.mutants:
            assert mutant.name in page


def test_what_is_not_as_recorded_is_said_at_the_top(page: str) -> None:
    top = page[: page.index("<h2>Claims")]
    assert "Not as recorded" in top
    assert "demo-failing" in top
    assert "no such network" in top
    assert "demo-limit" not in top


def test_a_run_as_recorded_says_so(found: Run) -> None:
    good = replace(found, claims=found.claims[:5], outcomes=found.outcomes[:5])
    assert "Every verdict is the recorded one" in report.render(good)


def test_texts_are_escaped(page: str) -> None:
    assert "nothing &lt; else" in page
    assert "&amp; nothing" in page


def test_open_rows_are_shown(page: str) -> None:
    assert "1 of 27 rows, 26 open" in page


def test_the_page_is_written_whole(found: Run, tmp_path: Path) -> None:
    path = report.write(found, tmp_path / "new")
    assert path == tmp_path / "new" / "index.html"
    assert path.read_text(encoding="utf-8").endswith("</html>")
    assert [p.name for p in path.parent.iterdir()] == ["index.html"]


def test_a_failing_figure_costs_only_itself(found: Run) -> None:
    def broken(claim: Any, outcome: Any) -> Figure:
        raise RuntimeError("no ink")

    claim = replace(found.claims[0], figure=broken)
    part = report.section(claim, found.outcomes[0], "quick")
    assert part.figure == ""
    assert "no ink" in part.figure_error


def test_derivation_steps_are_shown(found: Run) -> None:
    steps = (
        StepRecord("$$x = 1$$", "because $x$ is", "symbolic", "proved", "exact", ("$x>0$",)),
        StepRecord(r"$$\frac{1}{2}$$", "half", "certified", "proved", ""),
        StepRecord("a plain <sentence>", "said", "definition", "undecided", ""),
    )
    outcome = found.outcomes[0]
    check = replace(outcome.checks[0], steps=steps)
    shown = report.render(
        replace(found, claims=found.claims[:1], outcomes=(replace(outcome, checks=(check,)),))
    )
    assert "3 steps" in shown
    assert "a plain &lt;sentence&gt;" in shown
    assert "<mfrac>" in shown


# ------------------------------------------------------------------------- graph and figures


def test_the_graph_shows_who_builds_on_whom(found: Run) -> None:
    drawn = graph.svg(found.claims, found.outcomes)
    assert drawn.count('class="edge"') == 2
    assert drawn.count("<rect") == 3  # only claims with a connection
    assert graph.svg(found.claims[::-1], found.outcomes[::-1]).count('class="edge"') == 2
    assert graph.svg(found.claims[:1], found.outcomes[:1]) == ""


def test_a_claim_is_settled_only_if_all_it_builds_on_is(found: Run) -> None:
    both = graph.svg(found.claims[:2], found.outcomes[:2])
    assert both.count(" settled") == 2
    spoiled = (replace(found.outcomes[0], recorded=demo.Verdict.PROVED), found.outcomes[1])
    assert graph.svg(found.claims[:2], spoiled).count(" unsettled") == 2


def test_default_figures_have_a_panel_for_each_check(found: Run) -> None:
    by_id = {claim.id: (claim, o) for claim, o in zip(found.claims, found.outcomes, strict=True)}
    for name, panels in (("demo-limit", 1), ("demo-value", 1), ("demo-certified", 1)):
        drawn = plots_checks.figure(*by_id[name])
        assert drawn is not None
        assert len([axes for axes in drawn.axes if axes.axison]) == panels
        assert plots.to_svg(drawn).startswith(b"<?xml")
    assert plots_checks.figure(*by_id["demo-failing"]) is None


def measured(
    kind: str, metric: str, middle: float, *references: tuple[str, float, bool]
) -> statistical.Series:
    """A series about a number."""
    x = (1.0, 2.0, 4.0)
    ends = middle - 0.01, middle + 0.01
    return statistical.Series(
        kind, metric, "n", x, (middle,) * 3, (0.02,) * 3, middle, *ends, (x, (middle,) * 3),
        references,
    )  # fmt: skip


TRUE = measured("limit", "error", 0.0, ("the law", 0.0, False), ("a miss", 0.2, True))
FALSE = measured("limit", "other", 1.0, ("the other law", 0.0, True))


def test_metrics_share_a_panel_where_each_can_be_seen() -> None:
    def panels(*series: statistical.Series) -> list[str]:
        check = CheckOutcome("check", "statistical", (), series=series)
        drawn = plots_checks.default_figure([check])
        assert drawn is not None
        return [axes.get_title(loc="left") for axes in drawn.axes if axes.axison]

    assert panels(TRUE, FALSE) == ["check"]
    far = measured("limit", "far", 1e3, ("a far one", 1e3, False))
    assert panels(TRUE, far) == ["check: the law", "check: a far one"]
    rates = [replace(one, kind="rate") for one in (TRUE, FALSE)]
    assert panels(*rates) == ["check: the law", "check: the other law"]
    assert plots_checks.default_figure([CheckOutcome("none", "statistical", ())]) is None


def test_what_is_claimed_is_green_and_misses_are_red() -> None:
    axes = Figure().subplots()
    plots_checks.draw_series(axes, (TRUE, FALSE))
    _, labels = axes.get_legend_handles_labels()
    assert labels == [
        "claimed: 0", "a miss: 0.2", "the law: [-0.01, 0.01]", "the other law: [0.99, 1.01]",
    ]  # fmt: skip
    across = {line.get_label(): line.get_color() for line in axes.get_lines()}
    assert across["claimed: 0"] == plots.GREEN
    assert across["a miss: 0.2"] == plots.RED
    axes = Figure().subplots()
    plots_checks.draw_series(axes, [replace(one, kind="value") for one in (TRUE, FALSE)])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["the law", "the other law"]
    assert axes.get_legend_handles_labels()[1] == ["claimed", "near miss"]
    with pytest.raises(ValueError, match="one kind"):
        plots_checks.draw_series(axes, (TRUE, replace(FALSE, kind="rate")))


def test_many_enclosures_go_without_names() -> None:
    for count, named in ((3, True), (60, False)):
        rows = [Certified(f"row {k}", 0.0, -0.1, 0.1 + k, margin=99.0) for k in range(count)]
        axes = Figure().subplots()
        found = CertifiedCheck("c", lambda rows=rows: rows, {"off": lambda row: 9.0}).run("quick")
        plots_checks.draw_enclosures(axes, found)
        assert bool(axes.get_yticklabels()) is named


def test_equal_figures_are_equal_bytes(found: Run) -> None:
    one, other = (plots_checks.figure(found.claims[0], found.outcomes[0]) for _ in range(2))
    assert one is not None
    assert other is not None
    assert plots.to_svg(one) == plots.to_svg(other)


def test_heatmaps_share_a_scale() -> None:
    panels = [plots.Panel(f"n = {n}", [[0.0, 0.1 * n], [0.2, 0.3]], "error 0.1") for n in (1, 2)]
    drawn = plots.heatmaps(panels, label="density kept")
    images = [image for axes in drawn.axes for image in axes.images]
    assert {image.get_clim() for image in images[:2]} == {(0.0, 0.3)}
    signed = plots.heatmaps(panels, kind="signed")
    assert signed.axes[0].images[0].get_clim() == (-0.3, 0.3)
    with pytest.raises(ValueError, match="panels"):
        plots.heatmaps([])
    with pytest.raises(ValueError, match="kind"):
        plots.heatmaps(panels, kind="rainbow")


def test_curves_can_stand_in_rows_and_keep_their_colours() -> None:
    x = np.array([1.0, 4.0, 16.0])
    lines = {name: Series(x, y, y, y) for name, y in (("a", 0.3 / x), ("b", 0.5 / x))}
    panels = [
        Curves("both", "n", "d", lines),
        Curves("second", "n", "d", {"b": lines["b"]}, {"b, expected": (x, 0.4 / x)}, start=1),
        Curves("first", "n", "d", {"a": lines["a"]}),
    ]
    image = plots.Panel("image", np.zeros((2, 2)))
    drawn = images_over_curves([image], panels, columns=1, across=2)
    curves = [axes for axes in drawn.axes if axes.get_legend() is not None]
    tops = [round(axes.get_subplotspec().rowspan.start) for axes in curves]
    assert tops == [0, 0, 1]
    both, second, first = ([line.get_color() for line in axes.get_lines()] for axes in curves)
    assert both[-1] == second[0] != plots.GREY
    assert plots.GREY in second
    assert first[0] == both[0]
    plots.to_png(drawn)
    labels = [label.get_text() for label in curves[0].yaxis.get_ticklabels(which="both")]
    assert "0.1" in labels
    assert not any("10^" in label for label in labels)


# ------------------------------------------------------------------------- markup


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b & c", "<p>a &lt; b &amp; c</p>"),
        ("*very* **much** `x<y`", "<p><em>very</em> <strong>much</strong> <code>x&lt;y</code></p>"),
        ("2 * 3 * 4", "<p>2 * 3 * 4</p>"),
        ("one\n\ntwo", "<p>one</p>\n<p>two</p>"),
        ("- a\n- b\n  c", "<ul><li>a</li><li>b\n  c</li></ul>"),
        ("[x](https://a.org/?q=1)", '<p><a href="https://a.org/?q=1">x</a></p>'),
        ("[x](javascript:1)", "<p>[x](javascript:1)</p>"),
        ("", ""),
    ],
)
def test_markup(text: str, expected: str) -> None:
    assert markup.to_html(text) == expected


@pytest.mark.parametrize(
    "latex",
    [
        r"P(u, v) = \operatorname{erfc}\left(\frac{\tau}{\sqrt{2} r(u) c(v)}\right)",
        r"\|M_n - P\|_\square = \Theta(n^{-1/2})",
        r"\int_0^1 \int_0^1 P \, \mathrm{d}u \, \mathrm{d}v = \rho",
        r"\begin{cases} 1 & x < 0 \\ 2 & \text{else} \end{cases}",
        r"\mathbb{E}[w^2 ; |w| \ge t] = \bar\Phi(t) + t \varphi(t)",
        r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
        r"\left. x \middle| y \right\}",
        r"\tfrac12 \xrightarrow{d} \infty",
    ],
)
def test_formulas_of_the_kind_in_use_become_mathml(latex: str) -> None:
    assert markup.mathml(latex).startswith("<math")
    assert "math-source" not in markup.inline(f"${latex}$")


def test_a_formula_that_cannot_be_converted_stays_readable() -> None:
    shown = markup.mathml(r"\left( x")
    assert "x" in shown
    assert "<script" not in markup.inline("$<script>$")
