"""Step 6 and 7 of the how-to: a Service, round robin over the pods, and the proof that it serves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_command import local
from pulumi_kubernetes.core.v1 import Service as KubernetesService
from pulumi_kubernetes.core.v1 import ServicePortArgs, ServiceSpecArgs
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.failures import dependable, despite_failure, end_without
from components.php_controller import ServingPods
from rules.serving import Service

KEPT: Final = (
    "no pods were proved to serve what is configured now, so those before are kept, and nothing at all was deleted;"
    " mend what failed and run `pulumi up` again"
)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where the farm answers, once the smoke check has seen it answer.

    ``served_by`` maps the name of each pod that answered to the number of its answers in the last check.
    """

    pods: ServingPods
    url: pulumi.Output[str]
    cluster_ip: pulumi.Output[str]
    served_by: pulumi.Output[dict[str, int]]


class WebService(pulumi.ComponentResource):
    """The Service, whose selector is that of the pods it is given, and the smoke check that fails `up`."""

    endpoint: Endpoint

    def __init__(
        self,
        name: str,
        *,
        pods: ServingPods,
        service: Service,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("glusterfarm:index:WebService", name, None, opts)
        farm = pods.content.mounted.farm
        port = ServicePortArgs(name="http", port=service.port, target_port=pods.port, node_port=service.node_port)
        web = dependable(
            KubernetesService(
                name,
                metadata=ObjectMetaArgs(name=name, namespace=farm.namespace, labels=dict(pods.selector)),
                spec=ServiceSpecArgs(
                    type=service.type,
                    selector=dict(pods.selector),
                    ports=[port],
                    session_affinity=service.session_affinity,
                    # Only where there are visitors from outside has the API server a place for it.
                    external_traffic_policy=None if service.type == "ClusterIP" else service.external_traffic_policy,
                    load_balancer_source_ranges=list(service.source_ranges) or None,
                ),
                opts=pulumi.ResourceOptions(
                    parent=self, provider=farm.cluster, depends_on=list(pods.after), protect=farm.protected
                ),
            ),
            self,
        )
        smoke = farm.deployer_command(
            f"{name}-smoke",
            *("checks", "smoke", *farm.minion_words(), *farm.cluster_words()),
            *("--controller", pods.controller, "--pods", str(pods.replicas)),
            *("--cluster-ip", web.spec["cluster_ip"]),
            *("--port", str(service.port), "--probe-path", pods.probe_path),
            *("--release", pods.content.release),
            *(() if service.session_affinity == "None" else ("--affinity",)),
            parent=self,
            after=(*pods.after, web),
        )
        end_without(pods.proved, KEPT, after=smoke.stdout)
        self.endpoint = Endpoint(
            pods=pods,
            url=despite_failure(_url(service, pods, web), ""),
            cluster_ip=despite_failure(web.spec["cluster_ip"], ""),
            served_by=despite_failure(_served_by(smoke), {}),
        )
        self.register_outputs({"url": self.endpoint.url})


def _served_by(smoke: local.Command) -> pulumi.Output[dict[str, int]]:
    return smoke.stdout.apply(lambda text: dict(json.loads(text)["servedBy"]) if text else {})


def _url(service: Service, pods: ServingPods, web: KubernetesService) -> pulumi.Output[str]:
    """The address for the Service's type: a minion's node port, the load balancer's address, or the cluster IP."""
    if service.type == "NodePort":
        port = web.spec["ports"][0]["node_port"]
        return pulumi.Output.all(_minion(service, pods), port).apply(lambda found: f"http://{found[0]}:{found[1]}/")
    suffix = "" if service.port == 80 else f":{service.port}"  # noqa: PLR2004 (http's own port)
    if service.type == "LoadBalancer":
        return web.status.apply(lambda status: f"http://{_ingress(status)}{suffix}/")
    return web.spec["cluster_ip"].apply(lambda address: f"http://{address}{suffix}/")


def _ingress(status: Any) -> str:
    first = status.load_balancer.ingress[0]
    return str(first.hostname or first.ip)


def _minion(service: Service, pods: ServingPods) -> pulumi.Input[str]:
    """The host of a minion that answers at its node port: one that runs a pod, where nodes serve their own only."""
    minions = pods.content.mounted.farm.minions
    if service.external_traffic_policy == "Cluster":
        return minions[0].host

    def with_pod(said: str) -> str:
        nodes = set(json.loads(said)["pods"].values()) if said else set()
        return next((minion.host for minion in minions if minion.node in nodes), minions[0].host)

    return pods.proved.apply(with_pod)
