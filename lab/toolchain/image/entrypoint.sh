#!/bin/sh
# Runs Apache in the foreground as the container's first process, with the container's own environment:
# mod_php finds PHP_INI_SCAN_DIR there.
# No -u: Debian's envvars reads variables that are not set.
set -e

main() {
	# Debian's Apache wants its directories and user by these variables.
	# shellcheck source=/dev/null
	. /etc/apache2/envvars
	# They may be empty volumes over a read-only root.
	mkdir -p /run/lock "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR"
	# A pid file from a container that was killed would keep this one from starting.
	rm -f "$APACHE_PID_FILE"
	exec apache2 -D FOREGROUND "$@"
}

main "$@"
