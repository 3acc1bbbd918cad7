"""The comment on a pull request: Markdown from the facts, what matters most first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from ops.preview.content import Moved
from ops.preview.facts import Facts, Verdict
from ops.preview.files import FileDiff
from ops.preview.fit import Section, fit
from ops.preview.listing import content_sections, size_words
from ops.preview.markdown import code, fenced
from ops.preview.minions import Minions
from ops.preview.raw import raw_lines
from ops.preview.steps import Diagnostic, Op
from ops.preview.words import ended, moved, names, number

#: GitHub refuses a comment of more than 65,536 characters.
LIMIT: Final = 60_000
#: Less would not hold the headings.
SMALLEST_LIMIT: Final = 5_000
_LINES_OF_A_MESSAGE: Final = 60
# On one line: in a comment a line end is a line break.
_NOT_COMPARED: Final = (
    "### Not compared with the cluster\n\nThe API server did not check these changes. It may refuse one, or set fields"
    " that are not shown here. Labels, namespace, ini, controller and Service are compared with what the last"
    " `pulumi up` recorded, not with what is there now. The reason:"
)
_DONE: Final = {
    Op.CREATE: "created",
    Op.UPDATE: "updated",
    Op.REPLACE: "replaced",
    Op.DELETE: "deleted",
    Op.IMPORT: "imported",
}


def comment(facts: Facts, diffs: Sequence[FileDiff] | None, *, limit: int = LIMIT) -> str:
    """The comment, of at most ``limit`` characters; ``diffs`` is None where no base was given to compare texts with."""
    return fit([*_sections(facts, diffs), Section(head=marker(facts.stack))], limit - 1) + "\n"


def marker(stack: str) -> str:
    """What stands at the end of every comment on ``stack``, unseen: by it the next one finds the one to replace."""
    return f"<!-- glusterfarm preview of {re.sub('[^A-Za-z0-9._-]', '?', stack)[:100]} -->"


def _sections(facts: Facts, diffs: Sequence[FileDiff] | None) -> Iterator[Section]:
    yield Section(head=f"## {_title(facts)}")
    if facts.verdict is Verdict.FAILED:
        yield Section(head="### Why", items=[_message(it) for it in facts.errors], unit="messages")
    elif facts.verdict is not Verdict.NOTHING:
        yield Section(head="\n".join(_glance(facts)))
    if facts.verdict is Verdict.DESTRUCTIVE:
        yield Section(head="### Deleted or replaced\n", items=ended(facts))
    if facts.warnings:
        yield Section(head="### Warnings", items=[_message(it) for it in facts.warnings], unit="warnings")
    if facts.unasked:
        yield Section(head=_NOT_COMPARED, items=[_message(Diagnostic(about="", message=facts.unasked))])
    if facts.verdict is Verdict.FAILED:
        if facts.steps:
            yield Section(head=f"Until it failed it had found {number(facts.changes, 'change')}; there may be more.")
    else:
        yield from _pods(facts)
        yield from _service(facts)
        yield from _minions(facts.minions)
        yield from _others(facts)
        yield from content_sections(facts, diffs)
    yield from _raw(facts)


def _title(facts: Facts) -> str:
    stack = code(facts.stack or "?", widest=100)
    return {
        Verdict.NOTHING: f"No change: stack {stack}",
        Verdict.CHANGES: f"{number(facts.changes, 'change')}: stack {stack}",
        Verdict.DESTRUCTIVE: f"DESTRUCTIVE: stack {stack}, {number(facts.changes, 'change')}",
        Verdict.FAILED: f"FAILED: the preview of stack {stack}",
    }[facts.verdict]


def _message(it: Diagnostic) -> str:
    about = f"{code(it.about, widest=100)}:\n\n" if it.about else ""
    lines = it.message.split("\n")
    more = [f"({len(lines) - _LINES_OF_A_MESSAGE} more lines)"] if len(lines) > _LINES_OF_A_MESSAGE else []
    return f"\n{about}{fenced([*lines[:_LINES_OF_A_MESSAGE], *more])}"


# --- the summary -------------------------------------------------------------------------------------------


def _glance(facts: Facts) -> Iterator[str]:
    yield f"- **Content**: {_content_at_a_glance(facts)}"
    minions = facts.minions
    counts = [
        (len(minions.names(Op.CREATE)), "mounted"),
        (len(minions.names(Op.DELETE)), "unmounted"),
        (sum(it.op not in {Op.CREATE, Op.DELETE} for it in minions.changes), "changed"),
    ]
    some = ", ".join(f"{count} {what}" for count, what in counts if count) or "unchanged"
    total = (
        ""
        if minions.after is None
        else f" ({number(minions.after, 'minion')}{' afterwards' if counts[0][0] + counts[1][0] else ''})"
    )
    yield f"- **Minions**: {some}{total}"
    yield f"- **Pods**: {_pods_at_a_glance(facts)}"
    service = facts.service
    ends = service is not None and service.op in {Op.REPLACE, Op.DELETE}
    done = "unchanged" if service is None else _DONE[service.op]
    yield f"- **Service**: {f'**{done}**' if ends else done}"


def _content_at_a_glance(facts: Facts) -> str:
    content = facts.content
    if content is None:
        return "unchanged"
    counts = [(sum(it.kind == kind for it in content.files), kind) for kind in ("added", "changed", "moved", "removed")]
    files = ", ".join(
        f"{number(count, 'file') if first else f'{count:,}'} {kind}" for first, count, kind in _some(counts)
    )
    if content.op is Op.DELETE:
        files = "published no more"
    elif content.op is Op.CREATE:
        files = (
            f"published for the first time: {number(content.files_after, 'file')}, {size_words(content.bytes_after)}"
        )
    elif content.directories:
        its = number(len(content.directories), "directory", "directories")
        files = f"files in {its} of a large site" + (f", {files}" if files else "")
    elif content.unknown:
        files = f"{files + ', ' if files else ''}{number(len(content.unknown), 'entry', 'entries')} in another form"
    known = f"; release {code(facts.old_release)} → {code(facts.release)}"
    release = known if facts.old_release and facts.release and facts.old_release != facts.release else ""
    moved = "; published to another place" if content.places else ""
    again = f", as a publish of release {code(content.unfinished)} failed" if content.unfinished else ""
    return (files or f"the same files, published again{again}") + moved + release


def _some(counts: Sequence[tuple[int, str]]) -> Iterator[tuple[bool, int, str]]:
    first = True
    for count, what in counts:
        if count:
            yield first, count, what
            first = False


def _pods_at_a_glance(facts: Facts) -> str:
    pods = facts.pods
    if pods is None and facts.minions.names(Op.DELETE):
        return "those on a minion that goes are deleted and start elsewhere; no other is restarted"
    if pods is None:
        return "unchanged, none is restarted"
    if pods.op is Op.UPDATE:
        same = pods.old_count == pods.new_count
        return "none is restarted" if same else f"{pods.old_count} → {pods.new_count}, the others are not restarted"
    return {
        Op.REPLACE: "**all are replaced by new ones**",
        Op.CREATE: f"{pods.new_count} are started",
        Op.DELETE: "**all are deleted**",
        Op.IMPORT: "imported",
    }[pods.op]


# --- the parts ---------------------------------------------------------------------------------------------


def _pods(facts: Facts) -> Iterator[Section]:
    pods = facts.pods
    if pods is None or pods.op in {Op.CREATE, Op.DELETE}:
        return
    reasons = [f"- {moved(it)}" for it in pods.reasons]
    reasons += [_forced(it) for it in pods.forced]
    reasons += [f"- {code(it)} changes, which restarts no pod" for it in pods.other]
    if pods.old_count != pods.new_count:
        reasons.append(f"- count: {pods.old_count} → {pods.new_count}")
    if not pods.roll:
        yield Section(head="### Pods: changed in place\n", items=reasons)
        return
    how = (
        "The new pods start beside the old ones, twice as many for that time, and are each asked for the live release;"
        " then the old ones go, each serving on for some seconds while the Service forgets it."
    )
    if pods.deleted_first:
        how = "The old controller is deleted **first**, with its pods: nothing serves until the new ones do."
    elif facts.service is None:
        how += " No request should fail."
    yield Section(head=f"### Pods: a roll\n\n{how} Why:\n", items=reasons, unit="reasons")


def _service(facts: Facts) -> Iterator[Section]:
    service = facts.service
    if service is None or service.op in {Op.CREATE, Op.DELETE}:
        return
    fields = [f"- {moved(it)}" for it in service.fields]
    fields += [_forced(it) for it in service.forced]
    what = {it.what.partition(".")[0] for it in service.fields}
    who = "\n\nClients that use the old address or port must change.\n" if what & {"type", "ports"} else "\n"
    yield Section(head=f"### Service: {_DONE[service.op]}{who}", items=fields, unit="fields")


def _forced(property_: str) -> str:
    # The engine's word for `--replace` and for a tainted resource.
    return "- a replacement is asked for" if property_ == "id" else f"- {code(property_)} cannot change in place"


def _minions(minions: Minions) -> Iterator[Section]:
    items = []
    for op, what in ((Op.CREATE, "mounted"), (Op.IMPORT, "imported"), (Op.DELETE, "unmounted")):
        if its := minions.names(op):
            items.append(f"- {what}: {names(its)}")
    items += [
        f"- {code(it.old)} goes and {code(it.new)} comes: {it.same}, so it is a new name for one machine"
        for it in minions.renamed
    ]
    changed = [it for it in minions.changes if it.op not in {Op.CREATE, Op.IMPORT, Op.DELETE}]
    alike: dict[tuple[Moved, ...], list[str]] = {}
    for it in changed:
        alike.setdefault(it.fields, []).append(it.name)
    for fields, its in alike.items():
        items.append(f"- {names(its)}: {'; '.join(map(moved, fields)) or 'its command is run again'}")
    if items:
        yield Section(head="### Minions\n", items=items)


def _others(facts: Facts) -> Iterator[Section]:
    alike: dict[str, list[str]] = {}
    for step in facts.others:
        check = step.op is Op.UPDATE and step.name.endswith(("-gate", "-smoke"))
        alike.setdefault("checks that run again" if check else _DONE[step.op], []).append(step.title)
    if alike:
        yield Section(head="### Also\n", items=[f"- {what}: {names(its)}" for what, its in alike.items()])


def _raw(facts: Facts) -> Iterator[Section]:
    if facts.steps:
        block = fenced(raw_lines(facts.steps), "diff").split("\n")
        yield Section(
            head=f"<details><summary>Raw diff</summary>\n\n{block[0]}",
            items=block[1:-1],
            close=block[-1],
            foot="\n</details>",
        )
