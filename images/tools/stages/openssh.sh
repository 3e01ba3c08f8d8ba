# shellcheck shell=bash
# OpenSSH's server side, static: sshd, sshd-session, sshd-auth, sftp-server, ssh-keygen. The client of the same version is made
# beside it for measurements, and is in no image.
# No PAM, no shadow: the account is checked by key, or by the hash in /etc/passwd where the platform allows passwords.

build_openssh() {
  local out=$1 openssl=$2 crypt=$3 dir=$WORK/openssh
  musl_toolchain "$WORK/toolchain"
  dpkg-source --extract "$SOURCE_DSC" "$dir" >"$WORK/openssh.log" 2>&1 || die "$(tail -5 "$WORK/openssh.log")"
  (
    cd "$dir"
    # Debian's patches touch configure.ac; the shipped configure is right for them (nothing of autoconf is
    # used), so make must not think it is outdated.
    touch -d @1 configure.ac m4/*.m4
    touch -d @2 aclocal.m4
    touch configure config.h.in
    "$MUSL_CC" -Os -I"$openssl/include" -c -o sha512-crypt.o "$crypt"
    ar rcs libcrypt.a sha512-crypt.o
    # The library needs libcrypto, which configure adds too late for its own test but early enough for the programs.
    ac_cv_lib_crypt_crypt=yes ac_cv_func_crypt=yes LDFLAGS="-L$dir" \
    CC=$MUSL_CC CFLAGS="-Os -fno-strict-aliasing" ./configure --host=x86_64-linux-musl \
      --prefix=/opt/devserver --sysconfdir=/etc/devserver/ssh --libexecdir=/opt/devserver/libexec \
      --with-ssl-dir="$openssl" --without-zlib --without-pam --without-selinux --without-kerberos5 \
      --without-libedit --without-shadow --without-pie --without-hardening \
      --disable-utmp --disable-utmpx --disable-wtmp --disable-wtmpx --disable-lastlog \
      --disable-pkcs11 --disable-security-key --with-privsep-path=/run/devserver/empty \
      --with-privsep-user=sshd --with-pid-dir=/run/devserver --with-sandbox=seccomp_filter \
      --with-default-path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    make -j2 sshd sshd-session sshd-auth sftp-server ssh-keygen ssh
  ) >"$WORK/openssh.log" 2>&1 || die "OpenSSH did not build:
$(tail -30 "$WORK/openssh.log")"
  local program root=$out/root
  mkdir -p "$root/bin" "$root/sbin" "$root/libexec" "$out/client"
  strip -o "$root/bin/ssh-keygen" "$dir/ssh-keygen"
  strip -o "$root/sbin/sshd" "$dir/sshd"
  for program in sshd-session sshd-auth sftp-server; do
    strip -o "$root/libexec/$program" "$dir/$program"
  done
  strip -o "$out/client/ssh" "$dir/ssh"
}
