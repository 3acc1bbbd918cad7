"""The files of a large site, whose preview has a line a directory (publisher/plan.py): from git and the working tree.

Each is taken for what is live, or would go live, only if its manifest comes to the very lines that the preview has.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ops.errors import OpsError
from ops.preview.content import DIRECTORIES, Plans
from ops.preview.files import Base
from publisher import scan
from publisher.manifest import SHORT_DIGEST, ManifestError
from publisher.plan import plan

_GIT_SECONDS = 300


def whole(base: Base | None, plans: Plans) -> Plans:
    """``plans`` with a line for each file, if both sides are known; else as they are."""
    if base is None or not any(DIRECTORIES.search(it) for it in (plans.old, plans.new)):
        return plans
    with tempfile.TemporaryDirectory() as temporary:
        old = _files(plans.old, _extracted(base, plans.old_source, Path(temporary)))
        new = _files(plans.new, Path(plans.source)) if old is not None else None
    if old is None or new is None:
        return plans
    return Plans(old=old, new=new, old_source=plans.old_source, source=plans.source)


def _files(shown: str, source: Path | None) -> str | None:
    """The lines of the files in ``source``, if ``shown`` is their plan. A plan that lists files is returned."""
    if not DIRECTORIES.search(shown):
        return shown
    if source is None or not source.is_dir():
        return None
    try:
        # The program has judged the links; here they only have to come to the plan's lines.
        manifest = scan.read(source, shared=("/",))
    except (ManifestError, OSError):
        return None
    return "".join(it.line(SHORT_DIGEST) for it in manifest.entries) if plan(manifest) == shown else None


def _extracted(base: Base, source: str, directory: Path) -> Path | None:
    """The base's ``source``, unpacked into ``directory``."""
    words = ("archive", "--format=tar", f"{base.commit}:./{source}")
    try:
        done = subprocess.run(
            ["git", *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_SECONDS, check=False
        )
        if done.returncode != 0:
            return None
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            # Links may lead anywhere: the manifest judges them, nothing follows them here.
            archive.extractall(directory, filter="tar")
    except FileNotFoundError:
        raise OpsError("git is not on PATH; install it, or leave --base out") from None
    except (OSError, ValueError, tarfile.TarError, subprocess.TimeoutExpired):
        return None
    return directory
