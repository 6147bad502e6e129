"""A mount under test: starts mailmount in directories of its own and sees that it ends cleanly."""
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

START_TIMEOUT = 60      # hang limits, not measurements
STOP_TIMEOUT = 60
BUSY = 10               # seconds that an unmount may be busy

Result = collections.namedtuple('Result', 'code out err')


def wait_until(condition, timeout=60, interval=0.02, what='condition'):
    """Calls condition() until it is true; returns its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'not within {timeout} s: {what}')
        time.sleep(interval)


def mount_entry(path):
    """The fields of /proc/self/mountinfo for a mount point, or None."""
    for line in open('/proc/self/mountinfo', encoding='utf-8', errors='surrogateescape'):
        left, right = line.rstrip('\n').split(' - ', 1)
        point = re.sub(r'\\([0-7]{3})', lambda m: chr(int(m[1], 8)), left.split()[4])
        if point == os.fspath(path):
            fstype, source, superopts = right.split(' ', 2)
            return {'options': left.split()[5].split(','), 'fstype': fstype, 'source': source,
                    'super': superopts.split(',')}
    return None


def status_field(pid, name):
    """A number of /proc/PID/status; memory is in KiB."""
    for line in open(f'/proc/{pid}/status', encoding='utf-8', errors='replace'):
        if line.startswith(name + ':'):
            return int(line.split()[1])
    return 0


def process_state(pid):
    try:
        stat = open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace').read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return stat.rpartition(')')[2].split()[0]


def is_sanitized(binary):
    data = pathlib.Path(binary).read_bytes()
    return b'__asan_init' in data or b'__tsan_init' in data


class Home:
    """The directories and secrets of one user: outlives the mounts made in it."""

    def __init__(self, base):
        self.base = pathlib.Path(base)
        self.reports = self.base / 'sanitizer'
        for name in ('home', 'config', 'cache', 'state', 'run', 'sanitizer'):
            (self.base / name).mkdir(mode=0o700, parents=True)
        # A copy: the user of the mount need not be able to read this repository.
        self.suppressions = self.base / 'tsan.supp'
        shutil.copyfile(pathlib.Path(__file__).parent.parent / 'tsan.supp', self.suppressions)

    def environment(self):
        env = {key: value for key, value in os.environ.items()
               if key in ('PATH', 'TZ') or key.startswith('LC_')}
        reports = f'log_path={self.reports}/report'
        env.update(
            HOME=f'{self.base}/home', XDG_CONFIG_HOME=f'{self.base}/config',
            XDG_CACHE_HOME=f'{self.base}/cache', XDG_STATE_HOME=f'{self.base}/state',
            XDG_RUNTIME_DIR=f'{self.base}/run', LANG='C.UTF-8',
            ASAN_OPTIONS=f'{reports}:detect_leaks=1:abort_on_error=0:exitcode=99',
            UBSAN_OPTIONS=f'{reports}:print_stacktrace=1:halt_on_error=0',
            TSAN_OPTIONS=f'{reports}:exitcode=99:halt_on_error=0:'
                         f'suppressions={self.suppressions}')
        for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS'):
            if os.environ.get(name):
                env[name] = f'{os.environ[name]}:{env[name]}'
        return env

    def passfile(self, password, name='password'):
        path = self.base / name
        path.write_text(password + '\n', encoding='utf-8')
        path.chmod(0o600)
        return path

    def config(self, text):
        path = self.base / 'config/mailmount/config'
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding='utf-8')
        path.chmod(0o600)
        return path

    def forget_cache(self):
        shutil.rmtree(self.base / 'cache')
        (self.base / 'cache').mkdir(mode=0o700)

    def log(self):
        """Everything that daemons have logged here."""
        return ''.join(path.read_text(encoding='utf-8', errors='replace')
                       for path in sorted(self.base.glob('state/**/log')))

    def sanitizer_reports(self):
        return '\n'.join(path.read_text(errors='replace')
                         for path in sorted(self.reports.iterdir()))


class Mount:
    """One mount: `url` at `path`, with options as "key=value" strings."""

    def __init__(self, binary, home, url, options=(), name='mnt', flags=(), prefix=()):
        self.binary = os.fspath(binary)
        self.home = home
        self.url = url
        self.options = list(options)
        self.flags = list(flags)
        self.prefix = list(prefix)
        self.path = home.base / name
        self.path.mkdir(exist_ok=True)
        self.process = None     # with -f

    # ---- start

    def command(self):
        command = [*self.prefix, self.binary, *self.flags]
        if self.options:
            command += ['-o', ','.join(option.replace(',', '\\,') for option in self.options)]
        return command + [self.url, os.fspath(self.path)]

    def try_start(self, timeout=START_TIMEOUT):
        """Runs the command until it returns; does not judge."""
        run = subprocess.run(self.command(), env=self.home.environment(), cwd='/',
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                             text=True, errors='replace')
        return Result(run.returncode, run.stdout, run.stderr)

    def start(self, timeout=START_TIMEOUT):
        result = self.try_start(timeout)
        assert result.code == 0, f'exit {result.code}: {result.err}\n{self.home.log()}'
        assert mount_entry(self.path), f'exit 0 and not mounted: {result.err}'
        return self

    def start_foreground(self, wait=True):
        self.flags = ['-f', *self.flags]
        log = open(self.home.base / 'foreground.err', 'wb')
        self.process = subprocess.Popen(self.command(), env=self.home.environment(), cwd='/',
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        if wait:
            wait_until(lambda: mount_entry(self.path) or self.process.poll() is not None,
                       START_TIMEOUT, what='mounted')
            assert self.process.poll() is None, self.foreground_output()
        return self

    def foreground_output(self):
        return (self.home.base / 'foreground.err').read_text(errors='replace')

    # ---- what is there

    def verb(self, *words, timeout=60):
        run = subprocess.run([self.binary, *map(os.fspath, words)], env=self.home.environment(),
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                             text=True, errors='replace', cwd='/')
        return Result(run.returncode, run.stdout, run.stderr)

    def status(self):
        """The daemon's own report, by the control socket."""
        result = self.verb('status', '--json', self.path)
        assert result.code == 0, result
        return one_account(json.loads(result.out))

    def folder_status(self, path):
        for folder in self.status()['folders']:
            if folder['path'] == path:
                return folder
        raise AssertionError(f'{path} is not in status --json')

    def pids(self):
        """All processes of this mount: they have its mount point in their command line."""
        needle = os.fspath(self.path).encode()
        found = []
        for entry in os.listdir('/proc'):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                words = pathlib.Path('/proc', entry, 'cmdline').read_bytes().split(b'\0')
            except OSError:
                continue
            if needle in words and any(w.endswith(b'mailmount') for w in words[:2]):
                found.append(int(entry))
        return found

    def peak_memory(self):
        """VmHWM in bytes, of the largest process."""
        return max(status_field(pid, 'VmHWM') for pid in self.pids()) * 1024

    def resident_memory(self):
        return max(status_field(pid, 'VmRSS') for pid in self.pids()) * 1024

    # ---- end

    def kill(self):
        for pid in self.pids():
            kill_quietly(pid, signal.SIGKILL)
        if self.process:
            self.process.wait()
        wait_until(lambda: not self.pids(), what='killed')

    def stop(self, how='fusermount'):
        """Ends the mount and checks that nothing of it is left."""
        pids = self.pids()
        if how == 'fusermount':
            run = unmount(self.path)
            assert run.returncode == 0, run.stderr
        elif how == 'umount':
            run = subprocess.run(['umount', self.path], capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
        elif how == 'verb':
            result = self.verb('unmount', self.path)
            assert result.code == 0, result
        elif how == 'sigterm':
            assert pids
            for pid in pids:
                kill_quietly(pid, signal.SIGTERM)
        elif how == 'sigint':
            self.process.send_signal(signal.SIGINT)
        self.check_gone()
        if self.process:
            code = self.process.wait(STOP_TIMEOUT)
            assert code == 0, f'exit {code}: {self.foreground_output()}'

    def check_gone(self):
        wait_until(lambda: not mount_entry(self.path), STOP_TIMEOUT, what='unmounted')
        if self.process:
            self.process.wait(STOP_TIMEOUT)
        wait_until(lambda: not self.pids(), STOP_TIMEOUT,
                   what=f'no process left of {self.path}')

    def clean_up(self):
        """Whatever happened: unmounts and ends, forcibly if need be.  Returns what was wrong."""
        wrong = []
        if mount_entry(self.path):
            run = unmount(self.path)
            if run.returncode != 0:
                wrong.append(f'unmount: {run.stderr.strip()}')
        try:
            self.check_gone()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            wrong.append(str(error))
            if os.environ.get('MM_TEST_STACKS'):
                wrong.append(stacks(self.pids()))
            for pid in self.pids():
                kill_quietly(pid, signal.SIGKILL)
            subprocess.run(['fusermount3', '-u', '-z', self.path], capture_output=True)
        return wrong


def unmount(path):
    """Somebody may be inside for a moment, such as the helper that announces changes."""
    end = time.monotonic() + BUSY
    while True:
        run = subprocess.run(['fusermount3', '-u', path], capture_output=True, text=True)
        if run.returncode == 0 or 'busy' not in run.stderr or time.monotonic() > end:
            return run
        time.sleep(0.1)


def one_account(status):
    """status --json is a list of accounts, or one of them."""
    if isinstance(status, dict) and 'accounts' in status:
        status = status['accounts']
    if isinstance(status, list):
        assert len(status) == 1, status
        status = status[0]
    return status


def kill_quietly(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def stacks(pids):
    if not shutil.which('gdb'):
        return ''
    return '\n'.join(subprocess.run(
        ['gdb', '-batch', '-p', str(pid), '-ex', 'thread apply all bt 12'],
        capture_output=True, text=True).stdout for pid in pids)
