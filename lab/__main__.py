"""The embedded lab: `python -m lab up|deploy|down|status|env|ssh|fault`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from lab import faults, lifecycle, preflight, status
from lab.command import search_path
from lab.context import NO_LAB, REMEDY, Lab, Paths
from lab.errors import LabError
from lab.registry import Registry, refuse_foreign
from lab.steps import Steps

FAILURE = 1
INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """The command line. Wrong usage ends with status 2."""
    top = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="make the lab, or mend the living one: machines, volume, cluster")
    up.add_argument("--minions", type=int, metavar="N", help="how many minions (default: as there were, else 3)")
    verbs.add_parser("deploy", help="deploy the dev stack to the living lab and report what it serves")
    verbs.add_parser("down", help="remove the lab and .lab/; what was built stays in the cache")
    state = verbs.add_parser("status", help="the machines and what runs on them")
    state.add_argument("--json", action="store_true", help="one JSON object")
    verbs.add_parser("env", help='shell variables: eval "$(python -m lab env)"')
    ssh = verbs.add_parser("ssh", help="a shell, or a command, on a machine as the lab's user (it has sudo)")
    ssh.add_argument("name", metavar="NAME", help="machine")
    ssh.add_argument("command", metavar="CMD", nargs=argparse.REMAINDER, help="what to run there (default: a shell)")
    fault = verbs.add_parser(
        "fault",
        help="do something to a machine",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{kind:12} {(work.__doc__ or '').strip()}" for kind, work in faults.KINDS.items()),
    )
    fault.add_argument("kind", choices=list(faults.KINDS), metavar="KIND", help="one of the kinds below")
    fault.add_argument("name", metavar="NAME", help="machine")
    return top


def main(
    arguments: Sequence[str] | None = None, *, paths: Paths | None = None, registry: Registry | None = None
) -> int:
    """Run one command on the lab of a checkout (default: this one); its exit status: 0 done, 1 failed, 2 wrong
    usage."""
    options = parser().parse_args(arguments)
    os.environ["PATH"] = search_path()
    try:
        return _run(options, paths or Paths(), registry or Registry())
    except LabError as error:
        print(error, file=sys.stderr)
        return FAILURE
    except BrokenPipeError:  # the reader of our output is gone, so nothing more is printed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except KeyboardInterrupt:
        print("error: interrupted; `python -m lab up` starts over", file=sys.stderr)
        return INTERRUPTED


def _run(options: argparse.Namespace, paths: Paths, registry: Registry) -> int:
    steps = Steps()
    if options.verb == "up":
        if problems := preflight.check(paths.checkout):
            print(*problems, sep="\n", file=sys.stderr)
            return FAILURE
        lifecycle.up(paths, registry, steps, options.minions)
    elif options.verb == "down":
        lifecycle.down(paths, registry, steps)
    elif options.verb == "status":
        return _status(paths, registry, as_json=options.json)
    elif options.verb == "env":
        for name, value in Lab.current(paths, registry).environment().items():
            print(f"export {name}={shlex.quote(value)}")
    elif options.verb == "ssh":
        argv = Lab.current(paths, registry).ssh_argv(options.name, options.command)
        os.execvp(argv[0], argv)  # noqa: S606 (ssh takes over the terminal)
    elif options.verb == "fault":
        with registry.locked():
            lab = Lab.current(paths, registry)
            with steps.step(f"{options.kind} {options.name}") as step:
                step.outcome(faults.KINDS[options.kind](lab, lab.machine(options.name)))
    else:
        from lab import deploy  # noqa: PLC0415 (brings the program's own packages, which nothing else here needs)

        return deploy.run(Lab.current(paths, registry), steps)
    return 0


def _status(paths: Paths, registry: Registry, *, as_json: bool) -> int:
    refuse_foreign(registry.read(), paths.checkout)
    lab = Lab.recorded(paths, registry)
    if lab is None:
        raise LabError(NO_LAB, REMEDY)
    rows = status.collect(lab)
    if as_json:
        print(status.as_json(lab, rows))
    else:
        status.show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
