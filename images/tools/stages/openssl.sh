# shellcheck shell=bash
# OpenSSL's libcrypto.a and headers, only what OpenSSH uses: no libssl, no programs, no providers
# from files, none of the old ciphers. Fewer algorithms, a third of the build time, less to attack.

build_openssl() {
  local out=$1 dir=$WORK/openssl
  need make make
  need perl perl
  musl_toolchain "$WORK/toolchain"
  dpkg-source --extract "$SOURCE_DSC" "$dir" >"$WORK/openssl.log" 2>&1 || die "$(tail -5 "$WORK/openssl.log")"
  (
    cd "$dir"
    CC=$MUSL_CC ./Configure linux-x86_64 --prefix=/openssl --libdir=lib -Os \
      no-shared no-dso no-engine no-module no-async no-tests no-docs no-apps no-legacy no-afalgeng \
      no-padlockeng no-secure-memory no-ssl-trace no-zlib no-comp no-sock no-dgram no-http no-ui-console \
      no-cmp no-cms no-ct no-ocsp no-ts no-srp no-srtp no-dtls no-quic no-rfc3779 no-gost \
      no-idea no-rc2 no-rc4 no-rc5 no-seed no-camellia no-aria no-bf no-cast no-md4 no-mdc2 no-rmd160 \
      no-whirlpool no-blake2 no-sm2 no-sm3 no-sm4 no-siphash no-siv no-ocb no-cmac no-ec2m \
      no-argon2 no-scrypt no-ml-kem no-ml-dsa no-slh-dsa
    make -j2 build_generated
    make -j2 libcrypto.a
  ) >"$WORK/openssl.log" 2>&1 || die "OpenSSL did not build:
$(tail -30 "$WORK/openssl.log")"
  mkdir "$out/lib"
  cp "$dir/libcrypto.a" "$out/lib/"
  cp -r "$dir/include" "$out/include"
}
