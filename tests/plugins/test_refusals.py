"""What the lab's own programs do not know they refuse by name, before anything happens."""

from __future__ import annotations

import sys

from tests.plugins.harness import Project


def test_unknown_resource_types(own: Project) -> None:
    own.write("""
        import pulumi_command, pulumi_kubernetes as k8s
        if args["which"] == "command":
            asset = pulumi.FileAsset("Pulumi.yaml")
            pulumi_command.remote.CopyToRemote("c", connection={"host": "192.0.2.1"}, source=asset, remote_path="/x")
        else:
            k8s.rbac.v1.Role("r", rules=[])
        """)
    assert (
        "unknown resource type command:remote:CopyToRemote: the lab's own provider knows "
        "command:local:Command, command:remote:Command"
    ) in own.preview_text(which="command")
    shown = own.preview_text(which="kubernetes")
    assert "unknown resource type kubernetes:rbac.authorization.k8s.io/v1:Role: the lab's own provider knows" in shown
    assert "kubernetes:core/v1:ReplicationController" in shown


RAW = """
    class Raw(pulumi.CustomResource):
        def __init__(self, kind, inputs):
            super().__init__(kind, "c", inputs, pulumi.ResourceOptions(version="1.2.1"))
    Raw(args["kind"], args["inputs"])
    """


def test_wrong_inputs_of_a_local_command_are_listed_all_at_once(own: Project) -> None:
    own.write(RAW)
    wrong = {"create": 7, "logging": "loud", "environment": {"A": 1}, "typo": "x", "assetPaths": ["*"]}
    shown = own.preview_text(kind="command:local:Command", inputs=wrong)
    assert "create must be a string, not 7" in shown
    assert "logging must be one of stdout, stderr, stdoutAndStderr, none, not 'loud'" in shown
    assert "environment must be a map of strings" in shown
    assert "typo: unknown input; known are" in shown
    assert "assetPaths: the lab's own provider collects no files" in shown


def test_wrong_inputs_of_a_connection_are_listed_all_at_once(own: Project) -> None:
    own.write(RAW)
    wrong = {"connection": {"port": "22", "hots": "x", "proxy": {}}}
    shown = own.preview_text(kind="command:remote:Command", inputs=wrong)
    assert "connection.host is required" in shown
    assert "connection.port must be a whole number, not '22'" in shown
    assert "connection.hots: unknown input" in shown
    assert "connection.proxy.host is required" in shown


def test_functions_are_refused(own: Project) -> None:
    own.write("""
        pulumi.runtime.invoke("command:local:walk", {"command": "true"})
        """)
    assert "unknown function command:local:walk" in own.preview_text()


def test_condition_that_cannot_be_read_is_found_before_anything_is_created(own: Project) -> None:
    own.write("""
        import pulumi_kubernetes as k8s
        k8s.core.v1.ConfigMap("map", metadata={"annotations": {"pulumi.com/waitFor": "status.phase=Running"}})
        """)
    own.environment["KUBECONFIG"] = "/nowhere"
    shown = own.preview_text()
    assert """pulumi.com/waitFor: expected a "jsonpath=" or "condition=" prefix, got 'status.phase=Running'""" in shown


def test_missing_virtual_environment_is_named(own: Project) -> None:
    """The official language host makes one, and downloads into it."""
    own.write("")
    pulumi_yaml = own.directory / "Pulumi.yaml"
    pulumi_yaml.write_text(pulumi_yaml.read_text().replace(sys.prefix, "no-such-venv"))
    run = own.up(fails=True)
    assert "no-such-venv" in run.text
    assert "Traceback" not in run.text
