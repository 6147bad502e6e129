#!/usr/bin/python3
"""reading.py -- how fast a mount reads, side by side with the yardsticks, as a table.

usage: reading.py [--mailmount PATH] [--count N] [--times N] [--plain] [WHAT ...]

WHAT is any of
  first    first `ls` of a folder never listed, nothing cached  : wire.py headers
  again    `ls -l` of the same folder, listed before            : the floor (floor.c)
  remount  from the mount command to the end of `ls`, from the cache
  large    `cat` of a 50 MB message, nothing cached             : wire.py bodies
  grep     `grep -r` of 10,000 messages, nothing cached         : wire.py bodies
  warm     the same again, from the cache                       : grep -r of a copy on disk
and all of them by default.  A private Dovecot is started and filled (--count messages of
about 200 bytes for first, again and remount).  Yardstick and mount run one after the other in
each round; figures are medians of --times rounds, ratios are medians over medians.  --plain
is without TLS, on both sides.  Memory is VmHWM of the daemon at the end.
"""
import argparse
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / 'tests/mount'), str(ROOT / 'tests/imapd')]
sys.dont_write_bytecode = True

import mount as mounting            # noqa: E402
import scripted                     # noqa: E402
import servers as private_servers   # noqa: E402

PYTHON = private_servers.PYTHON
FIELDS = 'MESSAGE-ID DATE FROM SUBJECT'


def seconds(*command, **more):
    begin = time.monotonic()
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, **more)
    return time.monotonic() - begin


class Bench:
    def __init__(self, options, scratch):
        self.options = options
        self.scratch = scratch
        self.servers = private_servers.Servers(scratch)
        self.server = self.servers.get(private_servers.Dovecot)
        self.homes = 0
        self.rows = []

    def stop(self):
        self.servers.stop()

    def wire(self, account, what, *folders):
        port = self.server.port if self.options.plain else self.server.port + 1
        tls = [] if self.options.plain else ['--tls']
        out = subprocess.run(
            [PYTHON, HERE / 'wire.py', *tls, '--fields', FIELDS, what, '127.0.0.1', str(port),
             account.user, account.password, *folders], check=True, capture_output=True,
            text=True).stdout
        return float(re.search(r'seconds=([\d.]+)', out)[1])

    def home(self):
        self.homes += 1
        return mounting.Home(self.scratch / f'h{self.homes}')

    def mount(self, account, home):
        options = [f'passfile={home.passfile(account.password)}']
        if self.options.plain:
            url = account.plain_url()
            options.append('tls=none')
        else:
            url = account.url()
            options.append(f'cafile={self.servers.pki}/ca.pem')
        return mounting.Mount(self.options.mailmount, home, url, options).start()

    def row(self, what, measured, yardstick, name, memory=None):
        got = statistics.median(measured)
        ratio = reference = ''
        if yardstick:
            floor = statistics.median(yardstick)
            reference = f'{name} {floor:.3f}'
            ratio = f'{got / floor:.2f}'
        peak = f'{max(memory) / (1 << 20):.0f}' if memory else ''
        self.rows.append((what, f'{got:.3f}', reference, ratio, peak))
        print('| ' + ' | '.join(self.rows[-1]) + ' |', flush=True)

    # ---- what is measured

    def listing(self, what):
        account = self.server.new_account()
        count = self.options.count
        account.fill('Big', count=count, size=200)
        self.wire(account, 'headers', 'Big')     # the server's own cache is warm for both
        first, wire, remount, memory = [], [], [], []
        again, floor = ([], []), ([], [])
        for _ in range(self.options.times):
            wire.append(self.wire(account, 'headers', 'Big'))
            home = self.home()
            mount = self.mount(account, home)
            first.append(seconds('ls', mount.path / 'Big'))
            memory.append(mount.peak_memory())
            if 'again' in what:
                for i in (0, 1):
                    again[i].append(seconds('ls', '-l', mount.path / 'Big'))
                for i, measured in enumerate(self.floor(mount.path / 'Big')):
                    floor[i].append(measured)
            mount.stop()
            if 'remount' in what:
                begin = time.monotonic()
                mount.start()
                seconds('ls', mount.path / 'Big')
                remount.append(time.monotonic() - begin)
                mount.stop()
            shutil.rmtree(home.base)
        self.row(f'first `ls` of {count} messages', first, wire, 'wire headers', memory)
        if 'again' in what:
            self.row(f'`ls -l` of {count}, listed before', again[0], floor[0], 'fuse floor')
            self.row('the same once more', again[1], floor[1], 'fuse floor')
        if remount:
            self.row(f'remount and `ls` of {count}', remount, None, '')

    def floor(self, directory):
        """`ls -l` of as many names, twice, by a file system that only answers from memory."""
        program = self.scratch / 'floor'
        if not program.exists():
            flags = subprocess.run(['pkg-config', '--cflags', '--libs', 'fuse3'], check=True,
                                   capture_output=True, text=True).stdout.split()
            subprocess.run(['cc', '-O2', '-o', program, HERE / 'floor.c', *flags], check=True)
        names = self.scratch / 'names'
        names.write_text('\n'.join(os.listdir(directory)) + '\n', encoding='utf-8')
        point = self.scratch / 'floor-mnt'
        point.mkdir(exist_ok=True)
        process = subprocess.Popen([program, names, point])
        mounting.wait_until(lambda: mounting.mount_entry(point), what='floor')
        seconds('ls', point)        # as in the mount: it has been listed once
        measured = [seconds('ls', '-l', point) for _ in range(2)]
        subprocess.run(['fusermount3', '-u', point], check=True)
        process.wait(10)
        return measured

    def large(self):
        account = self.server.new_account()
        imap = account.client()
        line = b'0123456789abcdefghijklmnopqrstuvwxyz' * 2 + b'\r\n'
        imap.append('INBOX', scripted.sample_message(1) + line * (50_000_000 // len(line)))
        imap.close()
        measured, wire, memory = [], [], []
        for _ in range(self.options.times):
            wire.append(self.wire(account, 'bodies', 'INBOX'))
            home = self.home()
            mount = self.mount(account, home)
            name, = os.listdir(mount.path / 'INBOX')
            measured.append(seconds('cat', mount.path / 'INBOX' / name))
            memory.append(mount.peak_memory())
            mount.stop()
            shutil.rmtree(home.base)
        self.row('`cat` of a 50 MB message', measured, wire, 'wire bodies', memory)

    def grep(self, what):
        account = self.server.new_account()
        account.fill('Work', count=10000, size=3000)
        cold, wire, warm, disk, memory = [], [], [], [], []
        copy = self.scratch / 'copy'
        self.wire(account, 'bodies', 'Work')
        for _ in range(self.options.times):
            wire.append(self.wire(account, 'bodies', 'Work'))
            home = self.home()
            mount = self.mount(account, home)
            os.listdir(mount.path / 'Work')
            cold.append(self.search(mount.path))
            memory.append(mount.peak_memory())
            if 'warm' in what:
                self.search(mount.path)
                warm.append(self.search(mount.path))
                if not copy.exists():
                    subprocess.run(['cp', '-a', mount.path, copy], check=True)
                self.search(copy)
                disk.append(self.search(copy))
            mount.stop()
            shutil.rmtree(home.base)
        if 'grep' in what:
            self.row('cold `grep -r` of 10,000 (32 MB)', cold, wire, 'wire bodies', memory)
        if warm:
            self.row('warm `grep -r` of the same', warm, disk, 'local files')

    def search(self, directory):
        begin = time.monotonic()
        subprocess.run(['grep', '-r', 'no such words here', directory], check=False)
        return time.monotonic() - begin


def versions(options):
    def first_line(*command):
        out = subprocess.run(command, capture_output=True, text=True).stdout
        return out.splitlines()[0] if out else '?'
    print(f'{time.strftime("%Y-%m-%d")}, {platform.system()} {platform.release()}, '
          f'{os.cpu_count()} cores, dovecot {first_line("dovecot", "--version")}, '
          f'{first_line("fusermount3", "--version")}, '
          f'{first_line(str(options.mailmount), "--version")}, '
          f'{"plain text" if options.plain else "TLS"}, medians of {options.times}\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--mailmount', default=ROOT / 'build/src/mailmount', type=pathlib.Path)
    parser.add_argument('--count', type=int, default=100000)
    parser.add_argument('--times', type=int, default=3)
    parser.add_argument('--plain', action='store_true')
    kinds = ['first', 'again', 'remount', 'large', 'grep', 'warm']
    parser.add_argument('what', nargs='*', metavar='WHAT')
    options = parser.parse_args()
    what = options.what or kinds
    if set(what) - set(kinds):
        parser.error(f'WHAT is one of {" ".join(kinds)}')
    options.mailmount = options.mailmount.resolve()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='mm-bench-'))
    scratch.chmod(0o755)
    bench = Bench(options, scratch)
    try:
        versions(options)
        print('| work | seconds | yardstick | ratio | memory, MiB |\n|---|---|---|---|---|',
              flush=True)
        if {'first', 'again', 'remount'} & set(what):
            bench.listing(what)
        if 'large' in what:
            bench.large()
        if {'grep', 'warm'} & set(what):
            bench.grep(what)
    finally:
        bench.stop()
        shutil.rmtree(scratch, ignore_errors=True)


main()
