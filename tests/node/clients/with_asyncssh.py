"""Logs in through the gateway with asyncssh: exit codes, signals both ways, many commands at once, a file there and back."""
import asyncio
import os
import sys
import warnings

# Debian's version names ciphers that Debian's cryptography dislikes.
warnings.simplefilter("ignore")
import asyncssh  # noqa: E402

host, port, user, key, known_hosts, folder = sys.argv[1:]


async def main():
    same = {"client_keys": [key], "known_hosts": known_hosts, "agent_path": None, "config": None}
    async with asyncssh.connect(host, int(port), username=user, **same) as gateway:
        async with asyncssh.connect("box", 22, username="dev", tunnel=gateway, **same) as box:
            done = await box.run("id -un; exit 42")
            print("user", done.stdout.strip(), "exit", done.exit_status)
            killed = await box.run("kill -TERM $$")
            print("ended by", killed.exit_signal[0] if killed.exit_signal else killed.exit_status)
            async with box.create_process("echo ready; exec sleep 600") as process:
                await process.stdout.readline()
                process.send_signal("TERM")
                ended = await process.wait()
            print("sent", ended.exit_signal[0] if ended.exit_signal else ended.exit_status)
            many = await asyncio.gather(*(box.run(f"echo {n}") for n in range(9)))
            print("many", [int(one.stdout) for one in many] == list(range(9)))
            here, back = os.path.join(folder, "asyncssh-up"), os.path.join(folder, "asyncssh-down")
            with open(here, "wb") as file:
                file.write(os.urandom(8 << 20))
            await asyncssh.scp(here, (box, "/tmp/by-asyncssh"))
            await asyncssh.scp((box, "/tmp/by-asyncssh"), back)
            with open(here, "rb") as up, open(back, "rb") as down:
                print("file", up.read() == down.read())


asyncio.run(asyncio.wait_for(main(), 240))
