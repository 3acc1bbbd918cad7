"""Files that a command makes from the models: write those that are out of date, or only name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ops.errors import OpsError
from rules import files


def update(made: Mapping[Path, Callable[[], str]], *, command: str, check: bool) -> int:
    """Write each file that differs from what its function returns; return the exit status.

    With ``check`` nothing is written, and the status is 1 if a file differs. Raises OpsError.
    """
    stale = {path: text for path, make in made.items() if (text := make()) != current(path)}
    for path, text in stale.items():
        if check:
            print(f"{path} is not as the models say; `{command}` writes it")
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        except OSError as error:
            raise OpsError(f"{path} cannot be written ({error.strerror})") from None
        print(f"{path}: written")
    if not stale:
        print(f"as the models say: {', '.join(map(str, made))}")
    return 1 if stale and check else 0


def current(path: Path) -> str:
    """The text of a file; '' if it cannot be read."""
    try:
        return files.text(path)
    except files.UnreadableError:
        return ""
