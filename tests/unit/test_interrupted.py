"""The program when the engine no longer wants it, as Pulumi's own language host ends it: by an interrupt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
#: The first thing that the program calls is interrupted.
INTERRUPTED = """
import os, runpy, signal, time
import settings

def load():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(20)

settings.load = load
try:
    runpy.run_path("__main__.py", run_name="__main__")
except Exception:  # what Pulumi's executor catches; an interrupt is none
    print("not interrupted")
"""


def test_an_interrupted_program_shows_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
