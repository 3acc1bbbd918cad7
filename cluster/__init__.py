"""What the program asks of Kubernetes itself, beside what the provider does for its resources."""

from typing import Final

#: How the warning begins by which a preview says that no dry run was possible. `ops preview` finds the warning by it.
NOT_COMPARED: Final = "not compared with the cluster: "
