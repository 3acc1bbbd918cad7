"""`python -m ops` run in this process, as a user sees it."""

from __future__ import annotations

import pytest

from ops.__main__ import main


def said_by(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run ``ops WORDS``; give exit status, stdout and stderr."""
    capsys.readouterr()
    try:
        status = main(list(words))
    except SystemExit as end:
        status = int(str(end.code))
    said = capsys.readouterr()
    return status, said.out, said.err
