"""The manifest of a content directory, read by a process of its own.

To load what speaks SSH and to reach the minions takes a publish about as long as to hash ten thousand files, and both
want a processor: so they go side by side. ``python -m publisher.reading SOURCE`` prints the manifest, or says on
stderr what cannot be published and ends with 3.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from connectors.ending import end
from publisher.manifest import Manifest, ManifestError

_HOME = Path(__file__).parents[1]
_REFUSED = 3  # not 1, which is Python's own


class Reading:
    """A content directory that is being read; a context manager, which ends that."""

    def __init__(self, source: Path) -> None:
        """Begin."""
        self._source = source
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(source)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(_HOME)},
        )

    @property
    def process(self) -> int:
        """The id of the process that reads."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def manifest(self) -> Manifest:
        """Wait for it. Raises ManifestError, which names what cannot be published; to be called once."""
        text, said = self._process.communicate()
        if self._process.returncode == _REFUSED:
            raise ManifestError(said.decode().strip())
        if self._process.returncode:
            raise ManifestError(
                f"{self._source} was not read to its end: what read it ended with status {self._process.returncode};"
                " see that the machine has memory left, then run again"
            )
        return Manifest.parse(text.decode())


def main(source: str) -> int:
    """Print the manifest of ``source``; 0, or 3 with the reason on stderr."""
    try:
        text = Manifest.of(Path(source)).text
    except ManifestError as error:
        sys.stderr.buffer.write(f"{error}\n".encode())
        return _REFUSED
    sys.stdout.buffer.write(text.encode())
    return 0


if __name__ == "__main__":
    end(main(sys.argv[1]))
