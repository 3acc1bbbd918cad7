"""What the serving benchmark reads out of wrk's words."""

from __future__ import annotations

import pytest

from bench.serve import Served, parse

WRK = """Running 4s test @ http://10.244.1.7/1k.txt
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.01ms    2.30ms  40.00ms   95.00%
    Req/Sec    15.50k     1.00k   16.90k    50.00%
  Latency Distribution
     50%  431.00us
     75%    0.90ms
     90%    1.40ms
     99%    1.20s
  62000 requests in 4.00s, 70.00MB read
Requests/sec:  15500.12
"""


def test_rates_and_times_in_one_unit() -> None:
    assert parse(WRK) == Served(rate=15500.12, p50=0.431, p99=1200.0)


def test_a_run_without_figures_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="wrk says no Requests/sec"):
        parse("unable to connect")
