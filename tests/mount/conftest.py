"""Fixtures: private servers, mounts that clean up after themselves, a guard against hangs."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'imapd')]

import hostile                      # noqa: E402
import mount as mounting            # noqa: E402
import scripted as scripted_server  # noqa: E402
import servers as private_servers   # noqa: E402
from proxy import Proxy             # noqa: E402

# In the background of a shell these are ignored, and programs started here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

HANG = 180          # seconds for one test, 1,800 for a long one


def pytest_addoption(parser):
    parser.addoption('--mailmount', default=str(ROOT / 'build/src/mailmount'), metavar='PATH')
    parser.addoption('--long', action='store_true', help='also the tests that take minutes')
    parser.addoption('--seed', type=int, default=1, metavar='N',
                     help='of the tests that make random changes; they print it')
    parser.addoption('--allow-skip', action='store_true',
                     help='a missing server or tool skips its tests, else they fail')


def pytest_collection_modifyitems(config, items):
    unwanted = [] if config.getoption('--long') else ['long']
    if os.getuid() != 0:
        unwanted.append('root')
    dropped = [item for item in items if any(map(item.get_closest_marker, unwanted))]
    items[:] = [item for item in items if item not in dropped]
    config.hook.pytest_deselected(items=dropped)


@pytest.fixture(scope='session')
def need(request):
    """need(reason): the reason why a test cannot run here, or None."""
    def check(reason):
        if not reason:
            return
        if request.config.getoption('--allow-skip'):
            pytest.skip(reason)
        pytest.fail(f'{reason} (--allow-skip skips the test)', pytrace=False)
    return check


@pytest.fixture(scope='session')
def need_tool(need):
    def check(*names):
        for name in names:
            need(None if shutil.which(name) else f'{name} is not installed')
    return check


@pytest.fixture(scope='session')
def binary(request):
    path = pathlib.Path(request.config.getoption('--mailmount')).resolve()
    if not path.exists():
        pytest.exit(f'{path} is missing: build first, or --mailmount PATH', returncode=2)
    return path


@pytest.fixture(scope='session')
def sanitized(binary):
    return mounting.is_sanitized(binary)


@pytest.fixture
def seed(request):
    number = request.config.getoption('--seed')
    print(f'--seed {number}')
    return number


@pytest.fixture(scope='session')
def scratch():
    """Servers with users of their own must be able to enter: 755, and a short path."""
    path = pathlib.Path(tempfile.mkdtemp(prefix='mm-test-'))
    path.chmod(0o755)
    yield path
    if os.environ.get('MM_TEST_KEEP'):
        print(f'\nkept: {path}')
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope='session')
def servers(scratch):
    running = private_servers.Servers(scratch)
    yield running
    running.stop()


@pytest.fixture(scope='session')
def pki(servers):
    return servers.pki


@pytest.fixture(scope='session')
def dovecot(servers, need):
    need(private_servers.missing_dovecot())
    return servers.get(private_servers.Dovecot)


@pytest.fixture(scope='session')
def dovecot_with(servers, need):
    need(private_servers.missing_dovecot())
    return lambda **options: servers.get(private_servers.Dovecot, **options)


@pytest.fixture(scope='session')
def cyrus(servers, need):
    need(private_servers.missing_cyrus())
    return servers.get(private_servers.Cyrus)


@pytest.fixture(scope='session')
def cyrus_with(servers, need):
    need(private_servers.missing_cyrus())
    return lambda **options: servers.get(private_servers.Cyrus, **options)


@pytest.fixture(params=['dovecot', 'cyrus'])
def backend(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def account(dovecot):
    return dovecot.new_account()


class Mounts:
    """Makes homes and mounts for one test."""

    def __init__(self, binary, base, ca):
        self.binary = binary
        self.base = base
        self.ca = ca
        self.homes = []
        self.made = []

    def home(self):
        home = mounting.Home(self.base / f'h{len(self.homes)}')
        self.homes.append(home)
        return home

    def make(self, url, password='pw-alice', options=(), home=None, ca=None, name='mnt', **more):
        """Not started yet."""
        home = home or self.home()
        options = list(options)
        if not any(o.startswith(('passfile=', 'passcmd=')) for o in options):
            options.append(f'passfile={home.passfile(password)}')
        if not any(o.startswith(('tls=', 'cafile=')) for o in options):
            options.append(f'cafile={ca or self.ca}')
        mount = mounting.Mount(self.binary, home, url, options, name=name, **more)
        self.made.append(mount)
        return mount

    def account(self, account, options=(), **more):
        """Starts a mount of a real server's account through TLS."""
        return self.make(account.url(), account.password, options, **more).start()

    def plain(self, port, options=(), user='alice', password='pw-alice', **more):
        """Starts a mount without TLS, for what only the wire can show."""
        return self.make(f'imap://{user}@127.0.0.1:{port}', password, ['tls=none', *options],
                         **more).start()

    def kill(self):
        """Makes every blocked system call return."""
        for mount in self.made:
            for pid in mount.pids():
                mounting.kill_quietly(pid, signal.SIGKILL)

    def finish(self):
        wrong = []
        for mount in reversed(self.made):
            wrong += mount.clean_up()
        for home in self.homes:
            report = home.sanitizer_reports()
            if report:
                wrong.append(report)
        return wrong


@pytest.fixture
def mounts(request, binary, scratch, pki):
    base = pathlib.Path(tempfile.mkdtemp(prefix='t-', dir=scratch))
    base.chmod(0o755)
    made = Mounts(binary, base, pki / 'ca.pem')
    hung = threading.Event()
    done = threading.Event()
    limit = HANG * 10 if request.node.get_closest_marker('long') else HANG

    def watch():
        if not done.wait(limit):
            hung.set()
            made.kill()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield made
    wrong = made.finish()
    done.set()
    watcher.join()
    for home in made.homes:
        text = home.log()
        if text:
            request.node.add_report_section('teardown', 'daemon log', text[-6000:])
    assert not hung.is_set(), f'the test hung for {limit} s, the daemon was killed'
    assert not wrong, '\n'.join(wrong)
    if not os.environ.get('MM_TEST_KEEP'):
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def scripted(pki):
    """Starts scripted servers: scripted(folders, **options)."""
    started = []

    def start(folders=None, **options):
        if options.get('tls', 'none') != 'none':
            options.setdefault('cert', pki / 'good.pem')
            options.setdefault('key', pki / 'good.key')
        server = scripted_server.Server(folders, **options).start()
        started.append(server)
        return server
    yield start
    for server in started:
        server.stop()


@pytest.fixture
def bad(mounts, scripted, sanitized):
    """bad(folder or message): see hostile.py."""
    def make(folder, **more):
        if not isinstance(folder, scripted_server.Folder):
            folder = scripted_server.Folder('Bad', [folder])
        return hostile.Bad(mounts, scripted, sanitized, folder, **more)
    return make


@pytest.fixture
def proxied():
    """proxied(port): a proxy that writes down what passes."""
    started = []

    def start(port):
        proxy = Proxy(port)
        started.append(proxy)
        return proxy
    yield start
    for proxy in started:
        proxy.stop()


class Job:
    """A program that may block in the mount: never the test itself."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(
            [os.fspath(word) for word in command], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.begin = time.monotonic()

    def waits(self, seconds=0.5):
        """Whether it is still running after so long."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def result(self, timeout=90):
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err.decode(errors='replace')

    def signal(self, number):
        self.process.send_signal(number)


@pytest.fixture
def job():
    jobs = []

    def start(*command, **options):
        made = Job(command, **options)
        jobs.append(made)
        return made
    yield start
    for made in jobs:
        if made.process.poll() is None:
            made.process.kill()
        made.process.communicate()
