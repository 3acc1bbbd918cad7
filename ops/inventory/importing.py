"""``python -m ops inventory import``: the minions of an Ansible inventory or the cluster, as the program reads them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.cluster import Cluster, ClusterError
from ops.config import stack_file
from ops.errors import OpsError
from ops.finding import plain
from ops.inventory import ansible, from_cluster, ssh_options
from ops.inventory.inventory_file import InventoryFile
from ops.inventory.merge import Change, Defaults, merge
from ops.inventory.source_machines import InventorySource, listed
from ops.inventory.ssh_options import Jump, UnreadableOptionsError
from ops.inventory.target_file import add_inventory_options, chosen_inventory, cluster_of


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What an import changed in ``path``, or would; whose host keys are missing then; the notes and whose each is."""

    path: str
    minions: int
    changes: tuple[Change, ...]
    unscanned: tuple[str, ...]
    notes: tuple[tuple[str, tuple[str, ...]], ...]
    written: bool


def options(parser: argparse.ArgumentParser) -> None:
    """The action's options."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "source",
        nargs="?",
        metavar="FILE_OR_DIR",
        type=Path,
        help="an Ansible inventory: whatever `ansible-inventory -i` takes",
    )
    source.add_argument("--from-cluster", action="store_true", help="the nodes of the cluster")
    parser.add_argument("--group", help="the Ansible group whose hosts are minions (default: kubespray's kube_node)")
    parser.add_argument("--kubeconfig", type=Path, help="the cluster's kubeconfig (default: that of the stack)")
    parser.add_argument("--context", help="the context in it (default: that of the stack, or its current one)")
    parser.add_argument("--selector", metavar="LABEL=VALUE", help="the labels of the nodes that are minions (all)")
    parser.add_argument("--user", help="who logs in on new minions of which the source does not say it (root)")
    parser.add_argument("--bastion", metavar="USER@HOST[:PORT]", help="what new ones without one are reached through")
    add_inventory_options(parser, flag="--output")
    parser.add_argument("--check", action="store_true", help="write nothing, only show what would change")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.epilog = (
        "Host keys that the file has stay with their minions; `python -m ops inventory scan` collects the others."
        " Exit status: 0 written, or nothing changed; 1 with --check: something would change; 2 could not."
    )


def run(options: argparse.Namespace) -> int:
    """Import, and print what changed; return the exit status. Raises OpsError."""
    path = chosen_inventory(options)
    defaults = Defaults(user=options.user, bastion=_jump(options.bastion))
    file = InventoryFile.read(path, new=True)
    source = _source(options, file)
    report = bring_in(file, source, defaults, write=not options.check)
    print(json.dumps(_object(report)) if options.json else "\n".join(_text(report)))
    return 1 if report.changes and options.check else 0


def _source(options: argparse.Namespace, file: InventoryFile) -> InventorySource:
    of_cluster = [f"--{name}" for name in ("kubeconfig", "context", "selector") if getattr(options, name) is not None]
    if options.from_cluster:
        if options.group:
            raise OpsError("--group is of Ansible's; nodes are chosen by --selector")
        known = {it.get("node", it["name"]) for it in file.minions}
        return from_cluster.read(_cluster(options), selector=options.selector, known=known)
    if of_cluster:
        raise OpsError(f"{of_cluster[0]} is for --from-cluster only")
    return ansible.read(options.source, group=options.group)


def _cluster(options: argparse.Namespace) -> Cluster:
    """The one named, or else that of the stack."""
    kubeconfig, context = options.kubeconfig, options.context
    named_by = "--kubeconfig", "--context"
    if kubeconfig is None:
        if options.stack is None:
            raise OpsError("--from-cluster needs --kubeconfig FILE, or --stack S with a kubeconfig of its own")
        configured = cluster_of(options.stack)
        file = stack_file.stack_file(options.stack)
        named_by = f"{file}: kubernetes.kubeconfig", named_by[1] if context else f"{file}: kubernetes.context"
        kubeconfig, context = Path(configured.kubeconfig), context or configured.context
    try:
        return Cluster(kubeconfig=kubeconfig, context=context, namespace="", named_by=named_by)
    except ClusterError as error:
        raise OpsError(str(error)) from None


def bring_in(file: InventoryFile, source: InventorySource, defaults: Defaults, *, write: bool) -> ImportReport:
    """Make the minions of ``file`` those of ``source``. Raises OpsError."""
    changes = merge(file, source.checked(), defaults)
    file.text()  # refused before anything is said
    if write:
        file.write()
    nameless = {it.name for it in source.machines if it.user is None and defaults.user is None}
    unnamed = [it.minion for it in changes if it.kind == "added" and it.minion in nameless]
    if unnamed:
        source.notes["nothing says who logs in, so it is root; --user names another"] = unnamed
    silent = {name for it in source.machines if it.bastion is None for name in (it.name, it.node or it.name)}
    with_bastion = [
        it["name"] for it in file.minions if it.get("bastion") and silent & {it["name"], it.get("node", it["name"])}
    ]
    if with_bastion:
        source.notes["nothing is said of a bastion, so it is as in the file or as --bastion says"] = with_bastion
    return ImportReport(
        path=str(file.path),
        minions=len(file.minions),
        changes=changes,
        unscanned=tuple(_unscanned(file)),
        notes=tuple((text, tuple(whose)) for text, whose in source.notes.items()),
        written=write and file.changed,
    )


def _jump(text: str | None) -> Jump | None:
    try:
        jump = ssh_options.proxy_jump(text) if text else None
    except UnreadableOptionsError as error:
        raise OpsError(f"--bastion {text!r}: {error}; for example jump@bastion.example.com:22") from None
    if jump and not jump.user:
        raise OpsError(f"--bastion {text!r} names no user; for example jump@bastion.example.com:22")
    return jump


def _unscanned(file: InventoryFile) -> Iterator[str]:
    bastions = [it["bastion"] for it in file.minions if it.get("bastion")]
    yield from dict.fromkeys(f"bastion {it['host']}" for it in bastions if "hostKey" not in it)
    yield from (it["name"] for it in file.minions if "hostKey" not in it)


def _object(report: ImportReport) -> dict[str, Any]:
    by_kind = {kind: [it for it in report.changes if it.kind == kind] for kind in ("added", "removed", "changed")}
    return {
        "inventory": report.path,
        "written": report.written,
        "minions": report.minions,
        "added": [it.minion for it in by_kind["added"]],
        "removed": [it.minion for it in by_kind["removed"]],
        "changed": [
            {"minion": it.minion, "keys": {key: {"now": now, "was": was} for key, (now, was) in it.keys.items()}}
            for it in by_kind["changed"]
        ],
        "withoutHostKey": list(report.unscanned),
        "notes": [{"what": text, "minions": list(whose)} for text, whose in report.notes],
    }


def _text(report: ImportReport) -> Iterator[str]:
    counts = {kind: sum(it.kind == kind for it in report.changes) for kind in ("added", "removed", "changed")}
    changed = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    verdict = f"{'written' if report.written else 'not written'}: {changed}" if report.changes else "nothing changed"
    yield f"{report.path}: {verdict}; {report.minions} minion{'' if report.minions == 1 else 's'}"
    yield from (f"  {plain(it.line())}" for it in report.changes)
    for text, whose in report.notes:
        yield f"note: {text} ({listed(whose)})" if whose else f"note: {text}"
    if report.unscanned:
        yield (
            f"host keys are missing: {listed(report.unscanned)};"
            f" `python -m ops inventory scan {report.path}` collects them"
        )
