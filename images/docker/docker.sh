#!/bin/sh
# Docker's client for any image: Debian's, with the C library that it was linked to.
here=/opt/devserver-docker/client
exec "$here/lib/ld-linux-x86-64.so.2" --library-path "$here/lib" --argv0 docker "$here/libexec/docker" "$@"
