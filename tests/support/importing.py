"""A project directory in which `ops inventory import` runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.__main__ import main
from tests.support.stack import StackFiles, host_key


@dataclass(kw_only=True)
class Importing:
    """A project directory in which inventories are imported into inventory.yaml."""

    stack: StackFiles
    output: pytest.CaptureFixture[str]

    @property
    def file(self) -> Path:
        return self.stack.directory / "inventory.yaml"

    def run(self, source: Path | str, *words: str) -> tuple[int, str, str]:
        """Import; give exit status, stdout, stderr."""
        self.output.readouterr()
        which = () if "--stack" in words else ("--output", "inventory.yaml")
        status = main(["inventory", "import", str(source), *which, *words])
        said = self.output.readouterr()
        return status, said.out, said.err

    def taken(self, source: Path | str, *words: str) -> list[dict[str, Any]]:
        """The minions of the file afterwards."""
        status, out, err = self.run(source, *words)
        assert (status, err) == (0, ""), out
        return self.minions()

    def minions(self) -> list[dict[str, Any]]:
        return list(yaml.safe_load(self.file.read_text())["minions"])

    def pin(self) -> None:
        """Give every machine a host key, as somebody would by hand."""
        document = yaml.safe_load(self.file.read_text())
        for entry in document["minions"]:
            entry["hostKey"] = host_key(entry["name"])
            if bastion := entry.get("bastion"):
                bastion["hostKey"] = host_key(bastion["host"])
        self.file.write_text(yaml.safe_dump(document, sort_keys=False))

    def source(self, text: str, name: str = "hosts.yml") -> Path:
        self.stack.write(name, text)
        return self.stack.directory / name
