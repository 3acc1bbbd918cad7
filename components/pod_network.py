"""Whom the pods may talk to: anyone may ask them for pages, and they may ask nobody but whom the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rules.serving import Php

_DNS_PORT: Final = 53


def policy(selector: Mapping[str, str], php: Php) -> Any:
    """The spec of a NetworkPolicy for the pods that carry ``selector``.

    Who comes in is not narrowed by address: a node port, a load balancer and the gate arrive with the address of some
    node, the kubelet's probes with that of the pod's own. What the site reads from the volume is no traffic of the pod:
    the minion's own client does it.
    """
    return {
        "podSelector": {"matchLabels": dict(selector)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [_port("TCP", php.port)]}],
        "egress": [*_names(php), *(_to(it.cidr, it.protocol, it.port) for it in php.egress)],
    }


def _names(php: Php) -> list[Any]:
    """The cluster's DNS, for whoever is let out at all: to name a database is to ask for its address."""
    if not php.egress:
        return []
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    return [{"to": [peer], "ports": [_port("UDP", _DNS_PORT), _port("TCP", _DNS_PORT)]}]


def _to(cidr: str, protocol: str, port: int) -> Any:
    return {"to": [{"ipBlock": {"cidr": cidr}}], "ports": [_port(protocol, port)]}


def _port(protocol: str, port: int) -> Any:
    return {"protocol": protocol, "port": port}
