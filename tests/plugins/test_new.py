"""`pulumi new` from this repository: what it copies and asks, and that the stack it makes is right."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import yaml

from tests.plugins.harness import CHECKOUT, Project
from tests.support.project import command


def test_a_project_made_from_this_repository_is_complete_and_its_stack_right(tmp_path: Path, own: Project) -> None:
    """What is asked is answered as offered; the virtual environment is the one of this checkout.

    With the lab's own language host: the official one would make a new virtual environment, and download into it.
    """
    template, made = tmp_path / "template", tmp_path / "made"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(template)], check=True)
    (made / "state").mkdir(parents=True)
    (made / ".venv").symlink_to(Path(sys.prefix))
    project = replace(own, directory=made)
    words = ("--yes", "--force", "--name", "glusterfarm", "--stack", "web", "--config", "inventory=inventory/web.yaml")
    done = project.run("new", str(template), *words)
    assert "Your new project is ready to go!" in done.text
    assert "python -m ops inventory import --help" in done.text, "how to go on"

    tracked = command(["git", "ls-files"], cwd=template).out.split()
    assert not [path for path in tracked if not (made / path).exists()], "all of it is there"
    asked = yaml.safe_load((template / "Pulumi.yaml").read_text())["template"]["config"]
    config = yaml.safe_load((made / "Pulumi.web.yaml").read_text())["config"]
    assert config.keys() == {f"glusterfarm:{name}" for name in asked}

    check = [".venv/bin/python", "-m", "ops", "config", "check", "web"]
    first = command(check, cwd=made)
    assert first.status == 1
    assert "glusterfarm:inventory: 'inventory/web.yaml' is refused: it does not exist" in first.text
    shutil.copy(made / "inventory" / "staging.yaml", made / "inventory" / "web.yaml")
    again = command(check, cwd=made)
    assert (again.status, again.text.strip()) == (0, "Pulumi.web.yaml: right, with 3 minions")
