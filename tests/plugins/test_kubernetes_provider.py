"""kubernetes: the provider's own configuration, its kubeconfig, and a cluster that does not answer."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

from tests.plugins.control_plane import ControlPlane
from tests.plugins.harness import Project
from tests.support.ports import refusing_port
from tests.support.proxies import socks_proxy

MAP = """
    import pulumi_kubernetes as k8s
    provider = k8s.Provider("provider", **args["provider"])
    k8s.core.v1.ConfigMap("map", metadata=args.get("metadata"), data={"a": args.get("a", "1")},
                          opts=pulumi.ResourceOptions(provider=provider))
    """


def test_kubeconfig_is_a_path_or_contents_and_says_the_namespace(
    project: Project, cluster: ControlPlane, namespace: str
) -> None:
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    content["contexts"].append(
        {"name": "other", "context": {**content["contexts"][0]["context"], "namespace": namespace}}
    )
    (project.directory / "beside.yaml").write_text(yaml.safe_dump(content))
    project.write("""
        import pulumi_kubernetes as k8s
        text = open("beside.yaml").read()
        for name, given in {
            "relative": {"kubeconfig": "beside.yaml", "context": "other"},
            "contents": {"kubeconfig": text, "context": "other"},
            "named": {"kubeconfig": text, "context": "other", "namespace": "default"},
        }.items():
            provider = k8s.Provider(f"p-{name}", **given)
            made = k8s.core.v1.ConfigMap(name, opts=pulumi.ResourceOptions(provider=provider))
            pulumi.export(name, made.metadata["namespace"])
        """)
    project.up()
    assert project.outputs() == {"relative": namespace, "contents": namespace, "named": "default"}


def test_another_cluster_replaces_the_provider_unless_it_is_called_the_same(
    project: Project, cluster: ControlPlane
) -> None:
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    same = yaml.safe_dump(content)
    content["users"][0]["user"]["note"] = "another user entry"
    renamed = yaml.safe_dump(content)
    content["clusters"][0]["cluster"]["server"] = "https://192.0.2.1:6443"
    moved = yaml.safe_dump(content)
    project.write("""
        import pulumi_kubernetes as k8s
        for name, given in args["providers"].items():
            k8s.Provider(name, **given)
        """)

    def providers(kubeconfig: str, identifier: str) -> dict[str, dict[str, str]]:
        return {
            "anonymous": {"kubeconfig": kubeconfig},
            "named": {"kubeconfig": kubeconfig, "cluster_identifier": "one"},
            "renamed": {"kubeconfig": kubeconfig, "cluster_identifier": identifier},
        }

    def operations(kubeconfig: str, identifier: str) -> dict[str, str]:
        planned = project.preview(providers=providers(kubeconfig, identifier))
        return {name: step.op for name, step in planned.items()}

    project.up(providers=providers(same, "one"))
    assert operations(renamed, "one") == dict.fromkeys(("anonymous", "named", "renamed"), "update")
    assert operations(moved, "two") == {"anonymous": "replace", "named": "update", "renamed": "replace"}


def test_kubeconfig_that_is_not_known_yet_is_no_error_at_preview(project: Project, cluster: ControlPlane) -> None:
    project.write("""
        import pulumi_kubernetes as k8s
        from pulumi_command import local
        made = local.Command("made", create=f"cat {args['kubeconfig']}")
        provider = k8s.Provider("provider", kubeconfig=made.stdout)
        k8s.core.v1.ConfigMap("map", opts=pulumi.ResourceOptions(provider=provider))
        """)
    planned = project.preview(kubeconfig=str(cluster.kubeconfig))
    assert {name: step.op for name, step in planned.items()} == dict.fromkeys(("made", "provider", "map"), "create")
    assert project.up(kubeconfig=str(cluster.kubeconfig)).summary == {"created": 4}


def test_cluster_that_does_not_answer(project: Project, cluster: ControlPlane) -> None:
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    server = content["clusters"][0]["cluster"]["server"]
    kubeconfig = project.directory / "kubeconfig"
    given = {"kubeconfig": "kubeconfig"}

    def point_to(address: str) -> None:
        content["clusters"][0]["cluster"]["server"] = address
        kubeconfig.write_text(yaml.safe_dump(content))

    project.write(MAP)
    with refusing_port() as port:
        nobody = f"https://127.0.0.1:{port}"
        point_to(nobody)
        assert project.preview(provider=given)["map"].op == "create"
        started = time.monotonic()
        run = project.up(provider=given, fails=True)
        assert "configured Kubernetes cluster is unreachable" in run.diagnostics
        assert time.monotonic() - started < 30
        point_to(server)
        project.up(provider=given)
        point_to(nobody)
        assert "PULUMI_K8S_DELETE_UNREACHABLE" in project.destroy(fails=True).text
        project.environment["PULUMI_K8S_DELETE_UNREACHABLE"] = "true"
        project.destroy()
        assert "map" not in project.resources()


def test_whoever_answers_without_tls_is_no_cluster(project: Project, cluster: ControlPlane) -> None:
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
        content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{other.server_port}"
        (project.directory / "kubeconfig").write_text(yaml.safe_dump(content))
        project.write(MAP)
        given = {"kubeconfig": "kubeconfig"}
        assert project.preview(provider=given)["map"].op == "create"
        assert "configured Kubernetes cluster is unreachable" in project.up(provider=given, fails=True).diagnostics
        other.shutdown()


def test_the_kubeconfigs_socks_proxy_is_used(project: Project, cluster: ControlPlane) -> None:
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    entry = content["clusters"][0]["cluster"]
    address = entry["server"].removeprefix("https://")
    with socks_proxy(int(address.rpartition(":")[2])) as proxy:
        entry["proxy-url"] = f"socks5://127.0.0.1:{proxy.port}"
        (project.directory / "kubeconfig").write_text(yaml.safe_dump(content))
        project.write(MAP)
        project.up(provider={"kubeconfig": "kubeconfig"})
        project.destroy()
    assert set(proxy.asked) == {address}


def test_a_credential_plugin_that_is_missing_is_named(project: Project, cluster: ControlPlane) -> None:
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "interactiveMode": "Never"}
    content["users"][0]["user"] = {"exec": plugin}
    (project.directory / "kubeconfig").write_text(yaml.safe_dump(content))
    project.write(MAP)
    run = project.up(provider={"kubeconfig": "kubeconfig"}, fails=True)
    assert "configured Kubernetes cluster is unreachable" in run.diagnostics
    assert "no-such-plugin" in run.diagnostics


def test_options_of_the_official_provider_are_tolerated(project: Project, cluster: ControlPlane) -> None:
    project.write(MAP)
    given = {
        "kubeconfig": str(cluster.kubeconfig),
        "enable_server_side_apply": True,
        "suppress_deprecation_warnings": True,
        "suppress_helm_hook_warnings": True,
        "enable_config_map_mutable": True,
        "kube_client_settings": {"burst": 50, "qps": 25},
    }
    project.up(provider=given)
    planned = project.preview(provider=given, a="2")
    assert (planned["map"].op, planned["map"].diff) == ("update", {"data.a": "update"})


def test_without_a_provider_of_its_own_a_program_uses_the_environment(
    project: Project, cluster: ControlPlane, namespace: str
) -> None:
    project.write(f"""
        import pulumi_kubernetes as k8s
        k8s.core.v1.ConfigMap("map", metadata={{"namespace": {namespace!r}}})
        """)
    project.environment["KUBECONFIG"] = str(cluster.kubeconfig)
    project.up()
    assert project.resources()["map"]["id"].startswith(f"{namespace}/")
