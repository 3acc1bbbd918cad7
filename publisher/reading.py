"""The manifest of a content directory, read by a process of its own.

Loading the SSH library and reaching the minions takes a publish about as long as hashing ten thousand files. Both need
a processor, so they run in parallel.

``python -m publisher.reading SOURCE [SHARED...]`` prints the manifest. If something cannot be published, it prints what
and why, and exits with 3. It also exits when its stdin is closed, so it ends with the process that waits for it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from connectors.ending import end
from publisher import scan
from publisher.environment import without_secrets
from publisher.manifest import Manifest, ManifestError

_HOME = Path(__file__).parents[1]
_REFUSED = 3  # not 1, which is Python's own


class Reading:
    """A content directory that is being read; a context manager, which ends that."""

    def __init__(self, source: Path, *, shared: Sequence[str] = ()) -> None:
        """Begin; links may lead to the ``shared`` directories that pods have."""
        self._source = source
        its_end, self._lifeline = os.pipe()
        path = os.pathsep.join(filter(None, (str(_HOME), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(source), *shared],
            stdin=its_end,
            stdout=subprocess.PIPE,
            env={**without_secrets(), "PYTHONPATH": path},
        )
        os.close(its_end)

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
        os.close(self._lifeline)

    def manifest(self) -> Manifest:
        """Wait for it. Raises ManifestError, which names what cannot be published; to be called once."""
        text, _ = self._process.communicate()
        said, status = text.decode(errors="surrogateescape"), self._process.returncode
        if status == _REFUSED:
            raise ManifestError(said)
        if status or not said:
            remedy = "see that the machine has memory left" if status < 0 else "see what it said above"
            raise ManifestError(
                f"{self._source} was not read to its end: what read it ended with status {status};"
                f" {remedy}, then run again"
            )
        return Manifest.parse(said)


def main(source: str, *shared: str) -> int:
    """Print the manifest of ``source``; 0, or 3 with the reasons instead."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that waits is interrupted, and ends this one
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        said, status = scan.read(Path(source), shared=shared).text, 0
    except ManifestError as error:
        said, status = str(error), _REFUSED
    sys.stdout.buffer.write(said.encode(errors="surrogateescape"))
    return status


def _end_with_stdin() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    end(main(*sys.argv[1:]))
