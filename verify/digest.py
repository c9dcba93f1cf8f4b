"""Digests of the code behind a trial.

The digest covers the module that defines the trial and, transitively, every module of the
project that it imports, also inside functions. It is taken from the syntax tree without
docstrings, so rewording a comment keeps stored trials while any change of code loses them.
The versions of the numerical libraries enter too. Rules:

- ``from package import name`` follows the submodule `name` if there is one, else the package's
  ``__init__``. The ``__init__`` of every package on the way enters the digest too, unfollowed,
  except in `verify`, whose packages list claims and compute nothing.
- A module that imports by name at run time (``import_module``) brings its whole package.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path

PROJECT_PACKAGES = ("theory", "numerics", "verify")
LIBRARIES = (
    "mlxtend", "mpmath", "numpy", "python-flint", "scikit-learn", "scipy", "sympy", "torch",
)  # fmt: skip
"""Distributions that trials compute with; scikit-learn and mlxtend bring the images."""


def code_digest(module: str) -> str:
    """SHA-256 over the code of `module` and of all project modules it depends on."""
    digest = hashlib.sha256()
    for name, version in library_versions():
        digest.update(f"{name}=={version}\n".encode())
    for name in closure(module):
        digest.update(f"{name}\n{_normalised(name)}\n".encode())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def library_versions() -> tuple[tuple[str, str], ...]:
    """Installed versions of the libraries that make the numbers."""
    found = []
    for name in LIBRARIES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append((name, "absent"))
    return tuple(found)


def closure(module: str) -> tuple[str, ...]:
    """Sorted names of `module` and every project module it depends on, packages included."""
    roots = {*PROJECT_PACKAGES, module.partition(".")[0]}
    followed: set[str] = set()
    included: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name in followed:
            continue
        followed.add(name)
        included.add(name)
        included.update(p for p in _parents(name) if _is_computing_package(p))
        for target in _imports(name):
            if target.partition(".")[0] in roots and module_path(target) is not None:
                todo.append(target)
    return tuple(sorted(included))


def module_path(name: str) -> Path | None:
    """Source file of a module, without importing it; None if it has none."""
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None):
        path = Path(str(loaded.__file__))
        return path if path.suffix == ".py" else None
    head, _, tail = name.rpartition(".")
    if not head:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return None
        return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None
    parent = module_path(head)
    if parent is None or parent.name != "__init__.py":
        return None
    for candidate in (parent.parent / f"{tail}.py", parent.parent / tail / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _is_computing_package(name: str) -> bool:
    return name.partition(".")[0] != "verify" and module_path(name) is not None


def _source(name: str) -> tuple[Path, int, int]:
    """Path, time of change and size of a module's source: what its parsed forms are kept under."""
    path = module_path(name)
    if path is None:
        raise ValueError(f"module {name} has no source file to take a digest of")
    state = path.stat()
    return path, state.st_mtime_ns, state.st_size


def _imports(name: str) -> tuple[str, ...]:
    return _imports_of(name, *_source(name))


@cache
def _imports_of(name: str, path: Path, changed: int, size: int) -> tuple[str, ...]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return tuple(_imports_in(ast.parse(path.read_text(encoding="utf-8")), package))


def _imports_in(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            yield from _imports_from(node, package)
        elif isinstance(node, ast.Call) and _is_import_module(node.func):
            yield from _siblings(package)


def _imports_from(node: ast.ImportFrom, package: str) -> Iterator[str]:
    base = node.module or ""
    if node.level:
        anchor = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*anchor, base] if base else anchor)
    for alias in node.names:
        submodule = f"{base}.{alias.name}"
        # A name that is no submodule was made or re-exported by the base module itself.
        yield submodule if module_path(submodule) is not None else base


def _is_import_module(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__")


def _siblings(package: str) -> Iterator[str]:
    path = module_path(package) if package else None
    if path is None:
        return
    for source in sorted(path.parent.rglob("*.py")):
        relative = source.relative_to(path.parent).with_suffix("")
        parts = [part for part in relative.parts if part != "__init__"]
        if parts:
            yield ".".join([package, *parts])


def _normalised(name: str) -> str:
    return _normal_form(*_source(name))


@cache
def _normal_form(path: Path, changed: int, size: int) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return ast.dump(tree)
