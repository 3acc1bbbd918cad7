"""The conditions of `pulumi.com/waitFor`: which can be read, and what they match."""

from __future__ import annotations

import re

import pytest

from lab.plugins.kube.jsonpath import parse

OBJECT = {
    "metadata": {"labels": {"a.example/b": "c"}},
    "status": {
        "replicas": 2,
        "ready": True,
        "none": None,
        "conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}],
        "ports": [{"port": 80}, {"port": 81}],
    },
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("jsonpath={.status.replicas}=2", True),
        ("jsonpath={.status.replicas}=3", False),
        ("jsonpath={$.status.replicas}", True),
        ("jsonpath={ .status.replicas }", True),
        ("jsonpath={.status.missing}", False),
        ("jsonpath={.status.missing}=0", False),
        ("jsonpath={.status.ready}=true", True),
        ("jsonpath={.status.conditions}", True),
        ("jsonpath={.status.ports[0].port}=80", True),
        ("jsonpath={.status.ports[-1].port}=81", True),
        ("jsonpath={.status.ports[2].port}", False),
        ("jsonpath={.status.ports[*].port}=80", True),
        ("jsonpath={.metadata.labels['a.example/b']}=c", True),
        ('jsonpath={.metadata.labels["a.example/b"]}=d', False),
        ('jsonpath={.status.conditions[?(@.type=="Ready")].status}=True', True),
        ("jsonpath={.status.conditions[?(@.type=='Ready')].status}=False", False),
        ('jsonpath={.status.conditions[?@.type == "Nothing"].status}=True', False),
    ],
)
def test_expressions_match(text: str, matches: bool) -> None:
    assert parse(text).matches(OBJECT)[0] is matches


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("jsonpath=.status.replicas", "is not of the form"),
        ("jsonpath={.status", "is not of the form"),
        ("jsonpath='{.status.phase}'=Running", "is not of the form"),
        ("jsonpath={.status.replicas}=", "requires a value"),
        ("jsonpath={.status[]}", "cannot read '[]'"),
        ("jsonpath={.status[?(@.a>1)]}", "cannot read"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse(text)
