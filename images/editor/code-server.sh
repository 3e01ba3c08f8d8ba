#!/bin/sh
# The command in the editor's terminals, for extensions: code-server --install-extension NAME.
exec /opt/devserver-editor/bin/node /opt/devserver-editor/code-server/out/node/entry.js "$@"
