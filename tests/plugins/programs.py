"""What the programs of the Kubernetes tests begin with."""

from __future__ import annotations

from tests.plugins.control_plane import ControlPlane
from tests.plugins.harness import Project

PRELUDE = """
    import pulumi_kubernetes as k8s
    from pulumi import ResourceOptions
    class Core:
        # Types of core/v1 without the SDK's classes, which take half a second to load; names are in camelCase.
        def __getattr__(self, kind):
            def make(name, opts, **inputs):
                outputs = dict.fromkeys(("metadata", "spec", "status", "data"))
                fixed = {{"apiVersion": "v1", "kind": kind.removesuffix("Patch")}}
                versioned = ResourceOptions.merge(opts, ResourceOptions(version="4.34.2"))
                token = f"kubernetes:core/v1:{{kind}}"
                return pulumi.CustomResource(token, name, {{**outputs, **fixed, **inputs}}, versioned)
            return make
    core = Core()
    provider = k8s.Provider("provider", kubeconfig={kubeconfig!r}, cluster_identifier="tests")
    def inside(**options):
        return ResourceOptions(provider=provider, **options)
    def controller(name, replicas=2, image="site:1", annotations=None, **options):
        labels = {{"app": name}}
        spec = {{"containers": [{{"name": "site", "image": image}}]}}
        template = {{"metadata": {{"labels": labels}}, "spec": spec}}
        return core.ReplicationController(
            name,
            metadata={{"namespace": {namespace!r}, "annotations": annotations or {{}}}},
            spec={{"replicas": replicas, "selector": labels, "template": template}},
            opts=inside(**options),
        )
    space = {namespace!r}
    """


def program(project: Project, cluster: ControlPlane, namespace: str, text: str) -> None:
    """Writes a program that has `core`, `inside`, `controller`, `space` (the namespace) and the SDK `k8s` at hand."""
    project.write(PRELUDE.format(kubeconfig=str(cluster.kubeconfig), namespace=namespace) + text)
