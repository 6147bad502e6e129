"""A listing while it changes: what was there all the time is never skipped and never doubled."""
import ctypes
import os
import subprocess
import sys
import time

import chaos
import dents
import mount as mounting
import pytest
from converge import HERE

STAY = 150


class Listers:
    def __init__(self, directory, always, seed, count):
        self.running = [subprocess.Popen(
            [sys.executable, HERE / 'dents.py', directory, '--always', always, '--seed',
             str(seed * 100 + number)], stdout=subprocess.PIPE, text=True)
            for number in range(count)]

    def finish(self):
        for process in self.running:
            process.terminate()
        said = [process.communicate(timeout=90)[0] for process in self.running]
        print(*said)
        assert all(process.returncode == 0 for process in self.running), ''.join(said)[:4000]
        return sum(int(text.rpartition('passes=')[2].split()[0]) for text in said)


def change(other, rounds, pause):
    """Messages between those that stay, and at the end: they come and they go."""
    for _ in range(rounds):
        for _ in range(4):
            other.number += 1
            other.imap.append('INBOX', chaos.message(other.number, other.number, 1))
        uids = other.uids('INBOX')
        gone = other.random.sample([uid for uid in uids if uid not in other.stay], 4)
        other.inside('INBOX', ('STORE', ','.join(gone), '+FLAGS', '(\\Deleted)'),
                     ('EXPUNGE', ','.join(gone)))
        time.sleep(pause)


def run(mounts, account, seed, rounds, listers, options):
    other = chaos.Chaos(account, seed)
    for _ in range(2 * STAY):
        other.number += 1
        other.imap.append('INBOX', chaos.message(other.number, other.number, 1))
    uids = other.uids('INBOX')
    other.stay = set(uids[::2])
    mount = mounts.account(account, options)
    directory = mount.path / 'INBOX'
    always = mounts.homes[0].base / 'always'
    names = {os.getxattr(directory / name, 'user.imap.uid').decode(): name
             for name in os.listdir(directory)}
    always.write_text('\n'.join(names[uid] for uid in other.stay), encoding='utf-8')
    listing = Listers(directory, always, seed, listers)
    try:
        change(other, rounds, 0.05)
    finally:
        passes = listing.finish()
    assert passes > 10
    mounting.wait_until(lambda: len(os.listdir(directory)) == 2 * STAY, 60, 0.2, 'the last change')
    other.close()


def test_entries_that_stay(mounts, account, seed):
    """Cached listings and others, all sizes of buffers, four at once."""
    run(mounts, account, seed, 15, 4, [])


@pytest.mark.long
@pytest.mark.parametrize('listers', [1, 4, 8])
def test_entries_that_stay_long(mounts, backend, seed, listers):
    run(mounts, backend.new_account(), seed + listers, 250, listers, ['poll=1'])


@pytest.mark.parametrize('size', [400, 8000])
def test_slow_reader_beside_fast_ones(mounts, account, size):
    """The entry where a reader rests is expunged, others list it all and fill the kernel's cache:
    the first one goes on behind that entry."""
    account.fill('INBOX', count=200, size=300)
    mount = mounts.account(account)
    directory = mount.path / 'INBOX'
    other = account.client()
    buffer = ctypes.create_string_buffer(size)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    found = dents.getdents(fd, buffer) + dents.getdents(fd, buffer)
    last = os.fsdecode(found[-1][0])
    before = set(os.listdir(directory))
    other.expunge('INBOX', os.getxattr(directory / last, 'user.imap.uid').decode())
    mounting.wait_until(lambda: last not in os.listdir(directory), 60, 0.1, 'expunged')
    for _ in range(3):
        assert set(os.listdir(directory)) == before - {last}
    while entries := dents.getdents(fd, buffer):
        found += entries
    os.close(fd)
    names = [os.fsdecode(name) for name, _ in found]
    assert len(names) == len(set(names))
    assert set(names) - {'.', '..'} == before
    other.close()


def test_first_listing_while_mail_arrives(mounts, account, seed):
    """Parked until it is complete; then it has at least all that was there before."""
    account.fill('INBOX', count=1500, size=300)
    other = chaos.Chaos(account, seed)
    for _ in range(4):
        mount = mounts.account(account)
        before = set(other.uids('INBOX'))
        listing = subprocess.Popen(['ls', '-U', mount.path / 'INBOX'], stdout=subprocess.PIPE)
        other.deliver_several('INBOX')
        names = listing.communicate(timeout=90)[0].split()
        assert len(names) == len(set(names)) >= len(before)
        mount.stop()
    other.close()
