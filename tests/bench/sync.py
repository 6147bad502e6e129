#!/usr/bin/python3
"""sync.py -- what it costs to stay in step with the server, beside mbsync, as tables.

usage: sync.py [--mailmount PATH] [--times N] [--folders N] [--messages N] [--rtt MS] [WHAT ...]

WHAT is any of
  changes   a mount that was away: nothing changed, 100 new, 100 flagged, 100 expunged; seconds, round
            trips, bytes and commands until all is visible, and the same of `mbsync` into a Maildir
  push      the server's untagged line to visible, in INBOX and in another folder, at 0 and --rtt
  remount   from the mount command to the first answer of `ls`, from the cache, at 0 and --rtt
and all of them by default.  A private Dovecot holds --messages in --folders (60,000 in 21); lagproxy.c
stands before it, adds the round trip (50 ms) and counts.  It is plain text on loopback, for only so can
IMAP's own bytes be counted.  Figures are medians of --times (3) rounds.  Needs packages.txt.
"""
import argparse
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / 'tests/mount'), str(ROOT / 'tests/imapd')]
sys.dont_write_bytecode = True

import chaos                        # noqa: E402
import client                       # noqa: E402
import mount as mounting            # noqa: E402
import names                        # noqa: E402
import proxy as proxies             # noqa: E402
import samples                      # noqa: E402
import servers as private_servers   # noqa: E402

CHANGED = 100           # messages in each kind of change
SPREAD = 5              # over so many folders
HANG = 300
SETTLE = 2              # seconds in which watchers get ready

MBSYNC = '''
IMAPAccount test
Host 127.0.0.1
Port {port}
User {user}
PassCmd "echo {password}"
SSLType None
AuthMechs LOGIN
DisableExtension COMPRESS=DEFLATE

IMAPStore far
Account test

MaildirStore near
Path {path}/mail/
Inbox {path}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Expunge Near
Sync Pull
SyncState *
'''


class Lag:
    """lagproxy in front of a server."""

    def __init__(self, scratch, port, rtt):
        program = scratch / 'lagproxy'
        if not program.exists():
            subprocess.run(['cc', '-O2', '-o', program, HERE / 'lagproxy.c'], check=True)
        self.port = private_servers.free_ports(1)
        self.file = scratch / f'stats-{self.port}'
        self.process = subprocess.Popen([program, str(self.port), str(port), str(rtt), self.file])
        mounting.wait_until(self.answers, 30, what='lagproxy')
        self.take()

    def answers(self):
        try:
            private_servers.socket.create_connection(('127.0.0.1', self.port)).close()
            return True
        except OSError:
            return False

    def take(self):
        """The counters since the last call."""
        self.file.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        mounting.wait_until(self.file.exists, 30, 0.005, 'counters')
        counted = {key: int(value) for key, value in
                   re.findall(r'(\w+)=(\d+)', self.file.read_text())}
        return {'turns': counted['turns'] - counted['login_turns'],
                'login turns': counted['login_turns'],
                'bytes': counted['up'] + counted['down'] - counted['login_bytes'],
                'commands': counted['tagged'] - counted['login_tagged'],
                'connections': counted['conns']}

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Bench:
    def __init__(self, options, scratch):
        self.options = options
        self.scratch = scratch
        self.servers = private_servers.Servers(scratch)
        self.server = self.servers.get(private_servers.Dovecot)
        self.account = self.server.new_account()
        others = options.folders - 1
        self.folders = ['INBOX'] + [f'F{number:02}' for number in range(1, others + 1)]
        inbox = options.messages // 6
        self.account.fill('INBOX', count=inbox, size=400)
        self.account.fill(*self.folders[1:], count=(options.messages - inbox) // others, size=400)
        self.changing = self.folders[1:1 + SPREAD]
        self.start = 1_000_000
        self.imap = self.account.client()
        self.home = mounting.Home(scratch / 'home')
        self.mount = None
        self.lags = []

    def stop(self):
        if self.mount:
            self.mount.clean_up()
        for lag in self.lags:
            lag.stop()
        self.servers.stop()

    def lag(self, rtt):
        self.lags.append(Lag(self.scratch, self.server.port, rtt))
        return self.lags[-1]

    def make_mount(self, port, *options):
        self.mount = mounting.Mount(
            self.options.mailmount, self.home, self.account.plain_url(port),
            [f'passfile={self.home.passfile(self.account.password)}', 'tls=none', *options])
        return self.mount

    def list_all(self, port):
        """Through the port of the measurement: another port is another account, with its cache."""
        self.make_mount(port).start()
        for folder in self.folders:
            os.listdir(self.mount.path / folder)
        mounting.wait_until(lambda: self.mount.status()['jobs_running'] == 0, HANG, 0.2)
        self.mount.stop()

    # ---- changes

    def some(self, folder):
        """UIDs of messages in the middle."""
        self.imap.ok(self.imap.imap.select(f'"{folder}"', readonly=True))
        uids = self.imap.ok(self.imap.imap.uid('SEARCH', 'ALL'))[0].split()
        self.imap.imap.unselect()
        middle = len(uids) // 2
        return [uid.decode() for uid in uids[middle:middle + CHANGED // SPREAD]]

    def nothing(self):
        return lambda: True

    def new(self):
        per_folder = CHANGED // SPREAD
        before = {folder: self.count(folder) for folder in self.changing}
        self.account.fill(*self.changing, count=per_folder, size=400,
                          options=['--start', str(self.start)])
        self.start += per_folder
        return lambda: all(len(os.listdir(self.mount.path / folder))
                           == before[folder] + per_folder for folder in self.changing)

    def flagged(self):
        word = f'round{self.start}'
        self.start += 1
        for folder in self.changing:
            self.imap.store(folder, ','.join(self.some(folder)), f'{word}', '+FLAGS')
        paths = self.paths_with(word)
        return lambda: all(word in os.getxattr(path, 'user.imap.flags').decode() for path in paths)

    def paths_with(self, word):
        """Where the messages of a keyword are in the mount: their names are computed."""
        found = []
        for folder in self.changing:
            self.imap.ok(self.imap.imap.select(f'"{folder}"', readonly=True))
            uids = self.imap.ok(self.imap.imap.uid('SEARCH', 'KEYWORD', word))[0].split()
            for uid in uids:
                part = self.imap.ok(self.imap.imap.uid(
                    'FETCH', uid.decode(), '(INTERNALDATE BODY.PEEK[])'))[0]
                date = re.search(rb'INTERNALDATE "([^"]*)"', part[0])[1].decode()
                found.append(self.mount.path / folder / names.message_name(
                    part[1], client.parse_date(date)))
            self.imap.imap.unselect()
        assert len(found) == CHANGED
        return found

    def expunged(self):
        before = {folder: self.count(folder) for folder in self.changing}
        for folder in self.changing:
            self.imap.expunge(folder, ','.join(self.some(folder)))
        gone = CHANGED // SPREAD
        return lambda: all(len(os.listdir(self.mount.path / folder)) == before[folder] - gone
                           for folder in self.changing)

    def count(self, folder):
        data = self.imap.ok(self.imap.imap.status(f'"{folder}"', '(MESSAGES)'))
        return int(re.search(rb'MESSAGES (\d+)', data[0])[1])

    def catch_up(self, lag, visible):
        """A mount after it was away; what the command cost, and what it is until all is visible."""
        lag.take()
        begin = time.monotonic()
        self.mount.start()
        mounting.wait_until(visible, HANG, 0.01, 'the changes')
        seconds = time.monotonic() - begin
        measured = {'seconds': seconds, **lag.take()}
        time.sleep(SETTLE)
        watchers = lag.take()
        measured['all bytes'] = measured['bytes'] + watchers['bytes']
        self.mount.stop()
        return measured

    def mbsync(self, lag):
        lag.take()
        begin = time.monotonic()
        run = subprocess.run(['mbsync', '-q', '-c', self.config, 'all'], capture_output=True,
                             text=True)
        assert run.returncode == 0, run.stderr
        return {'seconds': time.monotonic() - begin, **lag.take()}

    def prepare_mbsync(self, port):
        path = self.scratch / 'mbsync'
        (path / 'mail').mkdir(parents=True)
        self.config = path / 'mbsyncrc'
        self.config.write_text(MBSYNC.format(port=port, path=path, user=self.account.user,
                                             password=self.account.password))

    def changes(self):
        lag = self.lag(self.options.rtt)
        self.list_all(lag.port)
        with_mbsync = shutil.which('mbsync')
        if with_mbsync:
            near = self.lag(0)
            self.prepare_mbsync(near.port)
            self.mbsync(near)
            self.config.write_text(self.config.read_text().replace(f'Port {near.port}',
                                                                   f'Port {lag.port}'))
            self.mbsync(lag)        # it writes some of its state only now
        print(f'\nCatching up, {self.options.folders} folders, {self.options.messages} messages, '
              f'{self.options.rtt:g} ms round trip.  Round trips, bytes and commands are those '
              'after the logins, of all connections together, until all is visible.  mbsync goes '
              'without COMPRESS, so that both can be counted.\n')
        print('| work | seconds | round trips | KB | commands | connections | mbsync: seconds | '
              'round trips | KB | commands | goal |\n|' + '---|' * 11, flush=True)
        for options in (['connections=1'], []):
            more = f', `{options[0]}`' if options else ''
            self.one(f'nothing changed{more}', self.nothing, lag, with_mbsync,
                     '≤ 2 round trips, < 10 KB', options)
            for what in (self.new, self.flagged, self.expunged):
                self.one(f'{CHANGED} {what.__name__}, in {SPREAD} folders{more}', what, lag,
                         with_mbsync, '≤ 2 round trips more', options)

    def one(self, title, change, lag, with_mbsync, goal, options=()):
        ours, theirs = [], []
        for _ in range(self.options.times):
            self.make_mount(lag.port, *options)
            visible = change()
            if with_mbsync:
                theirs.append(self.mbsync(lag))
            ours.append(self.catch_up(lag, visible))

        def row(measured, keys):
            return [f'{statistics.median(m[key] for m in measured) / unit:.{digits}f}'
                    if measured else '' for key, unit, digits in keys]
        columns = [('seconds', 1, 2), ('turns', 1, 0), ('bytes', 1000, 1), ('commands', 1, 0)]
        print('| ' + ' | '.join([title, *row(ours, [*columns, ('connections', 1, 0)]),
                                 *row(theirs, columns), goal]) + ' |', flush=True)

    # ---- push

    def push(self):
        print('\nFrom the untagged line of the server (as it reaches the mount) to visible, in '
              'milliseconds: median and most of 7.\n')
        print('| round trip | folder | line | median | most | goal |\n|---|---|---|---|---|---|',
              flush=True)
        for folder in ('INBOX', 'Small'):
            self.account.fill(folder, count=50, size=400, options=['--start', str(self.start)])
            self.start += 50
        for rtt in (0, self.options.rtt):
            tap = Tap(self.lag(rtt).port)
            self.make_mount(tap.port, 'poll=86400').start()
            for folder in ('INBOX', 'Small'):
                os.listdir(self.mount.path / folder)
            time.sleep(SETTLE + 1)
            for folder in ('INBOX', 'Small'):
                self.push_to(tap, folder, rtt)
            self.mount.stop()
            tap.stop()

    def push_to(self, tap, folder, rtt):
        measured, kinds = [], set()
        for _ in range(7):
            self.start += 1
            data = chaos.message(self.start, self.start, 3)
            path = self.mount.path / folder / names.message_name(data, samples.DATE)
            assert not path.exists()
            tap.listen(folder)
            self.imap.append(folder, data, '', samples.DATE)
            mounting.wait_until(path.exists, HANG, 0.0005, 'the new message')
            seen = time.monotonic()
            measured.append((seen - tap.when) * 1000)
            kinds.add(tap.what)
            time.sleep(1)
        print(f'| {rtt:g} | {folder} | {", ".join(sorted(kinds))} | '
              f'{statistics.median(measured):.0f} | {max(measured):.0f} | ≤ {rtt + 50:g} |',
              flush=True)

    # ---- remount

    def remount(self):
        print('\nFrom the mount command to the answer of `ls`, with the cache, in milliseconds.\n')
        print('| round trip | `ls` of the top | `ls` of 2,500 messages | the command returns | '
              'goal |\n|---|---|---|---|---|', flush=True)
        for rtt in (0, self.options.rtt):
            lag = self.lag(rtt)
            self.list_all(lag.port)
            rows = [self.one_remount(lag) for _ in range(max(5, self.options.times))]
            print(f'| {rtt:g} | ' + ' | '.join(f'{statistics.median(column) * 1000:.0f}'
                                               for column in zip(*rows)) + ' | < 100 |', flush=True)

    def one_remount(self, lag):
        mount = self.make_mount(lag.port)
        begin = time.monotonic()
        process = subprocess.Popen(mount.command(), env=self.home.environment(), cwd='/',
                                   stdin=subprocess.DEVNULL)
        mounting.wait_until(lambda: mounting.mount_entry(mount.path), HANG, 0.001, 'mounted')
        os.listdir(mount.path)
        top = time.monotonic()
        os.listdir(mount.path / self.folders[-1])
        folder = time.monotonic()
        process.wait(HANG)
        returned = time.monotonic()
        time.sleep(0.5)
        mount.stop()
        return top - begin, folder - begin, returned - begin


class Tap(proxies.Proxy):
    """Notes when a line that tells of news passes to the client."""

    def __init__(self, target):
        self.waiting = threading.Lock()
        self.pattern = None
        self.when = self.what = None
        super().__init__(target)

    def listen(self, folder):
        with self.waiting:
            status = rb'\* (STATUS) "?' + re.escape(folder.encode()) + rb'"?'
            self.pattern = re.compile(status + (rb'|\* \d+ (EXISTS)' if folder == 'INBOX' else b''))

    def pass_on(self, direction, end, data):
        if direction == proxies.TO_CLIENT:
            with self.waiting:
                match = self.pattern and self.pattern.search(data)
                if match:
                    self.when, self.pattern = time.monotonic(), None
                    self.what = (match[1] or match[match.lastindex]).decode()
        return super().pass_on(direction, end, data)


def versions(options):
    def first_line(*command):
        try:
            out = subprocess.run(command, capture_output=True, text=True).stdout
        except FileNotFoundError:
            return f'no {command[0]}'
        return out.splitlines()[0] if out else '?'
    print(f'{time.strftime("%Y-%m-%d")}, {platform.system()} {platform.release()}, '
          f'{os.cpu_count()} cores, dovecot {first_line("dovecot", "--version")}, '
          f'{first_line("mbsync", "--version")}, '
          f'{first_line(str(options.mailmount), "--version")}, plain text, '
          f'medians of {options.times}')


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--mailmount', default=ROOT / 'build/src/mailmount', type=pathlib.Path)
    parser.add_argument('--times', type=int, default=3)
    parser.add_argument('--folders', type=int, default=21)
    parser.add_argument('--messages', type=int, default=60000)
    parser.add_argument('--rtt', type=float, default=50)
    kinds = ['changes', 'push', 'remount']
    parser.add_argument('what', nargs='*', metavar='WHAT')
    options = parser.parse_args()
    if set(options.what) - set(kinds):
        parser.error(f'WHAT is one of {" ".join(kinds)}')
    options.mailmount = options.mailmount.resolve()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='mm-sync-'))
    scratch.chmod(0o755)
    bench = None
    try:
        versions(options)
        bench = Bench(options, scratch)
        for what in options.what or kinds:
            getattr(bench, what)()
    finally:
        if bench:
            bench.stop()
        shutil.rmtree(scratch, ignore_errors=True)


main()
