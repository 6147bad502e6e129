"""Private Dovecot and Cyrus servers, started on first use and shared by the session."""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import client

USERS = 400     # of a Dovecot, besides its own
SERVERS = pathlib.Path(__file__).parent.parent / 'servers'
FILL = pathlib.Path(__file__).parent.parent / 'bench' / 'fill.py'
PYTHON = '/usr/bin/python3' if os.path.exists('/usr/bin/python3') else sys.executable


def free_ports(count):
    """The first of `count` free ports in a row."""
    for first in range(20000 + os.getpid() % 8000, 60000, count):
        taken = []
        try:
            for port in range(first, first + count):
                taken.append(socket.create_server(('127.0.0.1', port)))
            return first
        except OSError:
            continue
        finally:
            for listener in taken:
                listener.close()
    raise AssertionError('no free ports')


def run(*command):
    result = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True)
    assert result.returncode == 0, f'{command}: {result.stdout}{result.stderr}'
    return result.stdout


class Account:
    def __init__(self, server, user, password):
        self.server = server
        self.user = user
        self.password = password

    def client(self):
        return client.Client(self.server.port, self.user, self.password)

    def url(self, host='localhost'):
        return f'imaps://{self.user}@{host}:{self.server.port + 1}'

    def plain_url(self, port=None):
        return f'imap://{self.user}@127.0.0.1:{port or self.server.port}'

    def fill(self, *folders, count=100, size=3000, options=()):
        run(PYTHON, FILL, '--count', str(count), '--size', str(size), *options,
            '127.0.0.1', str(self.server.port), self.user, self.password, *folders)


class Server:
    """One running server; `options` are those of its script."""

    def __init__(self, script, state, pki, options):
        self.script = SERVERS / script
        self.state = state
        self.pki = pki
        self.ca = pki / 'ca.pem'
        self.users = 0
        state.mkdir(mode=0o755)
        state.chmod(0o755)
        self.port = free_ports(3)
        self.settings = [f'{key}={value}' for key, value in options.items()]
        run(self.script, 'start', state, self.port, f'pki={pki}', *self.settings)

    def restart(self):
        """The same users and mail; whoever is connected is cut off."""
        users = (self.state / 'users').read_text() if (self.state / 'users').exists() else None
        run(self.script, 'stop', self.state)
        run(self.script, 'start', self.state, self.port, f'pki={self.pki}', *self.settings)
        if users is not None:           # the script writes its own
            (self.state / 'users').write_text(users)


class Dovecot(Server):
    name = 'dovecot'

    def __init__(self, state, pki, options):
        super().__init__('dovecot.sh', state, pki, options)
        # All at once: Dovecot looks at the file at most once a second.
        with open(state / 'users', 'a', encoding='utf-8') as users:
            for number in range(1, USERS + 1):
                users.write(f'u{number}:{{PLAIN}}pw-u{number}::::::\n')
        self.known = time.monotonic() + 1.2
        self.separator = options.get('sep', '/')
        self.prefix = options.get('prefix', '')

    def account(self, user, password=None):
        return Account(self, user, password or f'pw-{user}')

    def new_account(self):
        """A user whom no other test uses."""
        time.sleep(max(0, self.known - time.monotonic()))
        self.users += 1
        assert self.users <= USERS
        return Account(self, f'u{self.users}', f'pw-u{self.users}')

    def doveadm(self, *words):
        return run(self.script, 'adm', self.state, *words)


class Cyrus(Server):
    name = 'cyrus'
    prefix = ''
    separator = '/'

    def __init__(self, state, pki, options):
        super().__init__('cyrus.sh', state, pki, options)
        if options.get('hier') == 'net':
            self.separator = '.'
        if options.get('alt') == 'no':
            self.prefix = 'INBOX' + self.separator

    def new_account(self):
        self.users += 1
        user = f'u{self.users}'
        result = subprocess.run(
            ['saslpasswd2', '-p', '-c', '-f', self.state / 'sasldb2', '-u', 'localhost', user],
            input=f'pw-{user}'.encode(), capture_output=True)
        assert result.returncode == 0, result.stderr
        return Account(self, user, f'pw-{user}')


def missing_dovecot():
    return None if shutil.which('dovecot') else 'dovecot-imapd is not installed'


def missing_cyrus():
    if not os.path.exists('/usr/lib/cyrus/bin/master'):
        return 'cyrus-common is not installed'
    if not shutil.which('saslpasswd2'):
        return 'sasl2-bin is not installed'
    return None


class Servers:
    def __init__(self, scratch):
        self.scratch = scratch
        self.pki = scratch / 'pki'
        run(SERVERS / 'pki.sh', self.pki)
        self.pki.chmod(0o755)
        self.running = {}

    def get(self, kind, **options):
        key = (kind, *sorted(options.items()))
        if key not in self.running:
            state = self.scratch / f's{len(self.running)}'
            if kind is Cyrus and not os.path.exists('/usr/lib/cyrus/bin/imapd'):
                options['root'] = self.cyrus_root()
            self.running[key] = kind(state, self.pki, options)
        return self.running[key]

    def cyrus_root(self):
        """cyrus-imapd and dovecot-imapd cannot be installed together; kept between runs."""
        cache = pathlib.Path(os.environ.get('CYRUS_ROOT') or self.scratch / 'cyrus-root')
        if not (cache / 'usr/lib/cyrus/bin/imapd').exists():
            run(SERVERS / 'debroot.sh', cache, 'cyrus-imapd')
        return cache

    def stop(self):
        """All at once: some take seconds."""
        ending = [subprocess.Popen([server.script, 'stop', server.state])
                  for server in self.running.values()]
        for process in ending:
            process.wait(60)
