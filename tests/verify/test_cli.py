"""The command: exit codes, one-line errors that name the argument, files whole or absent."""

from __future__ import annotations

import json
from pathlib import Path

import demo_claims as demo
import numpy as np
import pytest

from verify import claims, cli, files
from verify.claim import Registry


@pytest.fixture(autouse=True)
def demonstration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    """The demonstration claims in place of the project's, and a store of their own."""
    registry = Registry()
    for claim in (*demo.CHEAP, demo.FAILING):
        registry.add(claim)
    monkeypatch.setattr(claims, "load", lambda: registry)
    monkeypatch.setenv("GRAPHONLIMIT_STORE", str(tmp_path / "trials.sqlite"))
    monkeypatch.setenv("COLUMNS", "200")
    return registry


def run(*arguments: str) -> int:
    """The exit code of the command."""
    try:
        return cli.main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


def test_verify_writes_verdicts_and_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, folder = tmp_path / "out" / "verdicts.json", tmp_path / "report"
    names = [claim.id for claim in demo.CHEAP]
    code = run("verify", *names, "--jobs", "1", "--json", str(target), "--report", str(folder))
    assert code == 0
    found = json.loads(target.read_text(encoding="utf-8"))
    assert [entry["id"] for entry in found["claims"]] == names
    assert found["environment"]["profile"] == "quick"
    assert (folder / "index.html").is_file()
    out, err = capsys.readouterr()
    assert "5 claims, all as recorded" in out
    assert "refuted" in out
    assert "demo-rate" in err  # progress


def test_verify_is_1_when_a_verdict_is_not_the_recorded_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("verify", "demo-failing", "demo-certified", "--jobs", "1") == 1
    assert "1 not as recorded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named", "allowed"),
    [
        (["verify", "demo-limi"], "CLAIM", "demo-limit"),
        (["verify", "--profile", "slow"], "--profile", "quick"),
        (["verify", "--jobs", "0"], "--jobs", ">= 1"),
        (["verify", "--jobs", "two"], "--jobs", "whole number"),
        (["verify", "--seed", "-1"], "--seed", ">= 0"),
        (["verify", "--device", "abacus"], "device", "cpu"),
        (["verify", "--json", "."], "--json", "a file"),
        (["verify", "--report", __file__], "--report", "folder"),
        (["verify", "--store", "."], "store", "--store"),
        (["limit", "snap", "--density", "0.2"], "CRITERION", "snip"),
        (["limit", "snip"], "--density", "required"),
        (["kernel", "rellu"], "ACTIVATION", "relu"),
        (["kernel", "x*z"], "ACTIVATION", "expression in z"),
        (["kernel", "relu", "--density", "0"], "--density", "(0, 1]"),
        (["kernel", "relu", "--depth", "1.5"], "--depth", "whole"),
        (["kernel", "relu", "--cosines", "2"], "--cosines", "[-1, 1]"),
        (["width", "snap"], "CRITERION", "snip"),
        (["width", "--density", "0"], "--density", "(0, 1]"),
        (["width", "--inputs", "two"], "--inputs", "whole"),
        (["width", "--neurons", "0"], "--neurons", "at least 1"),
        (["width", "--delta", "1"], "delta", "1"),
        (["limit", "snip", "--density", "1.5"], "--density", "(0, 1]"),
        (["limit", "snip", "--density", "0"], "--density", "(0, 1]"),
        (["limit", "snip", "--density", "nan"], "--density", "0.2 or 1/5"),
        (["limit", "snip", "--density", "1/0"], "--density", "1/5"),
        (
            ["limit", "snip", "--density", ".2", "--weight-law", "cauchy"],
            "--weight-law",
            "gaussian",
        ),
        (["limit", "snip", "--density", ".2", "--weight-law", "gaussian:a"], "--weight-law", "="),
        (["limit", "snip", "--density", ".2", "--row-profile", "v"], "--row-profile", "in u"),
        (["limit", "snip", "--density", ".2", "--row-profile=-1-u"], "row_profile", "negative"),
        (["limit", "random", "--density", ".2", "--row-profile", "u"], "--row-profile", "random"),
        (["limit", "snip", "--density", ".2", "--signed"], "--signed", "grasp"),
        (["limit", "snip", "--density", ".2", "--offset", "-1"], "--offset", "positive"),
        (["limit", "snip", "--density", ".2", "--digits", "0"], "--digits", "between 1"),
        (["limit", "snip", "--density", ".2", "--grid", "0"], "--grid", "between 1"),
        (["limit", "snip", "--density", ".2", "--png", "."], "--png", "a file"),
        (["derive"], "NAME", "--list"),
        (["derive", "xqzw"], "NAME", "--list"),
        (["conjure"], "COMMAND", "verify"),
        ([], "COMMAND", "required"),
    ],
)
def test_usage_errors_are_one_line_that_names_the_argument(
    arguments: list[str], named: str, allowed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    assert err.startswith("graphonlimit")
    assert "error" in err
    assert named in err
    assert allowed in err


def test_a_corrupt_store_is_a_usage_error_and_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.sqlite"
    path.write_bytes(b"not a database" * 100)
    target = tmp_path / "verdicts.json"
    target.write_text("old")
    assert run("verify", "demo-limit", "--store", str(path), "--json", str(target)) == 2
    err = capsys.readouterr().err
    assert "broken.sqlite" in err
    assert "afresh" in err
    assert path.read_bytes().startswith(b"not a database")
    assert target.read_text() == "old"


def test_claims_lists_the_ledger_and_what_covers_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("claims") == 0
    text = capsys.readouterr().out
    assert "Thm 4.7" in text
    assert "demo-limit" in text
    assert "26 open" in text
    assert run("claims", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    by_id = {row["id"]: row for row in found["rows"]}
    assert by_id["B-taxonomy"]["claims"] == ["demo-limit", "demo-wrong"]
    assert by_id["B-fsm"]["claims"] == []
    assert {claim["id"] for claim in found["claims"]} >= {"demo-limit", "demo-failing"}


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["--version"], ["verify", "--help"], ["derive", "--help"]):
        assert run(*arguments) == 0
    assert "graphonlimit" in capsys.readouterr().out


def test_limit_prints_formulas_and_writes_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    png, npz = tmp_path / "a.png", tmp_path / "b.npz"
    arguments = ["limit", "grasp", "--signed", "--density", "1/5", "--row-profile", "2"]
    assert run(*arguments, "--png", str(png), "--npz", str(npz), "--grid", "16") == 0
    out = capsys.readouterr().out
    assert "threshold" in out
    assert "heterogeneous" in out
    assert "erfc" in out
    assert png.read_bytes().startswith(b"\x89PNG")
    with np.load(npz) as arrays:
        assert arrays["mask"].shape == (16, 16)
        assert arrays["mask"].mean() == pytest.approx(0.2, abs=5e-3)
        assert arrays["density"] == pytest.approx(0.2)
        assert set(arrays.files) == {"mask", "variance", "mean", "density", "threshold"}


def test_limit_of_another_law(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("limit", "magnitude", "--density", "0.2", "--weight-law", "uniform") == 0
    assert "homogeneous (constant)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__",
        "u.args",
        "exec(u)",
        "9**9**9**9",
        "lambda: u",
        "u;u",
        "[u]",
        "",
        "u" * 600,
        "99999999999999999999",
    ],
)
def test_profiles_are_never_run_as_python(text: str) -> None:
    from verify.limit_command import expression

    with pytest.raises(ValueError, match="--row-profile must be an expression in u"):
        expression(text, "u", "--row-profile")


def test_profiles_are_read_as_formulas() -> None:
    import sympy

    from verify.limit_command import expression

    u = sympy.Symbol("u")
    assert expression("1 + u/2", "u", "x") == 1 + u / 2
    assert expression("sqrt(2)*erfinv(u)", "u", "x") == sympy.sqrt(2) * sympy.erfinv(u)
    assert expression("1e-3 + 0.5*u**2", "u", "x") == sympy.Float("0.001") + 0.5 * u**2


# ------------------------------------------------------------------------- files


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    assert files.write_atomically(target, "one") == target
    files.write_atomically(target, b"two")
    assert target.read_bytes() == b"two"
    with pytest.raises(ValueError, match="cannot write"):
        files.write_atomically(target / "below", "x")
    with pytest.raises(ValueError, match="cannot write"):
        files.write_atomically(target.parent, "x")
    assert [path.name for path in target.parent.iterdir()] == ["a.txt"]


def test_kernel_prints_the_power_of_the_density(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("kernel", "relu", "--depth", "2", "--density", "0.5", "--cosines", "0.3", "1") == 0
    found = capsys.readouterr().out
    assert found.count("0.125") == 2
    assert run("kernel", "relu", "--depth", "2", "--density", "0.5", "--dense-output") == 0
    assert "0.25" in capsys.readouterr().out
    assert run("kernel", "z**2 + tanh(z)", "--depth", "1", "--cosines", "0.5") == 0


def test_width_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["width", "random", "snip", "--density", "0.2", "--inputs", "4"]
    assert run(*arguments, "--delta", "0.01") == 0
    plain = capsys.readouterr().out
    assert "random" in plain
    assert "snip" in plain
    assert run(*arguments, "--markdown") == 0
    assert capsys.readouterr().out.count("|") > 20
