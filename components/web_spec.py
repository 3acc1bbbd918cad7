"""The Service's spec: plain data, so that the cluster can be asked about it before it is declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rules.serving import Service


def spec(service: Service, selector: Mapping[str, str], port: int) -> Any:
    """A ServiceSpec for the pods that carry ``selector`` and listen on ``port``."""
    ports = {"name": "http", "port": service.port, "targetPort": port}
    found: dict[str, Any] = {
        "type": service.type,
        "selector": dict(selector),
        "ports": [ports if service.node_port is None else {**ports, "nodePort": service.node_port}],
        "sessionAffinity": service.session_affinity,
    }
    if service.type != "ClusterIP":
        # Only where there are visitors from outside has the API server a place for it.
        found["externalTrafficPolicy"] = service.external_traffic_policy
    if service.source_ranges:
        found["loadBalancerSourceRanges"] = list(service.source_ranges)
    return found
