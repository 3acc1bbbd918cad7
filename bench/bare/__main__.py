"""The least that a Pulumi program can do on each minion: connect, run `true` and, with a cluster, label its node."""

import pulumi
from pulumi_command import remote

from settings import load_inventory

config = pulumi.Config()
ran = {
    minion.node: remote.Command(
        minion.name,
        connection=remote.ConnectionArgs(
            host=minion.host, port=minion.port, user=minion.user, host_key=minion.host_key
        ),
        create="true",
        add_previous_output_in_env=False,
    )
    for minion in load_inventory(config.require("inventory")).minions
}

if kubeconfig := config.get("kubeconfig"):
    import pulumi_kubernetes  # whose second is not to be the bare commands'

    cluster = pulumi_kubernetes.Provider("cluster", kubeconfig=kubeconfig, enable_server_side_apply=True)
    for node, command in ran.items():
        pulumi_kubernetes.core.v1.NodePatch(
            f"{node}-label",
            metadata={"name": node, "labels": {"glusterfarm.bench/least": "true"}},
            opts=pulumi.ResourceOptions(provider=cluster, depends_on=[command]),
        )
