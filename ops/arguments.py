"""Arguments that several verbs take, with the standard library only: the jobs that report have nothing else."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Final

_STACK_FILE: Final = re.compile(r"Pulumi\.(.+)\.yaml")


def stacks_here() -> list[str]:
    """The names of all stacks that have a file here."""
    return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in Path().glob("Pulumi.*.yaml"))


def known_stacks() -> str:
    """``; there are dev, prod``, for the end of an error; '' where there is none."""
    names = stacks_here()
    return f"; there are {', '.join(names)}" if names else ""


def given(text: str) -> str:
    """An argument that is not empty. Raises ArgumentTypeError, because an unset variable must not choose a default."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; is a variable not set?")
    return text


def stack_name(text: str) -> str:
    """The name of a stack. Raises ArgumentTypeError for none and for the name of its file."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"is empty; is a variable not set? Name a stack{known_stacks()}")
    if name := named_by_file(text):
        raise argparse.ArgumentTypeError(f"{text!a} is a file; name the stack: {name}")
    return text


def named_by_file(text: str) -> str:
    """The stack whose file ``text`` names; '' where it names none."""
    found = _STACK_FILE.fullmatch(Path(text).name)
    return found[1] if found else ""


def add_stack_option(parser: argparse.ArgumentParser) -> None:
    """Give ``parser`` --stack, without which the selected one is meant."""
    parser.add_argument("--stack", metavar="S", type=stack_name, help="the stack (default: the selected one)")
