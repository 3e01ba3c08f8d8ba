"""Logs in through the gateway with paramiko: a command, its exit code, a file there and back."""
import hashlib
import io
import os
import sys

import paramiko

host, port, user, key, known_hosts = sys.argv[1:]


def client(name, name_port, login, sock=None):
    one = paramiko.SSHClient()
    one.load_host_keys(known_hosts)
    one.set_missing_host_key_policy(paramiko.RejectPolicy())
    one.connect(name, name_port, login, key_filename=key, sock=sock,
                allow_agent=False, look_for_keys=False, timeout=60)
    return one


gateway = client(host, int(port), user)
way = gateway.get_transport().open_channel("direct-tcpip", ("box", 22), ("127.0.0.1", 0))
box = client("box", 22, "dev", way)
_, out, _ = box.exec_command("id -un; exit 42")
print("user", out.read().decode().strip(), "exit", out.channel.recv_exit_status())
content = os.urandom(8 << 20)
files = box.open_sftp()
files.putfo(io.BytesIO(content), "/tmp/by-paramiko")
_, out, _ = box.exec_command("sha256sum </tmp/by-paramiko")
print("up", out.read().decode().split()[0] == hashlib.sha256(content).hexdigest())
back = io.BytesIO()
files.getfo("/tmp/by-paramiko", back)
print("down", back.getvalue() == content)
box.close()
gateway.close()
