"""A command in a terminal of its own: `terminal.py COMMAND ARG...`.

Standard input is what is typed, standard output what the terminal shows. After the command's end one line goes to standard error:
`code CODE cooked|raw`, the exit code (128 + signal) and whether the terminal is as a shell wants it.
"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios

lead, follow = pty.openpty()
fcntl.ioctl(follow, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
before = termios.tcgetattr(follow)
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(follow, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(follow, fd)
    os.closerange(3, 256)
    os.execvp(sys.argv[1], sys.argv[1:])

# A signal for the command alone, as `kill -TERM` sends it.
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
    real = signal.SIGKILL if number == signal.SIGUSR2 else number
    signal.signal(number, lambda _number, _frame, real=real: os.kill(child, real))
signal.signal(
    signal.SIGUSR1,
    lambda _number, _frame: fcntl.ioctl(follow, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0)),
)

watched = [0, lead]
status = None
while status is None:
    ready, _, _ = select.select(watched, [], [], 0.05)
    if lead in ready:
        os.write(1, os.read(lead, 65536))
    if 0 in ready:
        typed = os.read(0, 65536)
        if typed:
            os.write(lead, typed)
        else:
            watched.remove(0)
    ended, code = os.waitpid(child, os.WNOHANG)
    if ended:
        status = code
while select.select([lead], [], [], 0.1)[0]:
    os.write(1, os.read(lead, 65536))
after = termios.tcgetattr(follow)
same = before[:4] == after[:4]
code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
sys.stderr.write(f"code {code} {'cooked' if same else 'raw'}\n")
