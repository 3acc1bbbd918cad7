"""Debian roots with mmdebstrap, from the archive that this host itself uses."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.command import run

SUITE = "bookworm"

_ARCHIVE_URI = re.compile(r"^https?://\S+?/(debian|debian-security)/?$")
_ARCHIVE_KEYRING = "debian-archive-keyring"
# Whatever a host's own release is called, the parts we want of ours are these.
_SUITE_PART = re.compile(r"^[a-z]+(?P<part>|-updates|-security|/updates)$")

# A build's mounts vanish with its processes, and its processes with the build.
PRIVATE = (
    "unshare",
    "--mount",
    "--propagation",
    "private",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)


@dataclass(frozen=True, kw_only=True)
class AptSource:
    """One line of an apt source: where, which suites, which key."""

    uri: str
    suites: tuple[str, ...]
    signed_by: str = ""

    @property
    def is_archive(self) -> bool:
        """Whether this is (a mirror of) Debian's own archive rather than somebody else's packages."""
        http = self.uri.startswith(("http://", "https://"))
        return bool(_ARCHIVE_URI.match(self.uri)) or (http and _ARCHIVE_KEYRING in self.signed_by)


def parse_sources(texts: Mapping[str, str]) -> list[AptSource]:
    """Read apt source files, as file name -> content; ".sources" is deb822, the rest one line a source."""
    sources: list[AptSource] = []
    for name, text in texts.items():
        sources += _deb822(text) if name.endswith(".sources") else _one_line(text)
    return sources


def _one_line(text: str) -> Iterable[AptSource]:
    for line in text.splitlines():
        match = re.match(r"^deb\s+(?:\[(?P<options>[^]]*)]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+\S", line.strip())
        if match:
            signed = re.search(r"signed-by=(\S+)", match["options"] or "")
            yield AptSource(uri=match["uri"], suites=(match["suite"],), signed_by=signed[1] if signed else "")


def _deb822(text: str) -> Iterable[AptSource]:
    without_comments = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", without_comments):
        fields = {
            name.lower(): value.strip()
            for name, value in re.findall(r"^([A-Za-z-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        for uri in fields.get("uris", "").split():
            suites = tuple(fields.get("suites", "").split())
            yield AptSource(uri=uri, suites=suites, signed_by=fields.get("signed-by", ""))


def archive_lines(sources: Iterable[AptSource]) -> list[str]:
    """sources.list lines for SUITE from those sources that carry Debian's archive; [] when none does.

    A host of another release keeps its mirror, not its suites.
    """
    lines: dict[str, None] = {}
    for source in sources:
        if not source.is_archive:
            continue
        for suite in source.suites:
            match = _SUITE_PART.match(suite)
            if match is None or suite in ("sid", "unstable", "experimental"):
                continue
            part = "-security" if match["part"] == "/updates" else match["part"]
            # A key given in the file itself cannot be said on one line; the default keyring is Debian's.
            key_file = source.signed_by if re.fullmatch(r"/\S+", source.signed_by) else ""
            signed = f"[signed-by={key_file}] " if key_file else ""
            lines[f"deb {signed}{source.uri} {SUITE}{part} main"] = None  # a dict keeps order and drops doubles
    if not any(line.endswith(f" {SUITE} main") for line in lines):
        return []
    return list(lines)


def host_sources(etc_apt: Path = Path("/etc/apt")) -> list[str]:
    """This host's own lines for SUITE; [] when it has none, then mmdebstrap's default is right."""
    files = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]
    texts = {
        file.name: file.read_text(encoding="utf-8", errors="replace")
        for file in files
        if file.suffix in (".list", ".sources") and file.is_file()
    }
    return archive_lines(parse_sources(texts))


def host_acquire_options() -> list[str]:
    """How this host's apt reaches the archive (proxies and the like), as lines of apt.conf."""
    dump = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=False).stdout
    wanted = re.compile(r"^Acquire::(https?::(Proxy(::\S+)?|Verify-\S+|CaInfo)|Check-\S+|Retries|ForceIPv[46]) .+;$")
    return [line for line in dump.splitlines() if wanted.match(line) and '""' not in line]


def package_list(file: Path) -> list[str]:
    """The packages of a list: one a line, "#" starts a comment."""
    lines = (line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def bootstrap(
    target: Path,
    *,
    doing: str,
    variant: str,
    packages: Iterable[str],
    options: Iterable[str],
    scratch: Path,
) -> None:
    """Make a root: a directory, or a tar file when `target` ends in ".tar".

    packages: none leaves it at what the variant has; options: further options of mmdebstrap;
    scratch: a directory for its temporary files.
    Raises LabError.
    """
    acquire = [f"--aptopt={option}" for option in host_acquire_options()]
    included = ",".join(packages)
    run(
        [
            *PRIVATE,
            *("mmdebstrap", "--mode=root", f"--variant={variant}"),
            *([f"--include={included}"] if included else []),
            *acquire,
            *options,
            *(SUITE, target),
            *host_sources(),
        ],
        doing=doing,
        env={"TMPDIR": str(scratch), "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        remedy="see what apt says above: `apt-get update` must work on this host",
    )
