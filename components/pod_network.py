"""Whom the pods may talk to: anyone may ask them for pages, and they may ask nobody but whom the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rules.serving import Php

_DNS_PORT: Final = 53


def policy(selector: Mapping[str, str], php: Php) -> Any:
    """The spec of a NetworkPolicy for the pods that carry ``selector``.

    Incoming traffic is not limited by address. A node port, a load balancer and the gate arrive with the address of
    some node, and the kubelet's probes with that of the pod's node. What the site reads from the volume is not traffic
    of the pod, because the minion's own client reads it.
    """
    return {
        "podSelector": {"matchLabels": dict(selector)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [_port("TCP", php.port)]}],
        "egress": [*_names(php), *(_to(it.cidr, it.protocol, it.port) for it in php.egress)],
    }


def _names(php: Php) -> list[Any]:
    """The cluster's DNS, for pods that may connect to something: a database's name needs its address."""
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
