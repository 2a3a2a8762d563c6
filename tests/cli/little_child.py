"""A child for tests of the supervisor: answers its own process id on the inherited socket, behaving as its first argument says."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

behaviour, descriptor, note, ready = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[5])
if behaviour == "startup-error":
    sys.stderr.write("looking around" + "\n")
    sys.stderr.write("the database is newer than this program; install a newer Tilth" + "\n")
    sys.exit(3)
if behaviour == "crash":
    sys.stderr.write("no luck today" + "\n")
    sys.exit(7)
with note.open("a") as starts:
    starts.write("x")
start = note.stat().st_size
if behaviour == "lucky-in-the-end" and 1 < start < 6:
    sys.exit(7)
if behaviour == "dozing-later" and start > 1:
    time.sleep(600)
if behaviour == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if behaviour == "parent":
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note.write_text(str(grandchild.pid))
listening = socket.socket(fileno=descriptor)
listening.listen()
os.write(ready, b"1")
while True:
    connection, _ = listening.accept()
    with connection:
        connection.sendall(f"{os.getpid()}\n".encode())
