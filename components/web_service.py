"""Step 6 and 7 of the how-to: a Service, round robin over the pods, and the proof that it serves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_command import local
from pulumi_kubernetes.core.v1 import Service as KubernetesService
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components import web_spec
from components.failures import dependable, despite_failure, end_without
from components.outputs import at, printed, taken, unknown
from components.php_controller import ServingPods
from components.survey import Survey
from rules.serving import Service

KEPT: Final = (
    "no pods were proved to serve what is configured now, so those before are kept, and nothing at all was deleted;"
    " mend what failed and run `pulumi up` again"
)
_HTTP: Final = 80


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
        web = dependable(
            KubernetesService(
                name,
                metadata=ObjectMetaArgs(
                    name=name, namespace=farm.namespace, labels=dict(pods.selector), annotations=farm.marks()
                ),
                spec=web_spec.spec(service, pods.selector, pods.port),
                opts=pulumi.ResourceOptions(
                    parent=self, provider=farm.cluster, depends_on=list(pods.after), protect=farm.protected
                ),
            ),
            self,
        )
        cluster_ip = _final(web, farm.survey, "cluster_ip", among={farm.survey.cluster_ip})
        smoke = farm.deployer_command(
            f"{name}-smoke",
            *("checks", "smoke", *farm.minion_words(), *farm.cluster_words()),
            *("--controller", pods.controller, "--pods", str(pods.replicas)),
            *("--cluster-ip", cluster_ip),
            *("--port", str(service.port), "--probe-path", pods.probe_path),
            *("--release", pods.content.release),
            *(() if service.session_affinity == "None" else ("--affinity",)),
            parent=self,
            after=(*pods.after, web),
        )
        end_without(pods.proved, KEPT, after=smoke.stdout)
        self.endpoint = Endpoint(
            pods=pods,
            url=despite_failure(_url(service, pods, web, cluster_ip), ""),
            cluster_ip=despite_failure(cluster_ip, ""),
            served_by=despite_failure(_served_by(smoke), {}),
        )
        self.register_outputs({"url": self.endpoint.url})


def _final(web: KubernetesService, survey: Survey, *path: str | int, among: Collection[Any]) -> pulumi.Output[Any]:
    """What is at ``path`` of the Service's spec: unknown in a preview that made it up, '' where it is missing.

    A dry run hands out a cluster IP and a node port that the update will not have. Values ``among`` those of the live
    Service are final. So are all where nothing is known of the live Service: no dry run was
    possible then, and the value is the state's. The id of a Service that is to be made is unknown, which makes the rest
    unknown.
    """

    def checked(found: Any) -> Any:
        value = at(found[1], *path)
        is_final = value is not None and (value in among or not survey.service_known)
        return unknown() if pulumi.runtime.is_dry_run() and not is_final else value or ""

    return pulumi.Output.all(web.id, web.spec).apply(checked)


def _served_by(smoke: local.Command) -> pulumi.Output[dict[str, int]]:
    return smoke.stdout.apply(lambda text: dict(printed(text).get("servedBy") or {}))


def _url(
    service: Service, pods: ServingPods, web: KubernetesService, cluster_ip: pulumi.Output[str]
) -> pulumi.Output[str]:
    """The address for the Service's type: a minion's node port, the load balancer's address, or the cluster IP."""
    if service.type == "NodePort":
        fixed, survey = service.node_port, pods.content.mounted.farm.survey
        if fixed is None:
            port = _final(web, survey, "ports", 0, "node_port", among=survey.node_ports)
        else:
            port = web.spec.apply(lambda _: fixed)
        return pulumi.Output.all(_minion(service, pods), port).apply(lambda found: _address(found[0], f":{found[1]}"))
    suffix = "" if service.port == _HTTP else f":{service.port}"
    host = taken(web.status, "load_balancer", "ingress", 0) if service.type == "LoadBalancer" else cluster_ip
    return host.apply(lambda it: _address(_name(it), suffix))


def _address(host: str, suffix: str) -> str:
    return f"http://{host}{suffix}/" if host else ""


def _name(host: Any) -> str:
    """A load balancer's name or address, whichever it has; any other host as it is."""
    return str(at(host, "hostname") or at(host, "ip") or "") if isinstance(host, Mapping) else str(host or "")


def _minion(service: Service, pods: ServingPods) -> pulumi.Input[str]:
    """The host of a minion that answers at its node port: one that runs a pod, where nodes serve their own only."""
    minions = pods.content.mounted.farm.minions
    if service.external_traffic_policy == "Cluster":
        return minions[0].host

    def with_pod(said: str) -> str:
        nodes = set(dict(printed(said).get("pods") or {}).values())
        return next((minion.host for minion in minions if minion.node in nodes), minions[0].host)

    return pods.proved.apply(with_pod)
