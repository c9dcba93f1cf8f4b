"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Write `content` to `path` by way of a temporary file beside it, and return the path.

    A reader sees the old file or the new one, never half of it. Makes missing folders. Raises
    ValueError if the place cannot be written.
    """
    target = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError("it is a folder")
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise ValueError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def require_writable(path: str | os.PathLike[str], argument: str) -> None:
    """Raise ValueError, naming the argument, if a file could not be written at `path`.

    Meant for the start of a long run: what would fail at the end fails at once. Makes nothing.
    """
    target = Path(path)
    if target.is_dir():
        raise ValueError(f"{argument} must name a file; {target} is a folder")
    _require_folder(target.parent, argument)


def require_writable_folder(path: str | os.PathLike[str], argument: str) -> None:
    """Raise ValueError, naming the argument, if files could not be written into folder `path`."""
    _require_folder(Path(path), argument)


def _require_folder(folder: Path, argument: str) -> None:
    existing = folder.absolute()
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise ValueError(f"{argument}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"{argument}: no permission to write in {existing}")
