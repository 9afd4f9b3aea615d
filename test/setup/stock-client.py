"""Runs the stock `openstack` client for the tests. Each command is a process of its own, forked from one that has imported what they
all import: most of a command's 0.8 s of CPU is Python reading the client's modules. Reads a JSON object a line:
{"id", "argv", "env", "cwd", "out", "err"}; answers {"id", "code"} when the command has ended."""
import importlib
import json
import os
import select
import signal
import sys
import traceback

MODULES = (
    'openstackclient.shell',
    'openstack.connection',
    'keystoneauth1.identity.v3',
    'osc_lib.clientmanager',
    'openstackclient.identity.client',
    'openstackclient.compute.client',
    'openstackclient.image.client',
    'openstackclient.network.client',
    'heatclient.osc.plugin',
    'heatclient.v1.client',
    'ironicclient.osc.plugin',
    'ironicclient.v1.client',
)
for name in MODULES:
    importlib.import_module(name)


def start(request):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for descriptor, path in ((1, request['out']), (2, request['err'])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(request['env'])
        os.chdir(request['cwd'])
        sys.argv = ['/usr/bin/openstack', *request['argv']]
        # All that /usr/bin/openstack does.
        code = importlib.import_module('openstackclient.shell').main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


running = {}
wake_read, wake_write = os.pipe()
os.set_blocking(wake_read, False)
os.set_blocking(wake_write, False)
signal.set_wakeup_fd(wake_write)
signal.signal(signal.SIGCHLD, lambda *_: None)
rest = b''
while True:
    ready, _, _ = select.select([0, wake_read], [], [])
    if wake_read in ready:
        os.read(wake_read, 4096)
        for pid in list(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                answer = {'id': running.pop(pid), 'code': os.waitstatus_to_exitcode(status)}
                os.write(1, (json.dumps(answer) + '\n').encode())
    if 0 in ready:
        piece = os.read(0, 65536)
        if not piece:
            break
        *lines, rest = (rest + piece).split(b'\n')
        for line in lines:
            request = json.loads(line)
            running[start(request)] = request['id']
