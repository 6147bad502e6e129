"""soak.py -- a private server, a mount, another client's random changes, faults, readers; for long.

usage: soak.py --mailmount PATH [--minutes N] [--seed N] [--cyrus] [--log FILE]

  --minutes N   how long (60); the first quarter is not judged
  --seed N      of the changes and faults (from the clock; printed)
  --cyrus       a second account beside Dovecot's, on Cyrus, with a mount of its own
  --log FILE    progress lines go here, too (build-check/logs/soak.log)

Connections are cut, frozen, delayed and refused at random, the server is restarted every few minutes.
At the end of each minute all that is healed, and the mount must become equal to the server: listings,
names, sizes, dates, flags, and the bytes of a sample; names and inodes must be what they were.  Readers
look for short, padded and doubled things all the time.  Memory, descriptors and threads are sampled
every ten seconds: the median of the last quarter must not be above that of the second one by more than
the tolerance.  It is content with a third of one core.  Exit status 0: sound.
"""
import argparse
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / 'tests/mount'), str(ROOT / 'tests/imapd')]
sys.dont_write_bytecode = True

import chaos                        # noqa: E402
import converge                     # noqa: E402
import mount as mounting            # noqa: E402
import proxy as proxies             # noqa: E402
import servers as private_servers   # noqa: E402

ROUND = 60              # seconds from one quiet point to the next
SAMPLE = 10
WITHIN = 300            # to become equal; a hang limit
HANG = 900              # a round that takes longer is killed
PATIENCE = 120          # of a program that reads
ALLOWED = 'ENETUNREACH,ETIMEDOUT,EIO'
TOLERANCE = {           # above the median of the second quarter: part of it, and so much more
    'rss': (0.15, 4 << 20), 'fds': (0, 4), 'threads': (0, 2), 'processes': (0, 0)}


class Log:
    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, 'w', encoding='utf-8')
        self.begin = time.monotonic()

    def __call__(self, text):
        line = f'{(time.monotonic() - self.begin) / 60:6.1f} min  {text}'
        print(line, flush=True)
        print(line, file=self.file, flush=True)


def directory_size(path):
    total = 0
    for top, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(top, name)).st_blocks * 512
            except OSError:
                pass
    return total


class Soak:
    """One account: its server, its mount, and all that happens to them."""

    def __init__(self, options, log, scratch, servers, kind):
        self.log = log
        self.name = kind.name
        self.random = random.Random(options.seed)
        self.server = servers.get(kind)
        account = self.server.new_account()
        account.fill('INBOX', 'Work', count=400)
        self.account = account
        self.chaos = chaos.Chaos(account, options.seed)
        self.proxy = proxies.Proxy(self.server.port)
        home = mounting.Home(scratch / f'home-{kind.name}')
        self.mount = mounting.Mount(
            options.mailmount, home, account.plain_url(self.proxy.port),
            [f'passfile={home.passfile(account.password)}', 'tls=none', 'poll=10',
             'cache_size=64M'])
        self.mount.start()
        self.sync = converge.has_verb(self.mount, 'sync')
        self.witness = converge.Witness()
        self.samples = []
        self.quiet_points = self.faults = self.restarts = self.reads = 0
        self.longest = 0
        self.violations = []
        self.status = {}
        self.readers = []
        self.tools = []
        self.ended = False
        self.start_readers(options.seed)

    # ---- what happens

    def start_readers(self, seed):
        for number in range(2):
            output = tempfile.TemporaryFile('w+')
            self.readers.append((output, subprocess.Popen(
                ['nice', sys.executable, ROOT / 'tests/mount/reader.py', self.mount.path, '--seed',
                 str(seed + number), '--pace', '0.5', '--allow', ALLOWED], stdout=output)))

    def run_tool(self):
        """A user's program, of which one runs at a time; it may fail, it may not hang."""
        self.tools = [(process, end) for process, end in self.tools if process.poll() is None]
        for process, end in self.tools:
            if time.monotonic() > end:
                self.violation(f'{process.args} does not end')
                process.kill()
        if self.tools:
            return
        command = self.random.choice([['ls', '-lR'], ['grep', '-r', 'nothing like this'],
                                      ['find', '-size', '+1k'], ['du', '-s'],
                                      ['stat', 'INBOX', 'Work']])
        process = subprocess.Popen(['nice', *command], cwd=self.mount.path,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.tools.append((process, time.monotonic() + PATIENCE))

    def restart_server(self):
        self.restarts += 1
        self.server.restart()

    def violation(self, text):
        self.violations.append(text)
        self.log(f'{self.name}: VIOLATION: {text}')

    def disturb(self, until):
        faults = proxies.Faults(self.proxy, self.random.random(), pause=4)
        restart = self.random.random() < 0.25
        next_sample = next_tool = time.monotonic()
        while time.monotonic() < until:
            self.chaos.step()
            time.sleep(self.random.uniform(0.1, 0.5))
            now = time.monotonic()
            if now >= next_tool:
                self.run_tool()
                next_tool = now + 5
            if now >= next_sample:
                self.sample()
                next_sample = now + SAMPLE
            if restart and self.random.random() < 0.02:
                self.restart_server()
                restart = False
        faults.heal()
        self.faults += faults.count

    def hold_against_server(self):
        if self.sync:
            result = self.mount.verb('sync', self.mount.path, timeout=WITHIN)
            if result.code:
                self.log(f'{self.name}: sync said {result.code}: {result.err.strip()}')
        total, seconds = converge.converges(
            self.mount, self.account, self.quiet_points, witness=self.witness,
            moved=self.chaos.moved, within=WITHIN)
        self.chaos.moved.clear()
        self.quiet_points += 1
        self.longest = max(self.longest, seconds)
        return total, seconds

    # ---- what it costs

    def sample(self):
        pids = self.mount.pids()
        try:
            self.samples.append({
                'time': time.monotonic(),
                'rss': sum(mounting.status_field(pid, 'VmRSS') for pid in pids) << 10,
                'peak': sum(mounting.status_field(pid, 'VmHWM') for pid in pids) << 10,
                'fds': sum(len(os.listdir(f'/proc/{pid}/fd')) for pid in pids),
                'threads': sum(mounting.status_field(pid, 'Threads') for pid in pids),
                'processes': len(pids),
                'cache': directory_size(self.mount.home.base / 'cache')})
        except (FileNotFoundError, ProcessLookupError):
            pass
        if not pids and not self.ended:
            self.ended = True
            self.violation('the daemon has died')

    def round(self, until):
        self.disturb(until)
        try:
            total, seconds = self.hold_against_server()
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            self.violation(str(error)[:2000])
            self.log(f'{self.name}: status: {self.mount.verb("status", self.mount.path).out[:3000]}')
            return
        self.sample()
        last = self.samples[-1]
        self.log(f'{self.name}: {self.chaos.done} changes, {self.faults} faults, {self.restarts} '
                 f'restarts, {total} messages equal after {seconds:.1f} s; '
                 f'RSS {last["rss"] / 2**20:.1f} MiB (peak {last["peak"] / 2**20:.1f}), '
                 f'{last["fds"]} fds, {last["threads"]} threads, '
                 f'cache {last["cache"] / 2**20:.1f} MiB')

    # ---- the end

    def stop(self):
        """Whatever has happened: ends and removes it all."""
        self.ended = True
        try:
            self.stop_readers()
            self.status = self.mount.status() if self.mount.pids() else {}
        except (AssertionError, OSError, ValueError, subprocess.TimeoutExpired) as error:
            self.violation(f'at the end: {error}')
        for wrong in self.mount.clean_up():
            self.violation(wrong)
        self.chaos.close()
        self.proxy.stop()
        state = self.mount.home.base / 'state'
        kept = ROOT / 'build-check/logs' / f'soak-{self.name}.daemon.log'
        kept.write_text(''.join(path.read_text(errors='replace')
                                for path in sorted(state.glob('**/log*')) if path.is_file()))

    def stop_readers(self):
        for output, process in self.readers:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.violation('a reader does not end')
                process.kill()
            output.seek(0)
            for line in output.read().splitlines():
                if line.startswith('wrong: '):
                    self.violation(f'reader: {line}')
                else:
                    self.log(f'{self.name}: reader: {line}')
        for process, _ in self.tools:
            process.kill()
            process.wait()

    def quarters(self, key):
        """Medians of the second quarter and of the last."""
        begin, end = self.samples[0]['time'], self.samples[-1]['time']
        quarter = (end - begin) / 4
        second = [s[key] for s in self.samples
                  if begin + quarter <= s['time'] <= begin + 2 * quarter]
        last = [s[key] for s in self.samples if s['time'] >= end - quarter]
        return statistics.median(second or last), statistics.median(last)

    def judge(self):
        """Prints the row; whether all is well."""
        cells = []
        flat = True
        for key, (part, more) in TOLERANCE.items():
            second, last = self.quarters(key)
            good = last <= second * (1 + part) + more
            flat = flat and good
            unit = 2**20 if key == 'rss' else 1
            cells.append(f'{second / unit:.4g} -> {last / unit:.4g}' + ('' if good else ' GROWS'))
        last = self.samples[-1]
        print('| ' + ' | '.join([
            self.name, str(self.chaos.done), str(self.quiet_points), str(self.faults),
            str(self.restarts), str(len(self.violations)), f'{self.longest:.1f}', *cells,
            f'{last["peak"] / 2**20:.1f}', f'{last["cache"] / 2**20:.1f}',
            str(self.status.get('logins', ''))]) + ' |', flush=True)
        return flat and not self.violations and self.quiet_points > 0


HEAD = ('server', 'changes', 'quiet points', 'faults', 'restarts', 'violations', 'equal after, s',
        'RSS, MiB', 'descriptors', 'threads', 'processes', 'peak, MiB', 'cache, MiB', 'logins')


def run(soaks, minutes, log):
    """All in turn and at once: the rounds of all accounts run side by side."""
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end - 5 and not all(soak.ended for soak in soaks):
        until = min(end, time.monotonic() + ROUND)
        threads = [threading.Thread(target=guarded, args=(soak, until), daemon=True)
                   for soak in soaks if not soak.ended]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0, until - time.monotonic()) + HANG)
        if any(thread.is_alive() for thread in threads):
            for soak in soaks:
                soak.violation(f'a round hung for {HANG} s, the daemon is killed')
                soak.ended = True
                for pid in soak.mount.pids():
                    mounting.kill_quietly(pid, signal.SIGKILL)
            return
    log(f'CPU of the clients: {sum(os.times()[:4]):.0f} s')


def guarded(soak, until):
    try:
        soak.round(until)
    except Exception as error:          # whatever it is, it is told and the others go on
        soak.violation(f'{type(error).__name__}: {error}')


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--mailmount', required=True, type=pathlib.Path)
    parser.add_argument('--minutes', type=float, default=60)
    parser.add_argument('--seed', type=int, default=int(time.time()) % 100000)
    parser.add_argument('--cyrus', action='store_true')
    parser.add_argument('--log', type=pathlib.Path, default=ROOT / 'build-check/logs/soak.log')
    options = parser.parse_args()
    options.mailmount = options.mailmount.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    log = Log(options.log)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='mm-soak-'))
    scratch.chmod(0o755)
    servers = private_servers.Servers(scratch)
    soaks = []
    try:
        log(f'--seed {options.seed}, {options.minutes:g} minutes, {options.mailmount}')
        kinds = [private_servers.Dovecot] + [private_servers.Cyrus] * options.cyrus
        for kind in kinds:
            soaks.append(Soak(options, log, scratch, servers, kind))
        run(soaks, options.minutes, log)
    finally:
        for soak in soaks:
            soak.stop()
        servers.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    print('\n| ' + ' | '.join(HEAD) + ' |\n|' + '---|' * len(HEAD))
    sound = all([soak.judge() for soak in soaks])
    log('verdict: sound' if sound else 'verdict: NOT SOUND')
    sys.exit(0 if sound else 1)


main()
