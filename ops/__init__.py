"""What an operator runs after the first day: ``python -m ops VERB``, one module a verb."""
