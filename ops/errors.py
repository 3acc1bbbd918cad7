"""What keeps a verb from saying anything at all."""


class OpsError(Exception):
    """Nothing could be looked at; the text is what is wrong and what to do. Becomes exit status 2."""
