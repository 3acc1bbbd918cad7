"""How a rule is kept beside the value it is about, checked, and traced back to what a user wrote.

The rules' own texts are in values.py and the sentences that are made of them in settings.py; all else is mechanics.
"""
