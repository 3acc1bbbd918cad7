#!/bin/sh
# unpack.sh ROOT PACKAGE...: unpacks Debian packages into a root where nothing is installed, and does there what the
# packages' own scripts would do for the files of a site. mmdebstrap runs it, with an apt that knows the archive.
set -eu

main() {
	root=$1
	shift
	debs=$root/debs

	mkdir "$debs"
	chmod 777 "$debs" # apt downloads as a user without rights
	(cd "$debs" && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq download "$@")
	for package; do
		# As dpkg does: a package's link does not replace the directory of a package that was there before.
		dpkg-deb --fsys-tarfile "$debs/${package}"_*.deb | tar -C "$root" -x --skip-old-files
	done
	rm -r "$debs"

	cp "$root/usr/share/dokuwiki/.htaccess.dist" "$root/etc/dokuwiki/htaccess"
	# Who may log in is not in the package, and is no content.
	rm "$root/etc/dokuwiki/acl.auth.php" "$root/etc/dokuwiki/users.auth.php"
	mkdir -p "$root/etc/ssl/certs"
	cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
}

main "$@" </dev/null
