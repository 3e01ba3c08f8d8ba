# shellcheck shell=sh
# C.UTF-8 is part of Debian's C library: umlauts work without the package locales.
export LANG="${LANG:-C.UTF-8}"
