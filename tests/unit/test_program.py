"""The whole program under a fake engine: what it registers, in which order, and what a change would touch."""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.content_sync import ContentSync, PublishedContent
from components.gluster_mount import GlusterMount, MountedVolume
from components.php_controller import PhpController, ServingPods
from components.web_service import Endpoint, WebService
from tests.support.engine import PROGRAM, STDOUT, UNKNOWN, Preview, Registered, Run, run_main
from tests.support.stack import StackFiles, minion, private_key, three_minions

COMMAND = "command:remote:Command"
LOCAL = "command:local:Command"
LABEL = "kubernetes:core/v1:NodePatch"
CONTROLLER = "kubernetes:core/v1:ReplicationController"
SERVICE = "kubernetes:core/v1:Service"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def test_a_complete_stack_registers_each_step_once(preview: Preview) -> None:
    run = preview()

    assert sorted(resource.key for resource in run.resources) == sorted(
        [
            ("pulumi:providers:kubernetes", "cluster"),
            ("glusterfarm:index:GlusterMount", "mount"),
            *[(LOCAL, f"mount-minion-{number}-reach") for number in (1, 2, 3)],
            *[(COMMAND, f"mount-minion-{number}") for number in (1, 2, 3)],
            *[(LOCAL, f"mount-minion-{number}-drain") for number in (1, 2, 3)],
            *[(LABEL, f"mount-minion-{number}") for number in (1, 2, 3)],
            ("glusterfarm:index:SharedDirectories", "shared"),
            ("glusterfarm:index:ContentSync", "content"),
            (LOCAL, "content-removal"),
            (LOCAL, "content-intent"),
            (LOCAL, "content-publish"),
            ("glusterfarm:index:PhpController", "php"),
            ("kubernetes:core/v1:Namespace", "php-namespace"),
            ("kubernetes:core/v1:ConfigMap", "php-ini"),
            (POLICY, "php-network"),
            (CONTROLLER, "php"),
            (LOCAL, "php-gate"),
            ("glusterfarm:index:WebService", "web"),
            (SERVICE, "web"),
            (LOCAL, "web-smoke"),
        ]
    )


def test_every_resource_but_the_provider_is_a_component_or_the_child_of_one(preview: Preview) -> None:
    components = {"mount", "shared", "content", "php", "web"}
    for resource in preview().resources:
        if resource.type.startswith("glusterfarm:index:") or resource.name == "cluster":
            assert resource.parent == "dev" or resource.parent.endswith("-dev"), resource
        else:
            assert resource.parent in components, resource


def test_every_kubernetes_object_goes_through_the_explicit_provider(preview: Preview) -> None:
    for resource in preview().resources:
        if resource.type.startswith("kubernetes:"):
            assert resource.provider == "cluster", resource


def test_a_link_to_a_shared_directory_is_published_and_only_then_is_it_in_the_command(
    stack: StackFiles, preview: Preview
) -> None:
    stack.values["shared"] = [{"name": "uploads", "path": "/srv/uploads"}, {"name": "cache", "path": "/srv/cache"}]
    before = preview().one(LOCAL, "content-publish").inputs
    assert "--shared" not in before["create"]

    (stack.directory / "content" / "uploads").symlink_to("/srv/uploads")
    run = preview()
    publish = run.one(LOCAL, "content-publish").inputs
    assert publish["create"] == publish["update"]
    assert " --shared /srv/cache --shared /srv/uploads" in publish["create"]
    assert publish["stdin"].splitlines()[-1].startswith("link 12 ")


def test_everything_that_cannot_be_published_is_one_error(stack: StackFiles, preview: Preview) -> None:
    for name in ("one", "two"):
        (stack.directory / "content" / name).symlink_to("/usr/share/javascript")
    with pytest.raises(pulumi.RunError) as refused:
        preview()
    assert str(refused.value).startswith("glusterfarm:content.source: the content has 2 mistakes:\n  content/one: the ")
    assert "\n  content/two: the link to /usr/share/javascript is absolute" in str(refused.value)


def test_the_order_reaches_the_child_resources_that_prove_each_step(preview: Preview) -> None:
    run = preview()
    labels = {f"{LABEL} mount-minion-{number}" for number in (1, 2, 3)}
    for number in (1, 2, 3):
        label = run.one(LABEL, f"mount-minion-{number}")
        assert label.depends_on == {f"{LOCAL} mount-minion-{number}-drain"}
        drain = run.one(LOCAL, f"mount-minion-{number}-drain")
        assert drain.depends_on == {f"{COMMAND} mount-minion-{number}"}
        mount = run.one(COMMAND, f"mount-minion-{number}")
        assert mount.depends_on == {f"{LOCAL} mount-minion-{number}-reach"}, "which gives up in time"
    before = {*labels, f"{LOCAL} content-removal"}
    assert run.one(LOCAL, "content-removal").depends_on == labels
    assert run.one(LOCAL, "content-intent").depends_on == before
    assert run.one(LOCAL, "content-publish").depends_on == {*before, f"{LOCAL} content-intent"}
    controller = run.one(CONTROLLER, "php").depends_on
    ground = {"kubernetes:core/v1:ConfigMap php-ini", f"{POLICY} php-network"}
    assert controller == {f"{LOCAL} content-publish", *ground}
    assert run.one(LOCAL, "php-gate").depends_on == {f"{CONTROLLER} php", f"{LOCAL} content-publish"}
    assert run.one(SERVICE, "web").depends_on == {f"{CONTROLLER} php", f"{LOCAL} php-gate"}
    assert run.one(LOCAL, "web-smoke").depends_on >= {f"{SERVICE} web", f"{CONTROLLER} php"}


def test_the_service_selects_what_the_controllers_pods_carry(preview: Preview) -> None:
    run = preview()
    selector = run.one(SERVICE, "web").inputs["spec"]["selector"]
    controller = run.one(CONTROLLER, "php").inputs["spec"]
    pods = controller["template"]["metadata"]["labels"]

    assert selector
    assert selector.items() <= pods.items()
    assert controller["selector"] == pods, "a roll needs a selector that tells one template's pods from the next's"
    assert run.one(CONTROLLER, "php").replace_on_changes == ("spec.template", "spec.selector")


def test_pods_run_only_where_the_mount_was_proved(preview: Preview) -> None:
    run = preview()
    template = run.one(CONTROLLER, "php").inputs["spec"]["template"]["spec"]
    for number in (1, 2, 3):
        label = run.one(LABEL, f"mount-minion-{number}").inputs["metadata"]
        assert label["name"] == f"minion-{number}"
        assert template["nodeSelector"] == label["labels"] == {"glusterfarm/mounted.dev": "true"}


def test_pods_see_the_site_read_only_and_never_on_an_empty_directory(preview: Preview) -> None:
    pod = preview().one(CONTROLLER, "php").inputs["spec"]["template"]["spec"]
    (site,) = [volume for volume in pod["volumes"] if volume["name"] == "site"]
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}

    assert site["hostPath"] == {"path": "/mnt/glusterfs/php", "type": "Directory"}
    assert mounts["site"] == {"name": "site", "mountPath": "/var/www", "readOnly": True}
    assert container["livenessProbe"].keys().isdisjoint({"httpGet", "exec"}), "liveness must not touch the volume"
    assert container["readinessProbe"]["httpGet"]["path"] == "/glusterfarm-release"
    startup = container["startupProbe"]
    assert startup["httpGet"]["path"] == "/", "who cannot run the site gets no visitors"
    assert startup["failureThreshold"] * startup["periodSeconds"] >= 24 * 60 * 60, "and is not restarted for it"


def test_php_bounds_how_long_old_code_is_served(preview: Preview) -> None:
    run = preview()
    ini = run.one("kubernetes:core/v1:ConfigMap", "php-ini").inputs
    (container,) = run.one(CONTROLLER, "php").inputs["spec"]["template"]["spec"]["containers"]

    assert "realpath_cache_ttl = 2" in ini["data"]["glusterfarm.ini"]
    assert "opcache.revalidate_freq = 2" in ini["data"]["glusterfarm.ini"]
    scan = {entry["name"]: entry["value"] for entry in container["env"]}["PHP_INI_SCAN_DIR"]
    directory = scan.removeprefix(":")
    assert scan.startswith(":"), "the image's own ini directory must be read too"
    assert directory in {mount["mountPath"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize(
    "failing",
    [
        (LOCAL, "mount-minion-2-reach"),
        (COMMAND, "mount-minion-2"),
        (LOCAL, "mount-minion-2-drain"),
        (LABEL, "mount-minion-2"),
        (LOCAL, "content-removal"),
        (LOCAL, "content-intent"),
        (LOCAL, "content-publish"),
        ("kubernetes:core/v1:Namespace", "php-namespace"),
        ("kubernetes:core/v1:ConfigMap", "php-ini"),
        (POLICY, "php-network"),
        (CONTROLLER, "php"),
        (LOCAL, "php-gate"),
        (SERVICE, "web"),
        (LOCAL, "web-smoke"),
    ],
)
def test_whatever_fails_the_rest_is_still_told_to_the_engine(
    stack: StackFiles, monkeypatch: pytest.MonkeyPatch, failing: tuple[str, str]
) -> None:
    """The engine skips what depends on a failed resource, and would delete what it is no longer told of."""
    whole = run_main(stack.config(), monkeypatch=monkeypatch)
    run = run_main(stack.config(), failing=failing, monkeypatch=monkeypatch)

    assert {resource.key: resource.depends_on for resource in run.resources} == {
        resource.key: resource.depends_on for resource in whole.resources
    }
    is_gate = failing == (LOCAL, "php-gate")
    assert ("nothing at all was deleted" in run.error) is is_gate, "the engine skips it after any other before it"


def test_an_environment_value_arrives_as_it_was_written(stack: StackFiles, preview: Preview) -> None:
    stack.values["php"]["env"] = {"GREETING": "$(HOME) costs $5"}
    (container,) = preview().one(CONTROLLER, "php").inputs["spec"]["template"]["spec"]["containers"]

    assert {"name": "GREETING", "value": "$$(HOME) costs $$5"} in container["env"], "$$ is how Kubernetes writes $"


def unchanged(before: Run, after: Run) -> set[tuple[str, str]]:
    """Resources of ``before`` that ``after`` registers with the very same inputs."""
    inputs = {resource.key: resource.inputs for resource in after.resources}
    return {resource.key for resource in before.resources if inputs.get(resource.key) == resource.inputs}


def changed(before: Run, after: Run) -> set[str]:
    kept = unchanged(before, after)
    keys = {resource.key for run in (before, after) for resource in run.resources}
    return {f"{type_.rpartition(':')[2]} {name}" for type_, name in keys - kept}


def test_an_edited_file_touches_the_publish_and_the_checks_only(stack: StackFiles, preview: Preview) -> None:
    before = preview()
    stack.write("content/index.php", "<?php echo 'two';\n")
    after = preview()

    assert changed(before, after) == {
        "Command content-intent",
        "Command content-publish",
        "Command php-gate",
        "Command web-smoke",
    }
    assert before.exports["release"] != after.exports["release"]


def test_what_is_set_out_to_be_published_is_noted_before_and_changes_with_the_release_only(
    stack: StackFiles, preview: Preview
) -> None:
    before = preview()
    intent = before.one(LOCAL, "content-intent").inputs
    assert f"--release {before.exports['release']}" in intent["update"]
    assert "environment" not in intent, "it goes to no minion, and so has no key"
    stack.values["gluster"]["mountPath"] = "/mnt/elsewhere"
    stack.inventory([minion("minion-0", 30), *three_minions()])
    assert (LOCAL, "content-intent") in unchanged(before, preview())


def test_another_mark_of_the_intent_is_another_publish_and_an_unknown_one_touches_no_pod(
    preview: Preview, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a publish that failed: its intent is in the state, it is not, and the content is what it was before."""
    before = preview()
    for mark in ("another", UNKNOWN):
        monkeypatch.setitem(STDOUT, "content-intent", mark)
        assert changed(before, preview()) == {"Command content-publish"}


def test_an_added_minion_touches_itself_the_publish_and_the_checks_only(stack: StackFiles, preview: Preview) -> None:
    before = preview()
    stack.inventory([minion("minion-0", 30), *three_minions()])
    after = preview()

    assert changed(before, after) == {
        "Command mount-minion-0-reach",
        "Command mount-minion-0",
        "Command mount-minion-0-drain",
        "NodePatch mount-minion-0",
        "Command content-publish",
        "Command php-gate",
        "Command web-smoke",
    }


def test_a_removed_minion_is_drained_by_name_of_its_node_and_touches_no_other(
    stack: StackFiles, preview: Preview
) -> None:
    stack.inventory([minion("minion-0", 30, node="node-0.example"), *three_minions()])
    before = preview()
    stack.inventory(three_minions())
    after = preview()

    assert changed(before, after) == {
        "Command mount-minion-0-reach",
        "Command mount-minion-0",
        "Command mount-minion-0-drain",
        "NodePatch mount-minion-0",
        "Command content-publish",
        "Command php-gate",
        "Command web-smoke",
    }
    drain = before.one(LOCAL, "mount-minion-0-drain").inputs
    pods = before.one(CONTROLLER, "php").inputs["spec"]["template"]["metadata"]["labels"]
    words = drain["delete"].split()
    assert words[:3] == [".venv/bin/python", "-m", "drain"]
    assert words[words.index("--node") + 1] == "node-0.example"
    assert words[words.index("--namespace") + 1] == "glusterfarm"
    selector = dict(pair.split("=") for pair in words[words.index("--selector") + 1].split(","))
    assert selector == before.one(SERVICE, "web").inputs["spec"]["selector"]
    assert selector.items() <= pods.items()


def test_a_drain_costs_nothing_until_a_removal(preview: Preview) -> None:
    for resource in preview(sshPrivateKey=private_key()).of_type(LOCAL):
        if resource.name.endswith("-drain"):
            assert resource.inputs.keys() == {"delete", "addPreviousOutputInEnv"}, "no command to run, no key to keep"


def test_a_rotated_key_touches_commands_only(preview: Preview) -> None:
    before = preview(sshPrivateKey=private_key())
    after = preview(sshPrivateKey=private_key())

    assert {type_ for type_, _ in unchanged(before, after)} >= {CONTROLLER, SERVICE, LABEL}
    assert all(entry.startswith("Command ") for entry in changed(before, after))
    assert not [entry for entry in changed(before, after) if entry.endswith("-drain")]


def test_a_reordered_inventory_touches_nothing(stack: StackFiles, preview: Preview) -> None:
    before = preview()
    stack.inventory(three_minions()[::-1])

    assert changed(before, preview()) == set()


def test_a_recreated_machine_is_mounted_labelled_published_and_checked_again(
    stack: StackFiles, preview: Preview
) -> None:
    before = preview()
    stack.inventory([minion("minion-1", 31, generation="g2"), *three_minions()[1:]])

    assert changed(before, preview()) == {
        "Command mount-minion-1-reach",
        "Command mount-minion-1",
        "NodePatch mount-minion-1",
        "Command content-publish",
        "Command php-gate",
        "Command web-smoke",
    }


def test_a_scaled_farm_keeps_its_template(stack: StackFiles, preview: Preview) -> None:
    before = preview()
    stack.values["php"]["replicas"] = 5
    after = preview()

    for name in ("selector", "template"):
        assert before.one(CONTROLLER, "php").inputs["spec"][name] == after.one(CONTROLLER, "php").inputs["spec"][name]
    assert after.one(CONTROLLER, "php").inputs["spec"]["replicas"] == 5


def test_a_changed_image_is_another_controller_and_the_same_service(stack: StackFiles, preview: Preview) -> None:
    before = preview()
    stack.values["php"]["image"] = "glusterfarm.local/php:8.3"
    after = preview()

    assert (
        before.one(CONTROLLER, "php").inputs["spec"]["selector"]
        != after.one(CONTROLLER, "php").inputs["spec"]["selector"]
    )
    assert (SERVICE, "web") in unchanged(before, after)


def test_a_changed_mount_path_rolls_the_pods(stack: StackFiles, preview: Preview) -> None:
    before = preview()
    stack.values["gluster"]["mountPath"] = "/mnt/elsewhere"
    after = preview()

    template = after.one(CONTROLLER, "php").inputs["spec"]["template"]
    assert template["metadata"]["annotations"] == {"glusterfarm/volume": "MyVolume:/mnt/elsewhere"}
    assert (
        before.one(CONTROLLER, "php").inputs["spec"]["selector"]
        != after.one(CONTROLLER, "php").inputs["spec"]["selector"]
    )


@pytest.mark.parametrize(
    ("key", "value", "replaced"),
    [
        ("mountPath", "/mnt/elsewhere", True),
        ("volume", "Other", False),
        ("options", ["acl"], False),
        ("servers", ["gluster-9"], False),
    ],
)
def test_at_another_path_it_is_another_mount_and_all_else_is_a_change_of_the_one_there(
    stack: StackFiles, preview: Preview, key: str, value: object, replaced: bool
) -> None:
    """The engine makes the new one before, and deletes the old one after, everything that moves over."""
    before = preview()
    stack.values["gluster"][key] = value
    after = preview()

    for old in before.of_type(COMMAND):
        new = after.one(COMMAND, old.name)
        assert new.inputs["update"] != old.inputs["update"]
        assert (new.inputs["triggers"] != old.inputs["triggers"]) is replaced


@pytest.mark.parametrize(("key", "value"), [("mountPath", "/mnt/elsewhere"), ("volume", "Other")])
def test_to_another_place_the_site_is_published_and_the_pods_are_rolled(
    stack: StackFiles, preview: Preview, key: str, value: object
) -> None:
    before = preview()
    stack.values["gluster"][key] = value
    after = preview()

    assert {"Command content-publish", "ReplicationController php"} <= changed(before, after)
    assert (SERVICE, "web") in unchanged(before, after)


def test_mounts_ask_different_servers_first_and_back_up_with_the_others(preview: Preview) -> None:
    run = preview()
    for resource in run.of_type(COMMAND):
        words = resource.inputs["create"].split()
        primary, backups = words[words.index("mount") + 2 : words.index("mount") + 4]
        assert sorted([primary, *backups.split(":")]) == ["gluster-1", "gluster-2", "gluster-3"]


def test_every_minion_is_reached_with_its_pinned_key_and_in_bounded_time(preview: Preview) -> None:
    for number, resource in enumerate(sorted(preview().of_type(COMMAND), key=lambda one: one.name), start=1):
        connection = resource.inputs["connection"]
        assert connection["host"] == f"192.0.2.{30 + number}"
        assert connection["hostKey"] == minion(f"minion-{number}", 0)["hostKey"]
        assert (1 + connection["dialErrorLimit"]) * connection["perDialTimeout"] <= 30
        assert "privateKey" not in connection, "without a configured key the ssh-agent's is used and is in no state"


def test_a_minion_behind_a_bastion_is_reached_through_it(stack: StackFiles, preview: Preview) -> None:
    bastion = {"host": "192.0.2.250", "user": "jump", "hostKey": minion("bastion", 0)["hostKey"]}
    stack.inventory([minion("minion-1", 31, bastion=bastion)])
    run = preview()
    (mount,) = run.of_type(COMMAND)

    proxy = mount.inputs["connection"]["proxy"]
    assert (proxy["host"], proxy["user"], proxy["hostKey"]) == ("192.0.2.250", "jump", bastion["hostKey"])
    assert '"bastion":{"host":"192.0.2.250"' in run.one(LOCAL, "mount-minion-1-reach").inputs["create"]


def test_a_minion_is_looked_at_whenever_its_mount_is_run(stack: StackFiles, preview: Preview) -> None:
    def runs() -> set[str]:
        stack.inventory([minion("minion-1", host, generation=generation), minion("minion-2", 32)])
        return changed(before, preview()) & {"Command mount-minion-1", "Command mount-minion-1-reach"}

    host, generation = 31, "g1"
    stack.inventory([minion("minion-1", host, generation=generation), minion("minion-2", 32)])
    before = preview()
    both = {"Command mount-minion-1", "Command mount-minion-1-reach"}
    assert runs() == set()
    host = 33
    assert runs() == both
    host, generation = 31, "g2"
    assert runs() == both
    stack.values["gluster"]["options"], generation = ["acl"], "g1"
    assert runs() == both
    delete = before.one(LOCAL, "mount-minion-1-drain").inputs["delete"]
    words = shlex.split(delete)
    assert json.loads(words[words.index("--minion") + 1])["host"] == "192.0.2.31"


def test_a_minion_behind_a_bastion_is_looked_at_with_the_key(stack: StackFiles, preview: Preview) -> None:
    bastion = {"host": "192.0.2.250", "user": "jump", "hostKey": minion("bastion", 0)["hostKey"]}
    stack.inventory([minion("minion-1", 31, bastion=bastion)])
    key = private_key()
    run = preview(sshPrivateKey=key)

    for name in ("mount-minion-1-reach", "mount-minion-1-drain"):
        assert _secret(run.one(LOCAL, name), key)


def test_a_minion_that_is_down_is_not_looked_at_be_the_look_a_new_one(stack: StackFiles, preview: Preview) -> None:
    stack.inventory([minion("minion-1", 31, state="down"), minion("minion-2", 32)])
    reach = preview(sshPrivateKey=private_key()).one(LOCAL, "mount-minion-1-reach")

    assert not {"create", "update", "environment"} & {*reach.inputs}
    assert {*reach.request.ignoreChanges} == {"create", "update", "environment"}, "what an earlier one had stays"


def test_a_minion_that_is_down_is_left_as_it_is(stack: StackFiles, preview: Preview) -> None:
    stack.inventory([minion("minion-1", 31, state="down"), minion("minion-2", 32)])
    first, second = sorted(preview().of_type(COMMAND), key=lambda one: one.name)

    assert set(first.request.ignoreChanges) == {"connection", "create", "update", "delete", "stdin", "triggers"}
    assert not second.request.ignoreChanges


def test_root_needs_no_sudo(stack: StackFiles, preview: Preview) -> None:
    stack.inventory([minion("minion-1", 31, user="root"), minion("minion-2", 32)])
    first, second = sorted(preview().of_type(COMMAND), key=lambda one: one.name)

    assert first.inputs["create"].startswith("sh -c ")
    assert second.inputs["create"].startswith("sudo -n sh -c ")
    assert second.inputs["delete"].startswith("sudo -n sh -s -- unmount ")


def test_content_outlives_the_stack_unless_asked_otherwise(stack: StackFiles, preview: Preview) -> None:
    kept = preview()
    stack.values["content"]["deleteOnDestroy"] = True
    removed = preview()

    assert "delete" not in kept.one(LOCAL, "content-removal").inputs
    assert f"--release {removed.exports['release']}" in removed.one(LOCAL, "content-removal").inputs["delete"]
    for run in (kept, removed):
        assert "delete" not in run.one(LOCAL, "content-publish").inputs, "replacing it must not take the site away"
        assert f"{LOCAL} content-removal" in run.one(LOCAL, "content-publish").depends_on, "it goes after the pods"


def test_who_must_verify_is_told_to_the_publish_and_asks_nothing_of_a_preview(
    stack: StackFiles, preview: Preview
) -> None:
    everyone = preview().one(LOCAL, "content-publish").inputs["create"]
    stack.values["content"] |= {"verifySample": 2, "maxUnreachable": 1}
    some = preview().one(LOCAL, "content-publish").inputs["update"]

    assert " --kubeconfig kubeconfig --namespace glusterfarm --source content" in everyone
    assert " --verify-sample 2 --max-unreachable 1 --source content" in some


def test_the_plan_names_each_file(stack: StackFiles, preview: Preview) -> None:
    plan = preview().one(LOCAL, "content-publish").inputs["stdin"]

    assert [line.split(" ")[-1] for line in plan.splitlines()] == ["assets/site.css", "index.php"]


def test_the_plan_of_a_large_site_names_each_directory(stack: StackFiles, preview: Preview) -> None:
    for number in range(2000):
        stack.write(f"content/many/{number}.html", "")
    before = preview().one(LOCAL, "content-publish").inputs["stdin"].splitlines()
    stack.write("content/many/7.html", "changed")
    after = preview().one(LOCAL, "content-publish").inputs["stdin"].splitlines()

    assert [line.split(" ")[-1] for line in before] == ["./", "assets/", "many/"]
    assert {line.split(" ")[-1] for line in set(before) ^ set(after)} == {"many/"}


def test_content_that_is_written_again_as_it_was_has_nobody_asked_for_anything(
    stack: StackFiles, preview: Preview
) -> None:
    before = preview()
    shutil.rmtree(stack.directory / "content")
    stack.write("content/assets/site.css", "body {}\n")
    stack.write("content/index.php", "<?php echo 'one';\n")
    os.utime(stack.directory / "content" / "index.php", (1, 1))
    (stack.directory / "content" / "index.php").chmod(0o600)

    assert changed(before, preview()) == set(), "a command with the same words and input is not run again"


def test_what_is_ignored_changes_nothing(stack: StackFiles, preview: Preview) -> None:
    before = preview()
    stack.write("content/.publishignore", "*.log\n")
    stack.write("content/debug.log", "noise")
    stack.write("content/.git/HEAD", "ref: refs/heads/main")

    assert changed(before, preview()) == set()


def test_a_rule_that_is_none_is_one_clear_error(stack: StackFiles, preview: Preview) -> None:
    stack.write("content/.publishignore", "*.log\n[abc\n")

    with pytest.raises(
        pulumi.RunError, match=r"glusterfarm:content\.source: content/\.publishignore: line 2 \(\[abc\)"
    ):
        preview()


def test_names_that_differ_only_in_case_are_a_warning(
    stack: StackFiles, preview: Preview, caplog: pytest.LogCaptureFixture
) -> None:
    preview()
    assert not caplog.records
    stack.write("content/Index.php", "")
    for number in range(11):
        stack.write(f"content/a{number}", "")
        stack.write(f"content/A{number}", "")
    run = preview()

    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "names differ only in case: A0 and a0, A1 and a1, A10 and a10" in warning
    assert "and 2 more. They are published, but a checkout on macOS or Windows has room for one" in warning
    assert "Index.php" in run.one(LOCAL, "content-publish").inputs["stdin"]


def test_exports(preview: Preview) -> None:
    exports = preview().exports

    assert exports["minions"] == ["minion-1", "minion-2", "minion-3"]
    assert exports["url"] == "http://192.0.2.31:30080/"
    assert exports["clusterIp"] == "10.0.0.10"
    assert exports["servedBy"] == {"php-0a1b2c3d-x": 11, "php-0a1b2c3d-y": 9}


@pytest.mark.parametrize(
    ("service", "url"),
    [
        ({"type": "ClusterIP", "port": 8080}, "http://10.0.0.10:8080/"),
        ({"type": "LoadBalancer", "port": 80}, "http://192.0.2.7/"),
    ],
)
def test_the_url_follows_the_services_type(
    stack: StackFiles, preview: Preview, service: dict[str, Any], url: str
) -> None:
    stack.values["service"] = service

    assert preview().exports["url"] == url


def test_no_secret_is_registered_in_plain(preview: Preview) -> None:
    key = private_key()
    run = preview(sshPrivateKey=key)

    for resource in run.of_type(LOCAL) + run.of_type(COMMAND):
        for name in ("create", "update", "delete", "stdin"):
            assert key.splitlines()[2] not in str(resource.inputs.get(name, ""))
        if not {"create", "delete"} & {*resource.inputs} or resource.name.endswith(("-drain", "-intent")):
            continue  # goes to no minion, and so has no key
        assert _secret(resource, key), f"{resource.name} does not carry the key as a secret"


def _secret(resource: Registered, key: str) -> bool:
    """Whether the request carries ``key`` inside a value that is marked secret."""
    mark = "4dabf18193072939515e22adb298388d"  # protocol: the signature of special values
    holder = "environment" if resource.type == LOCAL else "connection"
    value = resource.request.object.fields[holder]
    return mark in str(value) and key.splitlines()[2] in str(value)


@pytest.mark.parametrize("value", [MountedVolume, PublishedContent, ServingPods, Endpoint])
def test_values_are_frozen_and_keyword_only(value: type) -> None:
    assert is_dataclass(value)
    assert value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert all(field.kw_only for field in fields(value))


@pytest.mark.parametrize("component", [GlusterMount, ContentSync, PhpController, WebService])
def test_components_are_named_after_their_class_and_take_keywords(component: type, preview: Preview) -> None:
    assert any(resource.type == f"glusterfarm:index:{component.__name__}" for resource in preview().resources)
    code = component.__init__.__code__  # type: ignore[misc]
    assert code.co_varnames[: code.co_argcount] == ("self", "name")
    assert issubclass(component, pulumi.ComponentResource)
    assert set(component.__annotations__) & {"mounted", "published", "serving", "endpoint"}


def test_main_only_wires() -> None:
    source = Path(PROGRAM).read_text()

    assert len(source.splitlines()) < 40
    forbidden = (ast.For, ast.While, ast.If, ast.IfExp, ast.FunctionDef, ast.Try)
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, forbidden)]


def test_what_nobody_gets_back_is_protected_in_production_only(stack: StackFiles, preview: Preview) -> None:
    assert not [resource.key for resource in preview().resources if resource.request.protect]
    stack.values["environment"] = "prod"
    stack.values["php"]["image"] = "glusterfarm.local/php@sha256:" + "0" * 64
    stack.values["shared"] = [
        {"name": "uploads", "path": "/srv/uploads", "deleteOnDestroy": True},
        {"name": "kept", "path": "/srv/kept"},
    ]
    protected = {resource.key for resource in preview().resources if resource.request.protect}
    assert protected == {
        ("kubernetes:core/v1:Namespace", "php-namespace"),
        (SERVICE, "web"),
        ("command:local:Command", "content-removal"),
        ("command:local:Command", "shared-uploads-removal"),
    }
