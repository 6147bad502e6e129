#!/usr/bin/python3
"""dents.py -- lists a directory again and again with getdents64(2), until SIGTERM.

usage: dents.py DIRECTORY [--seed N] [--always FILE]

Each pass has a buffer of its own size, from one entry to many, and sometimes rests between two calls
or rewinds in the middle.  In each pass every name of FILE (one a line) must come once, and none twice.
Prints what is wrong, and how many passes there were.
"""
import argparse
import ctypes
import os
import platform
import random
import signal
import struct
import sys
import time

NUMBER = {'x86_64': 217, 'aarch64': 61, 'riscv64': 61}
SIZES = [320, 400, 700, 1500, 4096, 8000, 32768, 262144]
libc = ctypes.CDLL(None, use_errno=True)


def getdents(fd, buffer):
    """[(name, inode)], empty at the end."""
    n = libc.syscall(NUMBER[platform.machine()], fd, buffer, len(buffer))
    if n < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    entries = []
    at = 0
    while at < n:
        inode, _, length = struct.unpack_from('<QqH', buffer, at)
        name = bytes(buffer[at + 19:at + length]).split(b'\0', 1)[0]
        entries.append((name, inode))
        at += length
    return entries


class Lister:
    def __init__(self, options):
        self.directory = options.directory
        self.random = random.Random(options.seed)
        self.always = set()
        if options.always:
            with open(options.always, 'rb') as file:
                self.always = set(file.read().split(b'\n')) - {b''}
        self.inodes = {}
        self.ended = False
        self.passes = self.wrong = 0

    def complain(self, text):
        self.wrong += 1
        print(f'wrong: {text}', flush=True)

    def one_pass(self):
        size = self.random.choice(SIZES)
        rest = self.random.choice([0, 0, 0.0005, 0.01]) if size > 1000 else 0
        buffer = ctypes.create_string_buffer(size)
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if self.random.random() < 0.1:
                getdents(fd, buffer)
                os.lseek(fd, 0, os.SEEK_SET)
            found = []
            while entries := getdents(fd, buffer):
                found += entries
                if rest and self.random.random() < 0.3:
                    time.sleep(rest)
            self.judge(found, size)
        finally:
            os.close(fd)

    def judge(self, found, size):
        names = [name for name, _ in found]
        if len(names) != len(set(names)):
            twice = [name for name in set(names) if names.count(name) > 1]
            self.complain(f'twice (buffer {size}): {twice[:3]}')
        missing = self.always - set(names)
        if missing:
            self.complain(f'skipped {len(missing)} of {len(self.always)} (buffer {size}, '
                          f'{len(names)} came): {sorted(missing)[:3]}')
        for name, inode in found:
            if name in self.always and self.inodes.setdefault(name, inode) != inode:
                self.complain(f'{name}: another inode')
        self.passes += 1

    def run(self):
        while not self.ended:
            self.one_pass()
            time.sleep(self.random.uniform(0, 0.02))
        print(f'passes={self.passes} wrong={self.wrong}', flush=True)

    def end(self, *_):
        self.ended = True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('directory')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--always')
    lister = Lister(parser.parse_args())
    signal.signal(signal.SIGTERM, lister.end)
    lister.run()
    sys.exit(1 if lister.wrong else 0)


if __name__ == '__main__':
    main()
