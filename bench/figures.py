"""Timings of ours and a peer's, taken in turn in one run, and what may be said of them: ratios with their spread.

Machines are noisy: a figure of its own says little, and two runs at different times say nothing of each other.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Series:
    """The seconds that each contender took, in the order of the rounds."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def take(self, name: str, work: Callable[[], object]) -> None:
        """Time ``work`` once as ``name``, and say so on stderr."""
        begun = time.monotonic()
        work()
        took = time.monotonic() - begun
        self.seconds.setdefault(name, []).append(round(took, 3))
        print(f"  {name}: {took:.1f} s", file=sys.stderr, flush=True)

    def ratio(self, ours: str, peer: str) -> Ratio:
        """How many times as long ``ours`` took as ``peer``."""
        return Ratio.of(self.seconds[ours], self.seconds[peer])


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Of the medians; ``least`` and ``most`` are those of single rounds."""

    medians: float
    least: float
    most: float

    @classmethod
    def of(cls, ours: Sequence[float], peers: Sequence[float]) -> Ratio:
        """The ratio of two series of the same rounds, at least one. Raises ValueError for others."""
        rounds = [one / other for one, other in zip(ours, peers, strict=True)]
        medians = statistics.median(ours) / statistics.median(peers)
        return cls(medians=round(medians, 3), least=round(min(rounds), 3), most=round(max(rounds), 3))


def report(ratios: Mapping[str, Ratio], series: Series, *, as_json: bool, about: Mapping[str, object]) -> None:
    """Print the figures: a line each; ``as_json``, one object with ``ratios``, ``spread``, ``seconds``, ``about``."""
    if as_json:
        whole = {
            "ratios": {name: ratio.medians for name, ratio in ratios.items()},
            "spread": {name: [ratio.least, ratio.most] for name, ratio in ratios.items()},
            "seconds": series.seconds,
            "about": dict(about),
        }
        print(json.dumps(whole))
        return
    print(", ".join(f"{name}: {value}" for name, value in about.items()))
    for name, took in series.seconds.items():
        print(f"{name}: median {statistics.median(took):.1f} s of {', '.join(f'{one:.1f}' for one in took)}")
    for name, ratio in ratios.items():
        print(f"{name}: {ratio.medians:.2f} (single rounds {ratio.least:.2f} to {ratio.most:.2f})")
