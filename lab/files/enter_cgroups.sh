#!/bin/sh
# enter_cgroups.sh DIRECTORY... -- PROGRAM ARG...
# Puts itself into the control groups, then becomes the program: so the program has never been anywhere else.
set -eu
while [ "$1" != "--" ]; do
    echo "$$" >"$1/cgroup.procs"
    shift
done
shift
exec "$@"
