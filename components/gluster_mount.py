"""Step 3 of the how-to: the volume mounted on every minion, and the label that says so on its node."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_command import local, remote
from pulumi_kubernetes.core.v1 import NodePatch
from pulumi_kubernetes.meta.v1 import ObjectMetaPatchArgs

from components import labels
from components.canary import Canary
from components.commands import kubeconfig_words
from components.failures import dependable
from components.farm import Farm
from components.remote_script import RemoteScript
from connectors.selection import entry_of
from settings import Gluster, Minion

#: A minion that the inventory calls down keeps the mount it has: nothing is asked of it until it is up again.
IGNORED_WHILE_DOWN = ["connection", "create", "update", "delete", "stdin", "triggers"]
_NOT_LOOKED_AT_WHILE_DOWN = ["create", "update", "environment"]
SCRIPT = RemoteScript(name="gluster_mount")


@dataclass(frozen=True, kw_only=True)
class MountedVolume:
    """A volume that is mounted at ``path`` on every one of the farm's minions.

    ``volume`` is the Gluster volume's name; ``placement`` is the node selector of the labels that the mounts proved;
    ``after`` are the resources that prove it: what uses the mount depends on them.
    """

    farm: Farm
    path: str
    volume: str
    placement: Mapping[str, str]
    after: tuple[pulumi.Resource, ...]


class GlusterMount(pulumi.ComponentResource):
    """Mounts the volume on each minion with one remote command, then labels the minion's node.

    Between the two stands the drain, which a removal runs the other way: label off, then the farm's pods on that node
    deleted and gone, then the volume unmounted. Before each mount and unmount a command of the deployer's sees that the
    minion answers: that is bounded, and the mount's own connection is not. Children are named after the minion, never
    its place in the inventory: removing one touches no other.
    """

    mounted: MountedVolume

    def __init__(self, name: str, *, farm: Farm, volume: Gluster, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("glusterfarm:index:GlusterMount", name, None, opts)
        self._canary = Canary(name)
        self.mounted = MountedVolume(
            farm=farm,
            path=volume.mount_path,
            volume=volume.volume,
            placement=labels.placement(farm.stack),
            after=tuple(self._labelled_mount(name, farm, volume, minion) for minion in farm.minions),
        )
        self.register_outputs({"path": volume.mount_path})

    def _labelled_mount(self, name: str, farm: Farm, volume: Gluster, minion: Minion) -> NodePatch:
        mount = self._mount(name, farm, volume, minion)
        return self._label(name, farm, minion, self._drain(name, farm, minion, mount))

    def _mount(self, name: str, farm: Farm, volume: Gluster, minion: Minion) -> remote.Command:
        sudo = minion.user != "root"
        # Which of them a machine asks first is the script's choice: two stacks may have two names for one machine.
        primary, *backups = volume.servers
        arguments = (
            farm.owner(minion),
            primary,
            ":".join(backups),
            volume.volume,
            volume.mount_path,
            ",".join(volume.options),
            minion.name,
            minion.generation,
        )
        unmount = SCRIPT.over_stdin(
            "unmount", farm.owner(minion), volume.volume, volume.mount_path, minion.name, sudo=sudo
        )
        mount = SCRIPT.resident("mount", *arguments, sudo=sudo)
        command = remote.Command(
            f"{name}-{minion.name}",
            connection=farm.connection(minion),
            # Resident: the minion keeps the script, whose `heal` a timer there runs.
            create=mount,
            update=SCRIPT.resident("update", *arguments, sudo=sudo),
            delete=unmount,
            stdin=SCRIPT.text,
            # At another path it is another mount: made before all that moves there; then the old one is taken away.
            triggers=[volume.mount_path],
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[self._reach(name, farm, minion, before=mount + SCRIPT.text)],
                ignore_changes=IGNORED_WHILE_DOWN if minion.state == "down" else [],
                hooks=self._canary.hooks(minion.name, is_new=minion.node not in farm.survey.mounted),
            ),
        )
        return dependable(command, self)

    def _reach(self, name: str, farm: Farm, minion: Minion, *, before: str) -> local.Command:
        """Reaches the minion, and verifies that it is its node's machine, before anything is changed there.

        It runs again for another ``before``, the text of what is run next, for another node and for another key. A
        minion that is down is not reached: whatever depends on the mount that is there goes on.
        """
        digest = hashlib.sha256(before.encode()).hexdigest()[:12]
        is_down = minion.state == "down"
        words = ("connectors.reach", "--minion", entry_of(minion), "--before", digest)
        return farm.deployer_command(
            f"{name}-{minion.name}-reach",
            # Nodes are not in a namespace, so another namespace must not make this run again.
            *(() if is_down else (*words, "--node", minion.node, *kubeconfig_words(farm))),
            ignore_changes=_NOT_LOOKED_AT_WHILE_DOWN if is_down else (),
            parent=self,
        )

    def _drain(self, name: str, farm: Farm, minion: Minion, mount: remote.Command) -> local.Command:
        selector = ",".join(f"{key}={value}" for key, value in labels.pods_selector(farm.stack).items())
        return farm.at_removal(
            f"{name}-{minion.name}-drain",
            *("drain", *farm.cluster_words(), "--node", minion.node, "--selector", selector),
            *(word for key in labels.on_node(farm.stack) for word in ("--unlabel", key)),
            *("--while", f"{labels.minion_annotation(farm.stack)}={minion.name}"),
            *("--minion", entry_of(minion)),
            over_ssh=minion.bastion is not None,
            parent=self,
            after=[mount],
        )

    def _label(self, name: str, farm: Farm, minion: Minion, drain: local.Command) -> NodePatch:
        label = NodePatch(
            f"{name}-{minion.name}",
            metadata=ObjectMetaPatchArgs(
                name=minion.node,
                labels=dict(labels.placement(farm.stack)),
                annotations={
                    labels.generation_annotation(farm.stack): minion.generation,
                    labels.minion_annotation(farm.stack): minion.name,
                    # Nobody else has a reason to write these two: what somebody changed by hand is taken back.
                    labels.FORCE_ANNOTATION: "true",
                },
            ),
            # At a removal the drain takes both off. Deleting the patch of a node that is gone would create the node.
            opts=pulumi.ResourceOptions(parent=self, provider=farm.cluster, depends_on=[drain], deleted_with=drain),
        )
        return dependable(label, self)
