"""The four steps of the farm, one component a file: each takes the previous one's typed value and gives one."""
