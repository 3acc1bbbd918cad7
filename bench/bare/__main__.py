"""The least that a Pulumi program can do on each minion: connect and run `true`."""

import pulumi
from pulumi_command import remote

from settings import load_inventory

for minion in load_inventory(pulumi.Config().require("inventory")).minions:
    remote.Command(
        minion.name,
        connection=remote.ConnectionArgs(
            host=minion.host, port=minion.port, user=minion.user, host_key=minion.host_key
        ),
        create="true",
        add_previous_output_in_env=False,
    )
