"""What is ssh where there is no sshd? This: `fake_ssh.py [OPTIONS] [USER@]HOST COMMAND...` for the hosts of a test.

As ssh does, it takes ssh's options, joins the words of the command with blanks, has the other side's shell run them in
the home folder of the user there, hands on standard input, output and error, and ends with the command's exit code, or
with 255 if there is no such host. If it is killed, the command goes on, and finds its standard input at an end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

WITH_VALUE = "BbcDEeFIiJLlmOopQRSWw"  # options of ssh that take a value
NO_CONNECTION = 255
KEPT = ("PATH", "PYTHONPATH", "LANG", "MAPREDUCE_TEST_NETWORK")
"""What a login there would set, and what finds the package and the hosts."""


def main(words: list[str]) -> int:
    while words and words[0].startswith("-"):
        option, *words = words
        if option == "--":
            break
        if option[-1] in WITH_VALUE and len(option) == 2:
            words = words[1:]
    if not words:
        print("usage: fake_ssh.py [OPTIONS] [USER@]HOST COMMAND...", file=sys.stderr)
        return NO_CONNECTION
    name = words[0].rpartition("@")[2]
    hosts = json.loads(Path(os.environ["MAPREDUCE_TEST_NETWORK"]).read_text())
    if name not in hosts:
        print(f"ssh: Could not resolve hostname {name}: Name or service not known", file=sys.stderr)
        return NO_CONNECTION
    home = hosts[name]["home"]
    environment = {key: os.environ[key] for key in KEPT if key in os.environ}
    environment |= {"HOME": home, "USER": "root", "LOGNAME": "root", "SHELL": "/bin/sh", "TMPDIR": f"{home}/../tmp"}
    command = [*hosts[name]["command"], "sh", "-c", 'cd "$HOME" && exec sh -c "$1"', "login", " ".join(words[1:])]
    remote = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)
    threading.Thread(target=hand_on_input, args=(remote,), daemon=True).start()
    code = remote.wait()
    return code if code >= 0 else NO_CONNECTION


def hand_on_input(remote: subprocess.Popen[bytes]) -> None:
    assert remote.stdin is not None
    try:
        while piece := os.read(0, 65536):
            os.write(remote.stdin.fileno(), piece)
        remote.stdin.close()
    except BrokenPipeError:  # it reads no more
        return


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # the thread may still wait for input
