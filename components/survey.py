"""The facts about the cluster that decide what the program declares, asked before it declares anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import local

from cluster import NOT_COMPARED
from components import labels, php_pod, pod_site, web_spec
from components.commands import cluster_words, module
from components.local_content import LocalContent
from components.pod_site import PodSite
from settings import Settings


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What the cluster says.

    ``is_foreign``: the namespace was there before the stack; it is used as it is. ``cluster_ip`` ('' for none) and
    ``node_ports`` are those of the Service that is live; nothing is known of it without ``service_known``. ``mounted``
    are the nodes that carry the label of the stack's mount.
    """

    is_foreign: bool
    service_known: bool
    cluster_ip: str
    node_ports: frozenset[int]
    mounted: frozenset[str]


def survey(settings: Settings, content: LocalContent, *, pods: str, service: str) -> Survey:
    """Ask the cluster, in previews too. ``pods`` and ``service`` are the names of the two components.

    Raises RunError for a minion whose node does not exist, and for what the namespace forbids. An update raises it,
    too, when the cluster does not answer: nothing is changed then. A preview warns.
    """
    found = _asked(settings, _request(settings, content, pods, service))
    namespace = settings.kubernetes.namespace
    if found["no_nodes"]:
        raise pulumi.RunError("nothing was changed:" + "".join(f"\n  - {it}" for it in found["no_nodes"]))
    if found["forbidden"]:
        raise pulumi.RunError(_forbidden(namespace, found["forbidden"]))
    if pulumi.runtime.is_dry_run():
        if found["not_compared"]:
            pulumi.log.warn(f"{NOT_COMPARED}{found['not_compared']}")
    elif found["unreachable"]:
        raise pulumi.RunError(f"nothing was changed: {found['unreachable']}")
    return Survey(
        is_foreign=found["namespace"] == "foreign",
        service_known=found["service_known"],
        cluster_ip=found["cluster_ip"],
        node_ports=frozenset(found["node_ports"]),
        mounted=frozenset(found["mounted"]),
    )


def _asked(settings: Settings, request: Mapping[str, Any]) -> Mapping[str, Any]:
    command = module("cluster.survey", *cluster_words(settings.kubernetes))
    try:
        # Without a resource of its own, whatever a function logs would stand among the preview's diagnostics.
        answer = local.run(
            command=command, stdin=json.dumps(request), add_previous_output_in_env=False, logging=local.Logging.NONE
        )
        found: Mapping[str, Any] = json.loads(answer.stdout or "")
    except Exception as error:  # noqa: BLE001 (the SDK raises a bare Exception for whatever a provider says)
        raise pulumi.RunError(f"the cluster could not be asked, and nothing was changed: {error}") from None
    return found


def _request(settings: Settings, content: LocalContent, pods: str, service: str) -> Mapping[str, Any]:
    volume, php = settings.gluster, settings.php
    site = PodSite(
        stack=settings.stack,
        placement=labels.placement(settings.stack),
        volume=volume.volume,
        mount_path=volume.mount_path,
        path=f"{volume.mount_path}/{content.content.site}",
        scripts=content.scripts,
    )
    shared = [pod_site.directory(it, volume.mount_path) for it in settings.shared]
    secrets = {f"{pods}-env": [*settings.secret_env]} if settings.secret_env else {}
    selector = labels.pods_selector(settings.stack)
    return {
        "owner": f"{settings.project}/{settings.stack}",
        "selector": dict(selector),
        "pods": pods,
        "template": php_pod.template(pods, site, php, shared, secrets=secrets),
        # The Secret's name is not known yet, and it is a part of the template.
        "is_final": not secrets,
        "secrets": bool(secrets),
        "replicas": php.replicas,
        "service": service,
        "service_spec": web_spec.spec(settings.service, selector, php.port),
        "preview": pulumi.runtime.is_dry_run(),
        "label": labels.mounted_label(settings.stack),
        "nodes": {minion.name: minion.node for minion in settings.minions},
    }


def _forbidden(namespace: str, reasons: list[str]) -> str:
    lines = "".join(f"\n  - {it}" for it in reasons)
    return (
        f"{pulumi.get_project()}:kubernetes.namespace: namespace {namespace} does not admit the farm, and nothing was"
        f" changed:{lines}\n"
        "The pods reach the volume through hostPath, and during a roll the new ones run beside the old ones. Ask the"
        f" owner of the namespace to label it {labels.PRIVILEGED} or to raise the quota, ask for less"
        " (php.replicas, php.resources, service.type), or choose another namespace"
    )
