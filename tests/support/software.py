"""Debian's dokuwiki and wordpress as content directories: whole trees, with nothing in them that leads out of them.

Debian spreads an application over /usr/share, /etc and /var/lib, joins the parts by links and names libraries of other
packages by their absolute paths. Here a link that leaves the tree becomes a copy of what it leads to; so does what
PHP names, and the name becomes one relative to the file that has it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import LabError
from lab.steps import Step, Steps
from lab.toolchain import cache, debian
from lab.toolchain.cache import Artefact

RECIPE = Path(__file__).parent / "debian"

_VARIANT = "extract"
_MOST_LINKS = 40  # as the kernel
_PATH = "[A-Za-z0-9._/-]"


@dataclass(frozen=True, kw_only=True)
class Application:
    """A web application of Debian's.

    tree: where its document root is; inside: what its PHP files name by an absolute path -> where that is in the
    content directory ("." is the directory itself). What is not there yet is copied to it.
    """

    name: str
    tree: str
    inside: Mapping[str, str] = field(default_factory=dict)


DOKUWIKI = Application(
    name="dokuwiki",
    tree="/usr/share/dokuwiki",
    inside={
        "/etc/dokuwiki": "conf",
        "/var/lib/dokuwiki/data": "data",
        "/usr/share/javascript/jquery": "vendor/debian/jquery",
        "/usr/share/javascript/jquery-cookie": "vendor/debian/jquery-cookie",
        "/usr/share/javascript/jquery-ui": "vendor/debian/jquery-ui",
        "/usr/share/php-geshi": "vendor/debian/geshi",
        "/usr/share/php/phpseclib": "vendor/debian/phpseclib",
        "/usr/share/php/simplepie": "vendor/debian/simplepie",
    },
)
WORDPRESS = Application(
    name="wordpress",
    tree="/usr/share/wordpress",
    inside={"/usr/share/wordpress": ".", "/var/lib/wordpress/wp-content": "wp-content"},
)
APPLICATIONS = (DOKUWIKI, WORDPRESS)


def software() -> Artefact:
    """The content directory of each of APPLICATIONS, in the entry's directory of that name."""
    recipe = sorted(file for file in RECIPE.rglob("*") if file.is_file())
    names = [str(file.relative_to(RECIPE)) for file in recipe]
    return Artefact(
        name="software",
        version=debian.SUITE,
        key=cache.key(*recipe, *names, Path(__file__), debian.SUITE, _VARIANT),
        build=_build,
    )


def content_of(application: Application) -> Path:
    """Its content directory in the cache, built first when the cache does not hold it. Copy it; never write there."""
    return cache.ensure(software(), Steps(sys.stderr)) / application.name


def _build(directory: Path, step: Step) -> None:
    packages = debian.package_list(RECIPE / "packages.txt")
    step.started(f"downloading {len(packages)} packages and taking them apart, some seconds ...")
    root = directory / "root"
    unpack = f'sh {shlex.quote(str(RECIPE / "unpack.sh"))} "$1" {shlex.join(packages)}'
    debian.bootstrap(
        root,
        doing="unpacking Debian's applications",
        variant=_VARIANT,
        packages=[],
        options=[f"--extract-hook={unpack}"],
        scratch=directory,
    )
    for application in APPLICATIONS:
        assemble(root, application, directory / application.name)
        if (RECIPE / application.name).is_dir():
            shutil.copytree(RECIPE / application.name, directory / application.name, dirs_exist_ok=True)
    cache.remove_tree(root)


def assemble(root: Path, application: Application, target: Path) -> None:
    """Make the content directory ``target`` of an application that is unpacked in ``root``. Raises LabError."""
    _copy(root, application.tree, target)
    for path, place in application.inside.items():
        copy = target / place
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            _copy(root, path, copy)
    for file in sorted(target.rglob("*.php")):
        if not file.is_symlink():
            _name_relatively(file, target, application.inside)


def _copy(root: Path, path: str, target: Path, *, within: tuple[str, ...] = ()) -> None:
    """Copy a file or a directory, or what a link leads to; ``within``: the directories that are being copied."""
    real = _resolved(root, path)
    if real in within:
        raise LabError(f"{path}: it leads to {real}, which it is in itself")
    if _at(root, real).is_dir():
        _copy_directory(root, real, target, top=real, within=(*within, real))
    else:
        shutil.copy(_at(root, real), target)


def _copy_directory(root: Path, directory: str, target: Path, *, top: str, within: tuple[str, ...]) -> None:
    """Copy a directory at or below ``top``. Links that stay in ``top`` stay links."""
    target.mkdir()
    for item in sorted(os.scandir(_at(root, directory)), key=lambda item: item.name):
        path, copy = f"{directory}/{item.name}", target / item.name
        if item.is_dir(follow_symlinks=False):
            _copy_directory(root, path, copy, top=top, within=(*within, path))
        elif item.is_symlink() and _stays(root, path, top):
            copy.symlink_to(Path(item.path).readlink())
        else:
            _copy(root, path, copy, within=within)


def _stays(root: Path, link: str, top: str) -> bool:
    """Whether a link leads, by a relative path, to something in ``top``, here as in a copy of it."""
    to = str(_at(root, link).readlink())
    read = os.path.normpath(f"{link}/../{to}")
    return not to.startswith("/") and all(path.startswith(f"{top}/") for path in (read, _resolved(root, link)))


def _resolved(root: Path, path: str) -> str:
    """The path in ``root`` with all its links followed, an absolute one from ``root``. Raises LabError."""
    done: list[str] = []
    todo = path.split("/")[::-1]
    followed = 0
    while todo:
        name = todo.pop()
        if name == "..":
            done = done[:-1]
        elif name not in {"", "."}:
            at = _at(root, "/".join(["", *done, name]))
            if not at.is_symlink():
                done.append(name)
                continue
            followed += 1
            if followed > _MOST_LINKS:
                raise LabError(f"{path}: its links are a loop")
            link = str(at.readlink())
            done = [] if link.startswith("/") else done
            todo += link.split("/")[::-1]
    real = "/" + "/".join(done)
    if not _at(root, real).exists():
        raise LabError(
            f"{path}: it leads to {real}, which no package has that was unpacked",
            f"add the package that has it to {RECIPE.name}/packages.txt",
        )
    return real


def _at(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _name_relatively(file: Path, top: Path, inside: Mapping[str, str]) -> None:
    """Rewrite a PHP file's texts that begin with one of these paths; not those that are joined to a path before."""
    text = file.read_bytes()

    def relative(match: re.Match[bytes]) -> bytes:
        quote, path, rest = match["quote"], match["path"].decode(), match["rest"]
        steps = Path(os.path.relpath(top / inside[path], file.parent)).parts
        there = "".join(f"/{step}" for step in steps)
        return b"__DIR__ . " + quote + there.encode() + rest + quote

    paths = "|".join(re.escape(path) for path in sorted(inside, key=len, reverse=True))
    # The path itself, or what is below it, is the whole of the text or its beginning.
    pattern = rf"(?<!\. )(?P<quote>['\"])(?P<path>{paths})(?P<rest>(/{_PATH}*)?)(?P=quote)"
    rewritten = re.sub(pattern.encode(), relative, text)
    if rewritten != text:
        file.write_bytes(rewritten)
