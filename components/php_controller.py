"""Step 5 of the how-to: a ReplicationController of PHP pods that serve the site from whichever minion they land on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap, Namespace, ReplicationController, ReplicationControllerSpecArgs
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components import labels, php_pod, pod_network, pod_secret
from components.content_sync import PublishedContent
from components.failures import dependable
from components.farm import Farm
from components.outputs import taken
from components.shared_directory import SharedDirectory
from rules.serving import Php

#: Nothing is awaited here but that the controller exists: the gate waits for its pods (ADR 0012).
MADE: Final = "jsonpath={.metadata.uid}"


@dataclass(frozen=True, kw_only=True)
class ServingPods:
    """Pods that were each seen to serve the live release.

    ``selector`` is what all of them carry, whatever their template; ``controller`` is the name of the controller that
    keeps ``replicas`` of them; ``probe_path`` is what a visitor would ask for; ``proved`` is what the gate said.
    """

    content: PublishedContent
    selector: Mapping[str, str]
    port: int
    probe_path: str
    replicas: int
    controller: pulumi.Output[str]
    proved: pulumi.Output[str]
    after: tuple[pulumi.Resource, ...]


class PhpController(pulumi.ComponentResource):
    """The namespace, what the pods need besides their image, the controller, and the gate that asks every new pod."""

    serving: ServingPods

    def __init__(
        self,
        name: str,
        *,
        content: PublishedContent,
        shared: Sequence[SharedDirectory],
        php: Php,
        secrets: Mapping[str, pulumi.Output[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("glusterfarm:index:PhpController", name, None, opts)
        farm = content.mounted.farm
        namespace = [] if farm.survey.is_foreign else [dependable(self._namespace(name, farm), self)]
        settings = php_pod.settings(php, content.site.scripts)
        ini = ConfigMap(
            f"{name}-ini",
            metadata=ObjectMetaArgs(name=php_pod.settings_name(name, settings), namespace=farm.namespace),
            data=dict(settings),
            opts=pulumi.ResourceOptions(parent=self, provider=farm.cluster, depends_on=namespace),
        )
        ground: list[pulumi.Resource] = [
            dependable(ini, self),
            dependable(self._policy(name, farm, php, namespace), self),
        ]
        ground += [it for directory in shared for it in directory.after]
        seen = [it.seen for it in shared]
        template: pulumi.Input[Any] = php_pod.template(name, content.site, php, seen)
        if secrets:
            kept, secret = pod_secret.secret(f"{name}-env", farm, secrets, parent=self, after=namespace)
            template = kept.apply(
                lambda known: php_pod.template(name, content.site, php, seen, secrets={known: [*secrets]})
            )
            ground.append(secret)
        controller = dependable(self._controller(name, content, php, template, ground), self)
        made_as = taken(controller.metadata, "name")
        gate = farm.deployer_command(
            f"{name}-gate",
            *("checks", "gate", *farm.minion_words(), *farm.cluster_words()),
            *("--controller", made_as, "--pods", str(php.replicas)),
            *("--port", str(php.port), "--release", content.release, "--timeout", str(php.rollout_timeout)),
            *("--stuck-timeout", str(php.stuck_timeout)),
            *("--probe-path", php.probe_path),
            parent=self,
            after=(*content.after, controller),
        )
        self.serving = ServingPods(
            content=content,
            selector=labels.pods_selector(farm.stack),
            port=php.port,
            probe_path=php.probe_path,
            replicas=php.replicas,
            controller=made_as,
            proved=gate.stdout,
            after=(controller, gate),
        )
        self.register_outputs({"replicas": php.replicas})

    def _namespace(self, name: str, farm: Farm) -> Namespace:
        return Namespace(
            f"{name}-namespace",
            metadata=ObjectMetaArgs(
                name=farm.namespace,
                annotations={labels.OWNER_ANNOTATION: f"{pulumi.get_project()}/{farm.stack}"},
                labels={
                    **dict([labels.PRIVILEGED.split("=")]),
                    "pod-security.kubernetes.io/warn": "restricted",
                    "pod-security.kubernetes.io/audit": "restricted",
                },
            ),
            opts=pulumi.ResourceOptions(parent=self, provider=farm.cluster, protect=farm.protected),
        )

    def _policy(self, name: str, farm: Farm, php: Php, namespace: Sequence[Namespace]) -> NetworkPolicy:
        return NetworkPolicy(
            f"{name}-network",
            metadata=ObjectMetaArgs(name=name, namespace=farm.namespace, annotations=farm.marks()),
            spec=pod_network.policy(labels.pods_selector(farm.stack), php),
            opts=pulumi.ResourceOptions(parent=self, provider=farm.cluster, depends_on=[*namespace]),
        )

    def _controller(
        self,
        name: str,
        content: PublishedContent,
        php: Php,
        template: pulumi.Input[Any],
        ground: Sequence[pulumi.Resource],
    ) -> ReplicationController:
        farm = content.mounted.farm
        return ReplicationController(
            # No metadata.name: the provider names each one anew, so the next runs beside the last while it is replaced.
            name,
            metadata=ObjectMetaArgs(
                namespace=farm.namespace,
                labels=dict(labels.pods_selector(farm.stack)),
                annotations={"pulumi.com/waitFor": MADE},
            ),
            spec=ReplicationControllerSpecArgs(
                replicas=php.replicas,
                selector=pulumi.Output.from_input(template)["metadata"]["labels"],
                template=template,
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=farm.cluster,
                # A controller does not replace its pods when its template changes: a new controller does.
                replace_on_changes=["spec.template", "spec.selector"],
                depends_on=[*content.after, *ground],
            ),
        )
