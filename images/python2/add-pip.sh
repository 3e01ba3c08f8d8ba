#!/bin/sh
# Inside the image: pip for Python 2. Debian 11 has it as a wheel only, the last version that knows Python 2; its libraries stay beside it.
# That of the release (packages says so): the security update of December 2023 is in words that Python 2 does not know.
set -eu
for wheel in /usr/share/python-wheels/pip-*.whl; do
  python2 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall("/usr/lib/python2.7/dist-packages")' "$wheel"
done
for name in pip pip2; do
  printf '#!/bin/sh\nexec python2 -m pip "$@"\n' >"/usr/local/bin/$name"
  chmod 0755 "/usr/local/bin/$name"
done
# Its modules are read when a command needs them: the version alone would not tell that they can be.
python2 -m pip install --help >/dev/null
