"""How the work of a publish is divided, and handed on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from publisher.manifest import Entry
from publisher.parallel import FILE_BYTES, in_shares
from publisher.written_parts import WrittenParts


def entries(sizes: Sequence[int]) -> list[Entry]:
    return [Entry(path=b"%d" % number, kind="644", size=size, digest="0" * 64) for number, size in enumerate(sizes)]


def work(share: Sequence[Entry]) -> int:
    return sum(entry.size + FILE_BYTES for entry in share)


@given(st.lists(st.integers(0, 1 << 24), max_size=300), st.integers(1, 10))
def test_shares_are_everything_in_its_order_and_none_is_empty(sizes: list[int], count: int) -> None:
    shares = list(in_shares(entries(sizes), count))
    assert [entry for share in shares for entry in share] == entries(sizes)
    assert all(shares)


def test_shares_get_smaller_so_that_little_is_left_for_the_last() -> None:
    shares = [work(share) for share in in_shares(entries([5300] * 10_000), 8)]
    assert shares == sorted(shares[:-1], reverse=True) + shares[-1:]
    assert len(shares) > 3 * 8, "each of eight has something to hand on before all are done"
    assert max(shares) < sum(shares) / 15
    assert max(shares[-8:]) < sum(shares) / 8 / 6, "a sixth of what one of them did"


def test_little_is_one_share() -> None:
    assert len(list(in_shares(entries([100] * 10), 8))) == 1


def test_each_reader_is_given_all_whenever_it_comes() -> None:
    parts = [entries([number]) for number in range(5)]

    async def read(written: WrittenParts) -> list[Sequence[Entry]]:
        return [part async for part in written]

    async def scene() -> list[list[Sequence[Entry]]]:
        written = WrittenParts()
        early = [asyncio.create_task(read(written)) for _ in range(2)]
        for part in parts:
            await asyncio.sleep(0)
            written.add(part)
        midway = asyncio.create_task(read(written))
        await asyncio.sleep(0)
        assert not any(task.done() for task in early)
        written.end()
        return [*await asyncio.gather(*early, midway), await read(written)]

    assert asyncio.run(scene()) == [parts] * 4
