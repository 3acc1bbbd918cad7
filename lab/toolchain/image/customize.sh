#!/bin/sh
# customize.sh ROOT RECIPE: makes a root with apache2 and PHP into the PHP image.
# mmdebstrap runs it outside the root, when all packages are installed.
set -eu

main() {
	root=$1 recipe=$2

	cp "$recipe/apache.conf" "$root/etc/apache2/conf-available/glusterfarm.conf"
	chroot "$root" a2dismod -q -f status autoindex
	chroot "$root" a2enconf -q glusterfarm
	chroot "$root" a2disconf -q other-vhosts-access-log serve-cgi-bin localized-error-pages
	cp "$recipe/php.ini" "$root/etc/php/8.2/apache2/conf.d/90-glusterfarm.ini"
	install -m 755 "$recipe/entrypoint.sh" "$root/usr/local/bin/entrypoint"

	ln -sf /dev/stdout "$root/var/log/apache2/access.log"
	ln -sf /dev/stderr "$root/var/log/apache2/error.log"
	# The site comes with a volume; a default page would hide that it did not.
	rm -rf "$root/var/www/html"
	mkdir -p "$root/var/www/html"

	trim "$root"
}

# Nothing is ever installed in a container: what is needed only for that goes, and what only people read.
trim() {
	cd "$1"
	rm -rf usr/share/perl usr/share/perl5 usr/lib/*/perl usr/lib/*/perl5 usr/lib/*/perl-base usr/bin/perl*
	rm -rf usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian usr/share/i18n
	rm -rf usr/share/common-licenses usr/share/bash-completion usr/share/bug usr/share/icons
	rm -rf usr/lib/*/gconv usr/share/apache2/default-site usr/share/apache2/icons usr/include
	rm -rf usr/bin/php* usr/bin/phar* usr/lib/php/8.2/sapi usr/lib/*/libperl.so*
	rm -rf var/lib/dpkg var/lib/apt var/cache/* var/log/dpkg.log var/log/apt var/log/alternatives.log
	rm -rf etc/resolv.conf etc/hostname
}

main "$@" </dev/null
