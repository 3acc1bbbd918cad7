"""The provider `kubernetes`: the objects that the farm's program uses, applied by the server."""
