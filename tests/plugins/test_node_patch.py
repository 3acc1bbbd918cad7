"""kubernetes: NodePatch contributes fields to a node that somebody else owns, and takes exactly those away again."""

from __future__ import annotations

from tests.plugins.control_plane import ControlPlane, exists
from tests.plugins.harness import Project
from tests.plugins.programs import program


def node(cluster: ControlPlane, name: str, **labels: str) -> None:
    """Makes a node with a label of its owner's."""
    cluster.api.create_node({"metadata": {"name": name, "labels": {"owner": "theirs", **labels}}})


PROGRAM = """
    force = {"annotations": {"pulumi.com/patchForce": "true"}} if args.get("force") else {}
    for name, (node, labels) in args["patches"].items():
        core.NodePatch(name, metadata={"name": node, "labels": labels, **force}, opts=inside())
    """


def test_labels_come_change_and_go_and_nothing_else(project: Project, cluster: ControlPlane) -> None:
    def labels(name: str) -> dict[str, str]:
        found: dict[str, str] = cluster.api.read_node(name).metadata.labels
        return found

    for name in ("patched", "doomed"):
        node(cluster, name)
    program(project, cluster, "", PROGRAM)
    doomed = {"doomed": ("doomed", {"farm/c": "1"})}
    first = {"one": ("patched", {"farm/a": "1"}), "two": ("patched", {"farm/b": "1"}), **doomed}
    project.up(patches=first)
    assert labels("patched") == {"owner": "theirs", "farm/a": "1", "farm/b": "1"}

    then = {"one": ("patched", {"farm/a": "2"}), **doomed}
    planned = project.preview(patches=then)
    assert (planned["one"].op, planned["one"].diff) == ("update", {"metadata.labels.farm/a": "update"})
    project.up(patches=then)
    assert labels("patched") == {"owner": "theirs", "farm/a": "2"}

    cluster.api.patch_node("patched", {"metadata": {"labels": {"farm/a": None}}})
    cluster.api.delete_node("doomed")
    project.up("--refresh", patches={"one": then["one"]})
    assert labels("patched") == {"owner": "theirs", "farm/a": "2"}
    assert "doomed" not in project.resources()
    project.destroy()
    assert labels("patched") == {"owner": "theirs"}
    assert not exists(cluster.api.read_node, "doomed")


WITH_ANOTHER = """
    from pulumi_command import local
    other = local.Command("other")
    for name, after in (("gone", None), ("spared", other)):
        opts = pulumi.ResourceOptions.merge(inside(), pulumi.ResourceOptions(deleted_with=after))
        core.NodePatch(name, metadata={"name": name, "labels": {"farm/a": "1"}}, opts=opts)
    """


def test_deleting_the_patch_of_a_node_that_is_gone_makes_an_empty_one_unless_it_goes_with_another(
    project: Project, cluster: ControlPlane
) -> None:
    """The second is how the program avoids it: something else takes the label off."""
    for name in ("gone", "spared"):
        node(cluster, name)
    program(project, cluster, "", WITH_ANOTHER)
    project.up()
    for name in ("gone", "spared"):
        cluster.api.delete_node(name)
    project.destroy()
    assert exists(cluster.api.read_node, "gone")
    assert not exists(cluster.api.read_node, "spared")


def test_conflict_names_the_other_manager_and_force_overrides(project: Project, cluster: ControlPlane) -> None:
    node(cluster, "contested")
    theirs = {"metadata": {"labels": {"farm/a": "theirs", "farm/b": "theirs"}}}
    cluster.api.patch_node("contested", theirs, field_manager="somebody-else")
    program(project, cluster, "", PROGRAM)
    patches = {"p": ("contested", {"farm/a": "ours", "farm/b": "ours"})}
    run = project.up(patches=patches, fails=True)
    assert "server-side apply field conflict detected" in run.diagnostics
    assert 'Apply failed with 2 conflicts: conflicts with "somebody-else" using v1:' in run.diagnostics
    lines = {line.strip() for line in run.text.splitlines()}
    assert {"- .metadata.labels.farm/a", "- .metadata.labels.farm/b"} <= lines, "each field is on a line of its own"
    assert cluster.api.read_node("contested").metadata.labels["farm/a"] == "theirs"
    project.up(patches=patches, force=True)
    assert cluster.api.read_node("contested").metadata.labels["farm/a"] == "ours"


def test_name_is_required(project: Project, cluster: ControlPlane) -> None:
    program(project, cluster, "", 'core.NodePatch("p", metadata={"labels": {"farm/a": "1"}}, opts=inside())\n')
    assert "require the `.metadata.name` field to be set" in project.up(fails=True).diagnostics
