"""What a namespace's quotas leave for the farm."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cluster.quota import needed_by_objects, needed_by_pods, shortages


def container(**resources: dict[str, str]) -> dict[str, Any]:
    return {"resources": resources}


def quota(hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "team"},
        "spec": {"hard": hard, **spec},
        "status": {"hard": hard, "used": used or {}},
    }


def test_pods_take_what_their_containers_ask_for() -> None:
    spec = {
        "containers": [
            container(requests={"cpu": "50m", "memory": "64Mi"}, limits={"memory": "1Gi"}),
            container(requests={"cpu": "1"}),
        ],
        "initContainers": [container(requests={"memory": "512Mi"})],
    }
    assert needed_by_pods(spec, 2) == {
        "pods": 2,
        "count/pods": 2,
        "requests.cpu": Decimal("2.1"),
        "cpu": Decimal("2.1"),
        "requests.memory": 2 * 512 * 2**20,
        "memory": 2 * 512 * 2**20,
        "limits.memory": 2 * 2**30,
    }


@pytest.mark.parametrize(
    ("hard", "used", "said"),
    [
        ({"pods": "2"}, {"pods": "1"}, ["quota team allows pods=2, of which 1 are used; the farm needs 2 more"]),
        ({"pods": "3"}, {"pods": "1"}, []),
        (
            {"count/services": "0"},
            {},
            ["quota team allows count/services=0, of which 0 are used; the farm needs 1 more"],
        ),
        (
            {"requests.cpu": "90m"},
            {},
            ["quota team allows requests.cpu=90m, of which 0 are used; the farm needs 0.1 more"],
        ),
        ({"requests.cpu": "0.1"}, {}, []),
        ({"limits.memory": "1Gi", "pods": "2"}, {}, []),
        ({"persistentvolumeclaims": "0"}, {}, []),
        ({"pods": "none of them"}, {}, []),
    ],
)
def test_what_is_short_is_named(hard: dict[str, str], used: dict[str, str], said: list[str]) -> None:
    need = needed_by_pods({"containers": [container(requests={"cpu": "50m"})]}, 2)
    need |= needed_by_objects({"services": 1})
    assert list(shortages([quota(hard, used)], need)) == said


@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        ({"scopes": ["NotTerminating"]}, True),
        ({"scopes": ["NotTerminating", "NotBestEffort"]}, True),
        ({"scopes": ["Terminating"]}, False),
        ({"scopes": ["BestEffort"]}, False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, False),
    ],
)
def test_a_quota_for_other_pods_does_not_count(spec: dict[str, Any], counts: bool) -> None:
    need = needed_by_pods({"containers": [container()]}, 1)
    assert bool(list(shortages([quota({"pods": "0"}, **spec)], need))) is counts


def test_a_quota_that_was_just_made_has_no_status_yet() -> None:
    made = {"metadata": {"name": "team"}, "spec": {"hard": {"pods": "0"}}}
    assert list(shortages([made], {"pods": Decimal(1)}))
