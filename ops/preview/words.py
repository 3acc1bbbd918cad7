"""The words for what ends: what a deletion or a replacement means for those who visit the site."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ops.preview.content import Moved
from ops.preview.facts import Destructive, Facts, Subject
from ops.preview.markdown import code
from ops.preview.steps import Op

#: More names than this are counted.
_MOST_NAMES: Final = 30
_WIDEST_NAME: Final = 120


def names(texts: Iterable[str]) -> str:
    """Names as code, the first ones of many."""
    every = list(texts)
    rest = f" and {len(every) - _MOST_NAMES} more" if len(every) > _MOST_NAMES else ""
    return ", ".join(code(it, widest=_WIDEST_NAME) for it in every[:_MOST_NAMES]) + rest


def number(count: int, one: str, many: str = "") -> str:
    """``1 file``, ``2 files``."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def moved(it: Moved) -> str:
    """A setting before and after. Names that only ``new`` has come last."""
    what = it.what if re.fullmatch("[A-Za-z' ,]+", it.what) else code(it.what)
    if it.old is None:
        return f"{what}: {code(it.new)}" if it.new is not None else what
    return f"{what}: {code(it.old)} → {code(it.new if it.new is not None else '(none)')}"


def ended(facts: Facts) -> list[str]:
    """A line for each sort of thing that ends: what, and what that means for traffic."""
    groups: dict[tuple[Subject, Op, bool, str], list[str]] = {}
    for it in facts.destructive:
        groups.setdefault((it.subject, it.op, it.deleted_first, _meaning(it, facts)), []).append(it.name)
    return [
        f"- **{_verb(subject, op)}**: {_subject(subject, len(its))} {names(its)}. {meaning}"
        for (subject, op, _, meaning), its in groups.items()
    ]


def _verb(subject: Subject, op: Op) -> str:
    if op is Op.UPDATE:
        return "emptied" if subject is Subject.PODS else "another volume"
    return {Op.DELETE: "deleted", Op.REPLACE: "replaced"}[op]


def _subject(subject: Subject, count: int) -> str:
    many = "" if count == 1 else "s"
    return {
        Subject.NAMESPACE: f"the namespace{many}",
        Subject.SERVICE: "the Service",
        Subject.PODS: "the controller of the pods",
        Subject.CONTENT: "the content's command",
        Subject.SHARED: "the shared directory" if count == 1 else "the shared directories",
        Subject.MOUNT: f"the mount{many} on",
        Subject.LABEL: f"the node label{many} of",
        Subject.OTHER: f"the resource{many}",
    }[subject]


def _meaning(it: Destructive, facts: Facts) -> str:  # noqa: PLR0911 (a line a case)
    order = "The new one is made first, the old one goes after."
    if it.deleted_first:
        order = "The old one is deleted **first**: until the new one is there, nothing answers."
    elif it.same_name:
        order = "Old and new have one name, so until both steps are done **nothing may answer**."
    replaced = it.op is Op.REPLACE
    match it.subject:
        case Subject.NAMESPACE:
            return f"Everything in it goes with it. {order}" if replaced else "Everything in it goes with it."
        case Subject.SERVICE:
            new = "Its cluster IP and a load balancer's address will change: clients that use the old ones must change."
            return f"{order} {new}" if replaced else "**Nothing answers any more**: the site has no address."
        case Subject.PODS:
            return order if replaced and it.deleted_first else "**Nothing serves any more**: no pod is left."
        case Subject.CONTENT if it.name.endswith("-removal"):
            return "**The site is removed from the volume.**"
        case Subject.CONTENT:
            return (
                "It publishes again; what is on the volume stays."
                if replaced
                else "What is on the volume stays, and nobody publishes it any more."
            )
        case Subject.SHARED:
            return "**All that is in it is deleted from the volume.**"
        case Subject.MOUNT:
            return _mount(it, facts)
        case Subject.LABEL:
            return _label(it, facts)
    return "What it is for is not known here: see the raw diff."


def _mount(it: Destructive, facts: Facts) -> str:
    change = next(its for its in facts.minions.changes if its.name == it.name)
    if it.op is Op.DELETE:
        renamed = next((its for its in facts.minions.renamed if its.old == it.name), None)
        if facts.minions.after == 0:
            return "**No minion is left: nothing serves.**"
        back = f" It comes back as {code(renamed.new)}: {renamed.same}." if renamed else ""
        ends = {its.subject for its in facts.destructive} & {Subject.PODS, Subject.NAMESPACE}
        others = "" if ends else " The pods on the other minions serve meanwhile."
        return (
            "In this order: its node loses the label, the farm's pods there are deleted and gone, the volume is"
            f" unmounted.{others}{back}"
        )
    if it.op is Op.UPDATE:
        return (
            "There can be only one mount at that path: pods that run keep the old volume until they roll, one that"
            " starts before the site is published to the new volume waits. What is published moves over; anything else"
            " on the old volume (uploads) stays there."
        )
    if change.moves:
        return (
            "The volume is mounted at the new place too, the site is published there, the pods roll over, then the old"
            " mount goes. Anything else that is not published (uploads) stays where it is."
        )
    return "Its command is made anew; the mount itself stays, because its owner has it already."


def _label(it: Destructive, facts: Facts) -> str:
    change = next(its for its in facts.minions.changes if its.name == it.name)
    where = f"Node {code(change.unlabelled)}" if change.unlabelled else "Its node"
    return f"{where} loses the label: no new pod of the farm starts there; those that run go on."
