"""The site that a stack has published, and the minions through which it is reached."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from components.remote_script import argv
from ops.errors import OpsError
from ops.farm import Stack
from ops.recorded_stack import Published
from settings import Minion


@dataclass(frozen=True, kw_only=True)
class StackSite:
    """What the stack's state says of its site, and the minions of the inventory that it was published for."""

    stack: str
    published: Published
    minions: tuple[Minion, ...]

    def command(self, *words: str) -> str:
        """A verb of ours for this stack, for somebody to copy."""
        return argv("python", "-m", "ops", *words, "--stack", self.stack)

    def differs(self, live: str | None, commit: str | None) -> list[str]:
        """What to know where ``live``, of git ``commit``, is not what the stack has published; else nothing."""
        published = self.published
        wanted = published.release
        if live == wanted or not wanted:
            return []
        lines = [
            f"stack {self.stack} has release {wanted}, so stack and volume differ: `pulumi up` with unchanged content"
            " does not publish, and one that changes pods fails, because they do not serve what it expects"
        ]
        if live is not None:
            back = f"have its content back in {published.source}"
            if commit and not commit.endswith("-dirty"):
                back = f"`{argv('git', 'checkout', commit, '--', published.source)}`"
            elif commit:
                back += f" (it was near commit {commit.partition('-')[0]})"
            lines.append(f"to stay with {live}: {back}, then `pulumi up`, which finds it live")
        return [
            *lines,
            f"to have {wanted}: `{self.command('rollback', '--to', wanted)}`, or `pulumi up` of new content",
        ]


def site_of(stack: Stack) -> StackSite:
    """Raises OpsError where the stack has none, or none of its minions is known."""
    published = stack.state.published
    if published is None:
        raise OpsError(f"stack {stack.state.stack} has published nothing yet; run `pulumi up` first")
    known = {minion.name: minion for minion in stack.inventory.minions}
    minions = tuple(known[name] for name in published.minions if name in known)
    if not minions:
        raise OpsError(
            f"the site was published through {', '.join(published.minions)}, of which the inventory has none,"
            f" only {', '.join(known)}; run `pulumi up` first"
        )
    return StackSite(stack=stack.state.stack, published=published, minions=minions)


def table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows as lines, column under column."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
