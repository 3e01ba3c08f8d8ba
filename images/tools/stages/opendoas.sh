# shellcheck shell=bash
# doas, static: becomes root by rule alone. It is copied out of the image and made setuid by the agent, `prepare`.

build_opendoas() {
  local out=$1 dir=$WORK/opendoas
  need byacc byacc
  musl_toolchain "$WORK/toolchain"
  dpkg-source --extract "$SOURCE_DSC" "$dir" >"$WORK/opendoas.log" 2>&1 || die "$(tail -5 "$WORK/opendoas.log")"
  (
    cd "$dir"
    # OpenDoas insists on one way to ask for a password. Ours always fails: only `nopass` rules work.
    "$MUSL_CC" -Os -c -o crypt.o "$STAGES/no-crypt.c"
    ar rcs libcrypt.a crypt.o
    CC=$MUSL_CC ./configure --prefix=/usr/local --sysconfdir=/etc --enable-static --without-pam \
      --with-shadow --without-timestamp
    make YACC=byacc CC="$MUSL_CC" CFLAGS=-Os LDFLAGS=-L. doas
  ) >"$WORK/opendoas.log" 2>&1 || die "OpenDoas did not build:
$(tail -30 "$WORK/opendoas.log")"
  mkdir "$out/bin"
  strip -o "$out/bin/doas" "$dir/doas"
}
