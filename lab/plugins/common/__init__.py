"""What the provider programs share: property values, diffs, the gRPC servicer and the server around it."""
