"""What keeps a verb from saying anything at all."""


class OpsError(Exception):
    """The check was not possible. The text says what is wrong and what to do. Becomes exit status 2."""
