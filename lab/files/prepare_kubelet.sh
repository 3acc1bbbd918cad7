#!/bin/sh
# Runs in a minion before its kubelet starts.
set -eu

# systemd-nspawn mounts the cgroup v1 controllers read-only, and the kubelet makes its pods' groups in them.
# On cgroup v2 the machine's part of the tree is its own and writable: there is nothing to do.
for controller in /sys/fs/cgroup/*/; do
	if [ -e "$controller/cgroup.clone_children" ]; then
		mount -o remount,bind,rw "$controller"
	fi
done

# The kubelet insists on these values, but they are the whole host's and none of a machine's business:
# where the host has others, the kubelet is shown a file with what it wants to see.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
	kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
	name=${setting%=*} value=${setting#*=}
	if [ "$(cat "/proc/sys/$name")" != "$value" ]; then
		mkdir -p "/run/lab/sysctl/${name%/*}"
		echo "$value" >"/run/lab/sysctl/$name"
		mount --bind "/run/lab/sysctl/$name" "/proc/sys/$name"
	fi
done

# These are the machine's own. Pods behind one bridge reach each other through services only when bridged packets
# pass iptables; a kernel without bridge netfilter has no such switch.
echo 1 >/proc/sys/net/ipv4/ip_forward
if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then
	echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
fi
