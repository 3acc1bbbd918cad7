#!/bin/sh
# gluster.sh ROOT UPPER WORK MERGED: fill UPPER with what installing glusterfs-server changes in ROOT.
# UPPER will be a lower layer later: no redirects and no metadata-only copies may be in it.
# Paths without colons and commas; in a mount namespace of its own, to whose end a failure leaves its mounts.
set -eu

main() {
	root=$1 upper=$2 work=$3 merged=$4

	mount -t overlay overlay \
		-o "lowerdir=$root,upperdir=$upper,workdir=$work,redirect_dir=off,metacopy=off,index=off" "$merged"
	mount -t proc proc "$merged/proc"
	mount --rbind /dev "$merged/dev"
	cp /etc/resolv.conf "$merged/etc/resolv.conf"
	# Debian starts what it installs, unless this says no.
	printf '#!/bin/sh\nexit 101\n' >"$merged/usr/sbin/policy-rc.d"
	chmod 755 "$merged/usr/sbin/policy-rc.d"

	DEBIAN_FRONTEND=noninteractive chroot "$merged" apt-get -q -y install glusterfs-server
	chroot "$merged" systemctl --quiet disable glusterd.service

	# The server's identity: made at its first start, one a machine.
	rm -f "$merged/var/lib/glusterd/glusterd.info"
	rm -f "$merged/etc/resolv.conf" "$merged/usr/sbin/policy-rc.d"
	umount --recursive "$merged"
	# After unmounting, so that only the new packages go and no whiteouts hide those of the root.
	rm -f "$upper"/var/cache/apt/archives/*.deb
}

main "$@" </dev/null
