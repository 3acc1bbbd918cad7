"""The files in the comment: what is published, moved and removed, with sizes and differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import PurePosixPath
from typing import Final

from ops.preview.content import FileChange, PublishChange
from ops.preview.facts import Facts
from ops.preview.files import FileDiff
from ops.preview.fit import Section
from ops.preview.markdown import code, fenced, folded, html_code
from ops.preview.steps import Op
from ops.preview.words import moved, names, number

#: If there are more files than this, their directories come first.
_MOST_FILES: Final = 100
_LINES_OF_A_DIFF: Final = 200
_KIB: Final = 1024
_LARGE: Final = (
    "*A large site is shown by its directories. Its files are shown too if the git base (`--base`) is what is live and"
    " the working tree is what would be published.*"
)


def content_sections(facts: Facts, diffs: Sequence[FileDiff] | None) -> Iterator[Section]:
    """The parts of the comment on the content; ``diffs`` is None where there was no base."""
    content = facts.content
    removal = {
        "deletes": "- A destroy of the stack **will remove the site from the volume** from now on.",
        "keeps": "- A destroy of the stack will keep the site on the volume from now on.",
    }.get(facts.removal)
    if content is None:
        if removal:
            yield Section(head="### Content\n", items=[removal])
        return
    items = [removal] if removal else []
    items += [f"- {moved(it)}; what is at the old place stays there" for it in content.places]
    few = len(content.files) <= _MOST_FILES
    items += [_file(it) for it in content.files] if few else list(_directories(content.files))
    items += [_directory(it) for it in content.directories]
    if items:
        yield Section(head="### Content\n", items=items, unit="lines" if few else "directories")
    if content.directories:
        yield Section(head=_LARGE)
    yield from _unknown(content)
    if content.op is Op.UPDATE and diffs is None and any(it.kind == "changed" for it in content.files):
        yield Section(head="*Sizes only: no git base was given (`--base`) to take the old texts from.*")
    shown = [it for it in diffs or () if it.lines]
    if shown:
        yield Section(head="#### Differences", items=[_diff(it) for it in shown], unit="files' differences")
    missing: dict[str, list[str]] = {}
    for it in diffs or ():
        if it.missing:
            missing.setdefault(it.missing, []).append(it.path)
    if missing:
        lines = [f"- {names(paths)}: {why}" for why, paths in missing.items()]
        yield Section(head="No difference is shown of:\n", items=lines)
    if not few:
        yield Section(
            head=f"<details><summary>All {number(len(content.files), 'file')}</summary>\n",
            items=[_file(it) for it in content.files],
            unit="files",
            foot="\n</details>",
        )


def _file(it: FileChange) -> str:
    kinds = [entry.kind for entry in (it.old, it.new) if entry]
    special = {"link": ", a link", "dir": ", an empty directory", "755": ", executable", "644": ""}
    kind = special.get(kinds[-1], f", {code(kinds[-1])}")
    if len(set(kinds)) > 1:
        kind = f", mode or kind {code(kinds[0])} → {code(kinds[-1])}"
    name = code(it.path)
    if it.kind == "moved" and it.old:
        name = f"{code(it.old.path)} → {name}"
    sizes = [size_words(entry.size) for entry in (it.old, it.new) if entry]
    return f"- {it.kind} {name}, {' → '.join(dict.fromkeys(sizes))}{kind}"


def _directory(it: FileChange) -> str:
    """A directory of a large site; one that was merged with what lies below it says so."""
    path = it.path.removesuffix("**")
    below = " and below" if path != it.path else ""
    sides = [entry for entry in (it.old, it.new) if entry]
    counts = dict.fromkeys(f"{entry.files:,}" for entry in sides if entry.files is not None)
    sizes = dict.fromkeys(size_words(entry.size) for entry in sides)
    kind = {"added": "new", "removed": "gone"}.get(it.kind, it.kind)
    files = "file" if list(counts) == ["1"] else "files"
    return f"- {kind} {code(path)}{below}: {' → '.join(counts)} {files}, {' → '.join(sizes)}"


def _directories(files: Sequence[FileChange]) -> Iterator[str]:
    """A line for each directory, with what changes directly in it."""

    def directory(it: FileChange) -> str:
        return str(PurePosixPath(it.path).parent)

    for name, inside in groupby(sorted(files, key=directory), key=directory):
        its = list(inside)
        counts = [(sum(it.kind == kind for it in its), kind) for kind in ("added", "changed", "moved", "removed")]
        grown = sum((it.new.size if it.new else 0) - (it.old.size if it.old else 0) for it in its)
        change = f"{'+' if grown >= 0 else '−'}{size_words(abs(grown))}"  # noqa: RUF001 (a minus sign, for people)
        yield f"- {code(f'{name}/')}: {', '.join(f'{count:,} {kind}' for count, kind in counts if count)}; {change}"


def _unknown(content: PublishChange) -> Iterator[Section]:
    if content.unknown:
        block = fenced(content.unknown, "diff").split("\n")
        yield Section(
            head=f"Parts of the manifest in a form that is not known here:\n\n{block[0]}",
            items=block[1:-1],
            close=block[-1],
        )


def _diff(it: FileDiff) -> str:
    lines = list(it.lines[:_LINES_OF_A_DIFF])
    if len(it.lines) > _LINES_OF_A_DIFF:
        lines.append(f"@@ {len(it.lines) - _LINES_OF_A_DIFF} more lines @@")
    return "\n" + folded(f"{html_code(it.path)} +{it.added} −{it.removed}", fenced(lines, "diff"))  # noqa: RUF001


def size_words(count: int) -> str:
    """A number of bytes as people read it."""
    if count < _KIB:
        return f"{count} B"
    size, units = float(count), iter(("KiB", "MiB", "GiB", "TiB"))
    unit = next(units)
    size /= _KIB
    while size >= _KIB and (bigger := next(units, "")):
        size, unit = size / _KIB, bigger
    return f"{size:.1f} {unit}"
