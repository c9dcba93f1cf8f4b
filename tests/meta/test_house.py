"""The house stands: imports go downwards, modules are small, and names say what they are."""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from verify import claims

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("theory", "numerics", "verify")
MODULES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
LONGEST_MODULE = 400


def name_of(path: Path) -> str:
    """Path relative to the repository root: the id of a parametrised test."""
    return path.relative_to(ROOT).as_posix()


# ------------------------------------------------------------------------------------- imports


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a fresh interpreter that sees this working tree."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=240
    )


def test_import_contracts_hold() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(tool), "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_theory_does_not_load_torch() -> None:
    """Every module of theory, not only the package, and after the import has really run."""
    done = python(
        "import importlib, pkgutil, sys, theory\n"
        "names = [m.name for m in pkgutil.walk_packages(theory.__path__, 'theory.')]\n"
        "assert len(names) > 3, names\n"
        "for name in names: importlib.import_module(name)\n"
        "sys.exit('torch was loaded' if 'torch' in sys.modules else 0)\n"
    )
    assert done.returncode == 0, done.stderr


# --------------------------------------------------------------------------------------- rooms


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_holds_one_idea(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_MODULE, f"{lines} lines: more than one idea?"


def public_names(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The module itself, the public classes and functions it defines, and their public methods."""
    yield "module", module
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        yield name, thing
        if inspect.isclass(thing):
            for part, value in vars(thing).items():
                method = isinstance(value, staticmethod | classmethod | property | cached_property)
                if (method or inspect.isfunction(value)) and not part.startswith("_"):
                    yield f"{name}.{part}", inspect.getattr_static(thing, part)


def undocumented(module: ModuleType) -> list[str]:
    """Public names without a docstring of their own or of the method that they override."""
    found = []
    for name, thing in public_names(module):
        holder, dot, part = name.partition(".")
        text = thing.__doc__
        for base in getattr(module, holder).__mro__ if dot and not text else ():
            text = text or getattr(vars(base).get(part), "__doc__", None)
        generated = text and text.startswith(f"{part or holder}(")  # what a dataclass makes up
        if generated or not (text and text.strip()):
            found.append(name)
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_public_names_have_docstrings(path: Path) -> None:
    if path.name == "__main__.py":
        pytest.skip("importing it runs the command")
    claims.load()  # claims register themselves when imported, in the order of their list
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    assert undocumented(importlib.import_module(name)) == []


def test_a_missing_docstring_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "class A:\n"
        "    'A class.'\n"
        "    def b(self): 'Documented.'\n"
        "    def c(self): ...\n"
        "    def _d(self): ...\n"
        "class B(A):\n"
        "    'Inherits.'\n"
        "    def b(self): ...\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class C:\n"
        "    e: int\n"
    )
    module = ModuleType("made_here")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(source, vars(module))
    assert undocumented(module) == ["module", "A.c", "C"]


# --------------------------------------------------------------------------------------- words

# Put together from parts, so that this file does not contain what it looks for.
MACHINE_PATHS = re.compile(
    "|".join(
        [
            *("/" + folder + "/" for folder in ("work", "farm", "root", "home")),
            "/opt/" + "(?:wheels|pypi)",
            *(r"\.".join(host) for host in (("files", "pythonhosted"), ("pypi", "org"))),
            *(r"\.".join(host) for host in (("registry", "npmjs"), ("deb", "debian"))),
        ]
    )
)


def repository_files() -> list[Path]:
    """Files git tracks or would track; every file but build products where there is no git."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        listed = subprocess.run(
            [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not is_product(path)]
    return [path for path in paths if path.is_file()]


def is_product(path: Path) -> bool:
    """Whether a path lies in a cache, an environment or a folder of results."""
    folders = path.relative_to(ROOT).parts[:-1]
    results = {"build", "dist", "_build", "report", "__pycache__"}
    return any(
        folder in results or folder.endswith(".egg-info") or folder.startswith(".")
        for folder in folders
        if folder != ".ci"
    )


def machine_paths(text: str) -> list[str]:
    """Lines of ``text`` that name a path or a host of one particular machine."""
    return [line.strip()[:120] for line in text.splitlines() if MACHINE_PATHS.search(line)]


def test_no_machine_paths() -> None:
    found = {}
    for path in repository_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image
        if lines := machine_paths(text):
            found[name_of(path)] = lines
    assert not found


def test_a_machine_path_is_found() -> None:
    assert machine_paths("see /" + "home/someone/notes.txt") != []
    assert machine_paths("see docs/home.md and ~/work") == []


# ------------------------------------------------------------------------------------ commands


def makefile_targets() -> set[str]:
    """Names of the Makefile's own targets."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", text, flags=re.MULTILINE))


def promised(pattern: str) -> set[str]:
    """What README, CONTRIBUTING and the book call, by a pattern with one group."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "book").glob("*.md"))]
    code = re.compile(r"```([^\n`]*)\n(.*?)```|`([^`\n]+)`", flags=re.DOTALL)
    spans = [
        match[2] or match[3]
        for page in pages
        for match in code.finditer(page.read_text(encoding="utf-8"))
        if match[3] or match[1] in ("bash", "console", "sh")
    ]
    return {name for span in spans for name in re.findall(pattern, span, flags=re.MULTILINE)}


def test_promised_make_targets_exist() -> None:
    names = promised(r"(?:^|&& *)make ([a-z][a-z-]*)")
    assert {"verify", "test", "book"} <= names
    assert names <= makefile_targets()


def test_promised_subcommands_exist() -> None:
    from verify import cli

    names = promised(r"(?:^|&& *)(?:\.venv/bin/)?graphonlimit ([a-z]+)")
    assert {"verify", "claims", "limit", "derive"} <= names
    for name in sorted(names):
        with pytest.raises(SystemExit) as stop:
            cli.main([name, "--help"])
        assert stop.value.code == 0, name


def test_promised_names_exist() -> None:
    """Derivations, criteria and Make variables that the pages name are there."""
    from theory import criteria, derivations

    chains = promised(r"(?:^|&& *)graphonlimit derive ([a-z][a-z0-9_.-]*)")
    assert chains
    assert chains <= set(derivations.names())
    assert promised(r"(?:^|&& *)graphonlimit limit ([a-z][a-z0-9-]*)") <= set(criteria.CRITERIA)
