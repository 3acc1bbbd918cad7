"""The program `pulumi-resource-command`."""

from lab.plugins.command.provider import CommandProvider
from lab.plugins.common.program import run


def main() -> None:
    """Runs until the engine ends it."""
    run(CommandProvider)
