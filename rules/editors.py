"""The comment by which an editor with a YAML language server completes and checks a file as it is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_SCHEMAS: Final = Path("docs") / "schema"
#: The JSON Schemas, seen from the project's directory; `python -m ops config schema` writes them.
INVENTORY_SCHEMA: Final = _SCHEMAS / "inventory.json"
STACK_SCHEMA: Final = _SCHEMAS / "stack.json"


def modeline(schema: Path, file: Path) -> str:
    """The first line of ``file``; both paths as seen from the project's directory."""
    return f"# yaml-language-server: $schema={Path(os.path.relpath(schema, file.parent)).as_posix()}"
