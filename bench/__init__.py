"""Side-by-side benchmarks: each runs a peer and ours in turn, and gives ratios with the raw figures."""
