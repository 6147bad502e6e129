"""kill -9 of the daemon at any byte of a sync: the next mount goes on from what was there.

The proxy kills it when a random number of bytes has come from the server.  Afterwards the mount equals
the server, what was visible has its name and inode, and no header is fetched twice but what was under
way.
"""
import os
import random
import signal
import subprocess
import threading
import time

import chaos
import converge
import mount as mounting
import pytest
from proxy import TO_CLIENT, Proxy

UNDER_WAY = 4 * 1000 + 500      # windows in flight, and a batch of rows (core/listing.c)
HEADER = 'BODY[HEADER.FIELDS'


class Counting(Proxy):
    """Counts the headers that pass, too."""

    def __init__(self, target):
        self.headers = 0
        self.tails = {}
        super().__init__(target)

    def pass_on(self, direction, end, data):
        if direction == TO_CLIENT:
            joined = self.tails.get(end, b'') + data
            self.headers += joined.count(HEADER.encode())
            self.tails[end] = joined[-len(HEADER) + 1:]
        return super().pass_on(direction, end, data)


@pytest.fixture
def counting():
    started = []

    def start(port):
        started.append(Counting(port))
        return started[-1]
    yield start
    for proxy in started:
        proxy.stop()


class Victim:
    """One account's mount, which is killed and started again."""

    def __init__(self, mounts, account, proxy, rng):
        self.proxy = proxy
        self.random = rng
        self.killed = threading.Event()
        self.mount = mounts.make(f'imap://{account.user}@127.0.0.1:{proxy.port}',
                                 account.password, ['tls=none', 'poll=86400'])

    def kill(self):
        for pid in self.mount.pids():
            mounting.kill_quietly(pid, signal.SIGKILL)
        self.killed.set()

    def dies_within(self, count, action):
        """Whether it was killed: after `count` more bytes from the server, while action() runs."""
        self.killed.clear()
        self.proxy.trap(TO_CLIENT, count, self.kill)
        result = action()
        self.proxy.heal()
        if self.killed.is_set():
            mounting.wait_until(lambda: not self.mount.pids(), 60, what='killed')
        return result


def listing_of(directory):
    """`ls`, which a kill may end in any way."""
    return subprocess.run(['ls', '-U', directory], capture_output=True, timeout=170)


def run_first_listing(mounts, account, counting, seed, count, kills):
    """Killed again and again while a folder is listed for the first time."""
    rng = random.Random(seed)
    account.fill('Big', count=count, size=300)
    proxy = counting(account.server.port)
    victim = Victim(mounts, account, proxy, rng)
    victim.mount.start()
    begun = proxy.bytes_down
    os.listdir(victim.mount.path / 'Big')
    whole = proxy.bytes_down - begun        # of a listing that nobody disturbs
    victim.mount.stop()
    victim.mount.home.forget_cache()
    proxy.headers = 0
    done = 0
    while done < kills:
        victim.mount.start()
        victim.dies_within(rng.randint(1, max(2, whole // 4)),
                           lambda: listing_of(victim.mount.path / 'Big'))
        if victim.killed.is_set():
            done += 1
        else:                               # it is complete: from the beginning
            victim.mount.stop()
            victim.mount.home.forget_cache()
            assert proxy.headers <= count + done * UNDER_WAY
            proxy.headers = 0
    victim.mount.start()
    assert len(os.listdir(victim.mount.path / 'Big')) == count
    converge.converges(victim.mount, account)
    return victim


def test_first_listing(mounts, account, counting, seed):
    run_first_listing(mounts, account, counting, seed, 3000, 3)


@pytest.mark.long
def test_first_listing_long(mounts, backend, counting, seed):
    run_first_listing(mounts, backend.new_account(), counting, seed, 8000, 15)


def run_deltas(mounts, account, counting, seed, kills):
    """Killed while it catches up with changes; what both have in common stays what it was."""
    rng = random.Random(seed)
    account.fill('INBOX', 'Work', count=150)
    other = chaos.Chaos(account, seed)
    proxy = counting(account.server.port)
    victim = Victim(mounts, account, proxy, rng)
    witness = converge.Witness()
    victim.mount.start()
    converge.converges(victim.mount, account, witness=witness)
    done = 0
    span = 4000
    while done < kills:
        victim.mount.stop()
        for _ in range(20):
            other.step()
        victim.dies_within(rng.randint(1, span), lambda: catch_up(victim.mount))
        done += victim.killed.is_set()
        span = span * 5 // 4 if victim.killed.is_set() else max(2, span // 2)
        if victim.killed.is_set():
            victim.mount.start()
        converge.converges(victim.mount, account, witness=witness, moved=other.moved)
        other.moved.clear()
    other.close()


def catch_up(mount):
    mount.try_start()
    try:
        os.listdir(mount.path / 'INBOX')
        time.sleep(1)              # the moments in which a kill is to come
    except OSError:
        pass


@pytest.mark.parametrize('level', ['all', 'neither'])
def test_deltas(mounts, dovecot_with, counting, seed, level):
    caps = {'caps': 'IMAP4rev1 LITERAL+ NAMESPACE UIDPLUS UNSELECT MOVE ENABLE IDLE'}
    account = dovecot_with(**(caps if level == 'neither' else {})).new_account()
    run_deltas(mounts, account, counting, seed, 2)


@pytest.mark.long
@pytest.mark.parametrize('level', ['all'])
def test_deltas_long(mounts, dovecot_with, counting, seed, level):
    caps = {'caps': 'IMAP4rev1 LITERAL+ NAMESPACE UIDPLUS UNSELECT MOVE ENABLE IDLE'}
    account = dovecot_with(**(caps if level == 'neither' else {})).new_account()
    run_deltas(mounts, account, counting, seed + 1, 15)


@pytest.mark.long
def test_deltas_on_cyrus(mounts, cyrus, counting, seed):
    run_deltas(mounts, cyrus.new_account(), counting, seed + 2, 10)


def test_bodies(mounts, account, counting, seed):
    """Killed while bodies come: what has come is not asked for again, but the last."""
    rng = random.Random(seed)
    account.fill('INBOX', count=600, size=2000)
    proxy = counting(account.server.port)
    victim = Victim(mounts, account, proxy, rng)
    victim.mount.start()
    os.listdir(victim.mount.path / 'INBOX')
    kills = 2
    for _ in range(kills):
        victim.dies_within(rng.randint(200_000, 500_000), lambda: subprocess.run(
            ['grep', '-r', 'nothing like this', victim.mount.path / 'INBOX'],
            capture_output=True, timeout=170))
        assert victim.killed.is_set()
        victim.mount.start()
    converge.converges(victim.mount, account, sample=600)
    assert proxy.bodies <= 600 + kills * 200
