"""How Python reaches the minions. Nothing else in the product opens an SSH connection from Python."""

#: Holds the text of an OpenSSH or PEM private key; unset, the ssh-agent is asked. Here and not in ``ssh``, because the
#: Pulumi program, which hands the key on, does without asyncssh.
KEY_VARIABLE = "GLUSTERFARM_SSH_PRIVATE_KEY"
