"""The two checks that make `up` fail when the farm does not serve: the gate and the smoke check."""
