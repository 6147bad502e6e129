#!/usr/bin/python3
"""reader.py -- reads a mount at random, until SIGTERM; tells what is wrong, and at the end how much.

usage: reader.py MOUNT [--seed N] [--pace SECONDS] [--allow ERRNO,...]

Lists, stats and reads.  What vanishes meanwhile is no matter; an errno that is neither ENOENT nor
allowed is, and so is a message that is not whole (chaos.message): short, padded, or another's.  In a
folder that was deleted on the server EIO may come until a second LIST agrees, but not for ever.
"""
import argparse
import errno
import os
import random
import re
import signal
import sys
import time


FORGIVEN = 60       # seconds


class Reader:
    def __init__(self, options):
        self.top = options.mount
        self.pace = options.pace
        self.random = random.Random(options.seed)
        self.allowed = {errno.ENOENT, *(getattr(errno, name)
                                        for name in options.allow.split(',') if name)}
        self.ended = False
        self.walks = self.stats = self.reads = self.refused = self.wrong = 0
        self.slowest = 0.0
        self.failing = {}       # directory -> since when it says EIO

    def complain(self, text):
        self.wrong += 1
        print(f'wrong: {text}', flush=True)

    def attempt(self, what, path):
        begin = time.monotonic()
        directory = path if what == self.list else os.path.dirname(path)
        try:
            result = what(path)
            self.failing.pop(directory, None)
            return result
        except OSError as error:
            self.refused += error.errno != errno.ENOENT
            if error.errno == errno.ENOENT:
                self.failing.pop(directory, None)
            elif error.errno == errno.EIO and \
                    begin < self.failing.setdefault(directory, begin) + FORGIVEN:
                pass
            elif error.errno not in self.allowed:
                self.complain(f'{what.__name__} {path}: {error.strerror}')
            return None
        finally:
            self.slowest = max(self.slowest, time.monotonic() - begin)

    def read(self, path):
        with open(path, 'rb') as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read()
        self.reads += 1
        if len(data) != size:
            self.complain(f'{path}: {len(data)} bytes, fstat says {size}')
        begin = re.search(rb'\r\n\r\nbegin (\d+)\r\n', data)
        if begin and not data.endswith(b'\r\nend %s\r\n' % begin[1]):
            self.complain(f'{path}: does not end as it begins')
        if b'\0' in data:
            self.complain(f'{path}: padded')

    def list(self, path):
        entries = list(os.scandir(path))
        names = [entry.name for entry in entries]
        if len(names) != len(set(names)):
            self.complain(f'{path}: a name twice')
        return entries

    def walk(self, path):
        entries = self.attempt(self.list, path) or []
        files = [entry.path for entry in entries if not entry.is_dir(follow_symlinks=False)]
        for file in self.random.sample(files, min(len(files), 30)):
            self.attempt(os.lstat, file)
            self.stats += 1
        for file in self.random.sample(files, min(len(files), 3)):
            self.attempt(self.read, file)
            time.sleep(self.pace / 10)
        for entry in entries:
            if self.ended:
                return
            if entry.is_dir(follow_symlinks=False):
                self.walk(entry.path)

    def run(self):
        while not self.ended:
            self.walk(self.top)
            self.walks += 1
            time.sleep(self.pace * self.random.random() * 2)
        print(f'walks={self.walks} stats={self.stats} reads={self.reads} refused={self.refused} '
              f'wrong={self.wrong} slowest={self.slowest:.2f}', flush=True)

    def end(self, *_):
        self.ended = True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('mount')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--pace', type=float, default=0.05)
    parser.add_argument('--allow', default='')
    reader = Reader(parser.parse_args())
    signal.signal(signal.SIGTERM, reader.end)
    reader.run()
    sys.exit(1 if reader.wrong else 0)


main()
