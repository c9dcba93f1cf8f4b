"""The store of finished trials: one SQLite file, one row for each trial.

A run that was killed goes on where it was, because every finished trial is committed at once and is
found again by its key, which contains the digest of the code that made it. Several processes may
use one file at the same time. A damaged file is never deleted or overwritten.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from verify.outcome import TrialResult

SCHEMA_VERSION = 2
READABLE = (1, SCHEMA_VERSION)
"""Version 1 has the same table; there, no result is compressed."""
LONG = 4096
"""Results of more characters are compressed: histograms and spectra."""
ENVIRONMENT_VARIABLE = "GRAPHONLIMIT_STORE"
DEFAULT_PATH = Path(".graphonlimit") / "trials.sqlite"

COLUMNS = frozenset({"key", "name", "digest", "settings", "seed", "result", "seconds"})
"""What a table of trials has to have."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS trials (
    key TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    settings TEXT NOT NULL,
    seed INTEGER NOT NULL,
    result TEXT NOT NULL,
    seconds REAL NOT NULL,
    finished TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID
"""


class StoreError(ValueError):
    """The store cannot be used; the message names the file and says how to go on."""


def default_path() -> Path:
    """The path in ``GRAPHONLIMIT_STORE``, or ``.graphonlimit/trials.sqlite`` where one stands."""
    named = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    return Path(named) if named else DEFAULT_PATH


class Store:
    """Finished trials by key. Use it as a context manager.

    Raises StoreError if the file is no store, is damaged, has another schema, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path) if path is not None else default_path()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, timeout=60.0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"store {self.path} cannot be opened for writing: {error}; "
                f"name another file with --store or {ENVIRONMENT_VARIABLE}"
            ) from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise self._unusable(error) from error
        except StoreError:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA busy_timeout = 60000")
        run("BEGIN IMMEDIATE")  # only one process may find the file empty and fill it
        try:
            version = run("PRAGMA user_version").fetchone()[0]
            empty = run("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
            if version == 0 and empty:
                run(_SCHEMA)
                run(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version not in READABLE:
                raise self._unusable(f"its schema is {version}, not {SCHEMA_VERSION}")
            elif not self._holds_trials():  # versions are small numbers, and others count too
                raise self._unusable("it has no table of trials")
            elif version != SCHEMA_VERSION:
                run(f"PRAGMA user_version = {SCHEMA_VERSION}")
        finally:
            if self._connection.in_transaction:
                run("COMMIT")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        if run("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise self._unusable("its pages are damaged")

    def _holds_trials(self) -> bool:
        run = self._connection.execute
        kinds = run("SELECT type FROM sqlite_master WHERE name = 'trials'").fetchall()
        columns = {row[1] for row in run("PRAGMA table_info(trials)")}
        return kinds == [("table",)] and columns >= COLUMNS

    def _unusable(self, reason: object) -> StoreError:
        return StoreError(
            f"store {self.path} is not usable: {reason}; nothing was changed in it. "
            f"To start afresh move it (and its -wal and -shm files) away, "
            f"or name another file with --store"
        )

    def get(self, keys: Iterable[str]) -> dict[str, TrialResult]:
        """Stored results among `keys`."""
        wanted = list(keys)
        found: dict[str, TrialResult] = {}
        try:
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                rows = self._connection.execute(
                    "SELECT key, settings, seed, result, seconds FROM trials WHERE key IN "
                    f"({','.join('?' * len(part))})",
                    part,
                )
                for key, settings, seed, result, seconds in rows:
                    found[key] = TrialResult(json.loads(settings), seed, _read(result), seconds)
        except (sqlite3.Error, ValueError, zlib.error) as error:
            raise self._unusable(error) from error
        return found

    def put(self, key: str, name: str, digest: str, result: TrialResult) -> None:
        """Commit one finished trial (the first to be stored under a key stays)."""
        row: tuple[Any, ...] = (
            key,
            name,
            digest,
            json.dumps(dict(result.settings), sort_keys=True),
            result.seed,
            _written(dict(result.values)),
            result.seconds,
        )
        try:
            self._connection.execute(
                "INSERT OR IGNORE INTO trials (key, name, digest, settings, seed, result, seconds) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        except sqlite3.Error as error:
            raise StoreError(f"store {self.path} cannot be written: {error}") from error

    def __len__(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM trials").fetchone()[0])

    def close(self) -> None:
        """Close the file; what was put is there."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _written(values: dict[str, Any]) -> str | bytes:
    text = json.dumps(values)
    return text if len(text) <= LONG else zlib.compress(text.encode(), level=1)


def _read(result: str | bytes) -> Any:
    return json.loads(zlib.decompress(result) if isinstance(result, bytes) else result)
