"""What hooks share: the deployment on stdin, a program run with its words kept, outputs from files, the result on stdout."""
import json
import os
import shutil
import subprocess
import sys

root = os.environ.get('HEAT_CONFIG_ROOT', '')
# heat-agents keeps outputs below /run; Debian mounts that noexec, and scripts lie beside their outputs here.
work = os.environ.get('HEAT_CONFIG_WORK', root + '/var/lib/heat-config/work')


def deployment():
    return json.load(sys.stdin)


def answer(stdout='', stderr='', code=0, outputs=None):
    json.dump(dict(outputs or {}, deploy_stdout=stdout, deploy_stderr=stderr, deploy_status_code=code), sys.stdout)
    sys.exit(0)


def program(group, *names):
    """The first of these that is installed; without one the deployment fails, and says what to bring."""
    for name in names:
        if shutil.which(name):
            return name
    answer(stderr='Deployments of group "%s" need %s, which is not installed on this machine: put the package into the '
                  'image, or install it in a deployment before this one.' % (group, ' or '.join(names)), code=127)


def inputs(config):
    return {one['name']: one.get('value') for one in config.get('inputs') or []}


def text_of(value):
    return '' if value is None else value if isinstance(value, str) else json.dumps(value)


def config_of(config):
    """The configuration as a map; it may have come as JSON or YAML text. Anything else fails the deployment."""
    value = config.get('config')
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            try:
                import yaml
                value = yaml.safe_load(value)
            except (ImportError, ValueError) as error:
                answer(stderr='The configuration is neither JSON nor YAML: %s' % error, code=1)
            except yaml.YAMLError as error:
                answer(stderr='The configuration is neither JSON nor YAML: %s' % error, code=1)
    if value in (None, ''):
        return {}
    if not isinstance(value, dict):
        answer(stderr='The configuration has to be a map, not %s.' % type(value).__name__, code=1)
    return value


def write(path, text, mode=0o600):
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, mode), 'w') as out:
        out.write(text)
    os.chmod(path, mode)


def path_of(config):
    os.makedirs(work, 0o700, exist_ok=True)
    return os.path.join(work, os.path.basename(config['id']))


def run(command, environment=None):
    """Stdout, stderr, exit code; a program that cannot be started is a failed one."""
    try:
        done = subprocess.run(command, env=environment, cwd=work if os.path.isdir(work) else None, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except (OSError, ValueError) as error:
        return '', '%s could not be started: %s' % (command[0], error), 126
    return done.stdout.decode('utf-8', 'replace'), done.stderr.decode('utf-8', 'replace'), done.returncode


def outputs(config, path):
    """Files PATH.NAME that the configuration's program wrote, for the outputs that it declares."""
    found = {}
    for one in config.get('outputs') or []:
        name = one['name']
        try:
            with open('%s.%s' % (path, name), errors='replace') as out:
                found[name] = out.read()
        except (OSError, ValueError):
            pass
    return found
