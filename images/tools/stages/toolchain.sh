# shellcheck shell=bash
# A C compiler for programs that must run in any image: musl, static and position independent.
# musl and not glibc: it reads /etc/passwd itself and loads no NSS module of a foreign image.
# Debian's musl-gcc cannot link static programs as PIE, hence our own specs file; without PIE a
# setuid program and a network daemon would sit at fixed addresses.

# musl_toolchain DIR: writes DIR/cc and DIR/kernel-headers; sets MUSL_CC.
musl_toolchain() {
  local dir=$1 header
  need gcc gcc
  [ -f /usr/lib/x86_64-linux-musl/rcrt1.o ] || die "musl is missing; install it with: apt-get install musl-dev"
  [ -d /usr/include/linux ] || die "kernel headers are missing; install them with: apt-get install linux-libc-dev"
  mkdir -p "$dir/kernel-headers"
  # Only the kernel's own headers: the rest of /usr/include belongs to glibc.
  for header in linux asm-generic x86_64-linux-gnu/asm; do
    ln -sfn "/usr/include/$header" "$dir/kernel-headers/$(basename $header)"
  done
  cat >"$dir/cc" <<EOF
#!/bin/sh
exec gcc "\$@" -fPIE -fstack-protector-strong -idirafter $dir/kernel-headers -specs $STAGES/static-pie.specs
EOF
  chmod 0755 "$dir/cc"
  # shellcheck disable=SC2034 # read by the recipes
  MUSL_CC=$dir/cc
}
