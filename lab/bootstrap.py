"""Makes this host and this checkout ready for the lab: preflight, Debian packages, virtual environment.

Standard library only, importable by Python 3.8: it is what runs first, and it says when Python is too old.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lab import preflight
from lab.command import run, search_path, tail, which
from lab.errors import LabError
from lab.host import Host
from lab.preflight import Problem
from lab.steps import Step, Steps

LOCK = Path("requirements") / "dev.txt"
DIGEST = ".lock-digest"

# What the lab and its tests run on the host, and the package each comes with.
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "iptables": "iptables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-agent": "openssh-client",
    "ssh-keygen": "openssh-client",
    # Login shells that a minion's user may have.
    "bsd-csh": "csh",
    "fish": "fish",
    "tcsh": "tcsh",
}
FILES = {"/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring"}
# What Debian packs apart from its python3; a Python from elsewhere has them.
MODULES = {"venv": "python3-venv", "ensurepip": "python3-venv"}


def bootstrap(checkout: Path, steps: Steps, host: Host | None = None) -> list[Problem]:
    """Do what is not done yet. Returns what is missing on the host, [] when all is ready. Raises LabError."""
    with steps.step("preflight") as step:
        problems = preflight.check(checkout, host)
        step.outcome(preflight.summary(problems))
    if problems:
        return problems
    with steps.step("host packages") as step:
        installed = ensure_packages(step)
    if installed:
        # Without `ip` and `iptables` the preflight could not try these.
        problems = preflight.check_network(host or Host())
        if problems:
            return problems
    with steps.step("virtual environment") as step:
        ensure_venv(checkout, step)
    return []


def missing_packages() -> list[str]:
    """The Debian packages this host lacks, sorted."""
    lacking = {package for program, package in PROGRAMS.items() if which(program) is None}
    lacking |= {package for file, package in FILES.items() if not Path(file).exists()}
    lacking |= {package for module, package in MODULES.items() if importlib.util.find_spec(module) is None}
    return sorted(lacking)


def ensure_packages(step: Step) -> list[str]:
    """Install what `missing_packages` names; returns it. Raises LabError with what apt-get said."""
    packages = missing_packages()
    if not packages:
        step.outcome("unchanged")
        return packages
    step.started(f"installing {', '.join(packages)} ...")
    install = ["install", "--yes", "--no-install-recommends", *packages]
    failed = _apt_get(install)
    if failed:
        # Package lists that are missing or old; a source that is not ours may fail and yet not matter.
        update_failed = _apt_get(["update"])
        failed = _apt_get(install)
        if failed:
            raise LabError(
                f"cannot install {' '.join(packages)}\n" + (f"{update_failed}\n" if update_failed else "") + failed,
                f"make `apt-get update && apt-get install {' '.join(packages)}` work on this host",
            )
    step.outcome(f"installed {', '.join(packages)}")
    return packages


def _apt_get(arguments: list[str]) -> str:
    """Run apt-get: "" when it succeeds, else the end of what it said."""
    argv = ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=120", *arguments]
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": search_path(), "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        check=False,
    )
    return "" if done.returncode == 0 else tail(done.stdout.decode(errors="replace"), " ".join(argv))


def ensure_venv(checkout: Path, step: Step) -> None:
    """Make .venv from the lock unless it is that already. Raises LabError.

    It is made anew whenever it is not known to be whole: no digest, another lock, another Python or none.
    """
    venv, lock = checkout / ".venv", checkout / LOCK
    if venv_is_whole(checkout):
        step.outcome("unchanged")
        return
    count = len(re.findall(r"^[A-Za-z0-9]", lock.read_text(encoding="utf-8"), re.MULTILINE))
    step.started(f"installing {count} packages into .venv, about a minute ...")
    if venv.exists():
        shutil.rmtree(venv)
    # Inside a virtual environment, perhaps the very one just removed, this is the Python below it.
    python = getattr(sys, "_base_executable", None) or sys.executable
    run(
        [python, "-m", "venv", venv],
        doing="making .venv",
        remedy="install python3-venv, or name another Python: `make up SYSTEM_PYTHON=/path/to/python3`",
    )
    run(
        [
            *(venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-input", "--require-hashes", "-r", lock),
        ],
        doing=f"installing {LOCK} into .venv",
        remedy="let pip reach a package index (PIP_INDEX_URL or pip.conf names it)",
    )
    # Last of all: an environment without it was interrupted.
    (venv / DIGEST).write_text(f"{_made_from(venv, lock)}\n", encoding="utf-8")


def venv_is_whole(checkout: Path) -> bool:
    """Whether .venv was made to its end, from this lock and the Python that it has now."""
    venv = checkout / ".venv"
    try:
        recorded = (venv / DIGEST).read_text(encoding="utf-8").strip()
    except OSError:
        return False
    return recorded == _made_from(venv, checkout / LOCK)


def _made_from(venv: Path, lock: Path) -> str:
    """The lock's digest, and the version of the environment's Python ("none" when it has vanished)."""
    try:
        ask = [str(venv / "bin" / "python"), "-I", "-S", "-c", "import platform; print(platform.python_version())"]
        version = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        version = "none"
    return f"{hashlib.sha256(lock.read_bytes()).hexdigest()} python-{version}"


def main(arguments: list[str] | None = None) -> int:
    """Make everything ready; 0 when it is, 1 with errors on stderr."""
    parser = argparse.ArgumentParser(prog="python3 -m lab.bootstrap", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--only-venv",
        action="store_true",
        help="only the virtual environment, without preflight, and not a word when it is there: for commands "
        "that must work on a host that has become unfit for the lab, such as `make down`",
    )
    options = parser.parse_args(arguments)
    steps = Steps()
    try:
        if options.only_venv:
            problems: list[Problem] = []
            if not venv_is_whole(preflight.CHECKOUT):
                problems = preflight.check_python(Host())
                if not problems:
                    with steps.step("virtual environment") as step:
                        ensure_venv(preflight.CHECKOUT, step)
        else:
            problems = bootstrap(preflight.CHECKOUT, steps)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
