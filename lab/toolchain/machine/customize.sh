#!/bin/sh
# customize.sh ROOT: the last touches to the machine root.
# mmdebstrap runs it outside the root, when all packages are installed and before it cleans up.
set -eu

main() {
	root=$1

	# Which machine runs which service is the lab's decision.
	chroot "$root" systemctl --quiet disable etcd.service containerd.service
	# Nothing may take dpkg's lock, or the two cores, on its own.
	chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
		e2scrub_all.timer fstrim.timer systemd-networkd-wait-online.service

	# Every machine has its own: the lab writes them.
	rm -f "$root"/etc/ssh/ssh_host_*
	: >"$root/etc/machine-id"
	printf '%s\n' '127.0.0.1 localhost' '::1 localhost ip6-localhost ip6-loopback' >"$root/etc/hosts"

	# glusterfs-client is not installed, but at hand: a minion's own `apt-get install` need not download it.
	chroot "$root" apt-get -q clean
	chroot "$root" apt-get -q -y --download-only install glusterfs-client

	# These are the building host's; mmdebstrap put them in.
	rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
}

main "$@" </dev/null
