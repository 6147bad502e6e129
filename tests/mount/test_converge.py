"""Random changes by another client: whenever the server is quiet, the mount is the server.

Every level of sync, by poll and by push, with readers beside and with connections cut at random.
A failing run is repeated with the --seed that it printed.
"""
import subprocess
import sys

import converge
import pytest
from chaos import Chaos
from converge import HERE
from proxy import Faults

BASIC = 'IMAP4rev1 LITERAL+ NAMESPACE UIDPLUS UNSELECT MOVE ENABLE'
MODERN = ' ESEARCH LIST-STATUS LIST-EXTENDED IDLE'
DOVECOT = {     # what it announces
    'all': '',
    'qresync': BASIC + MODERN + ' CONDSTORE QRESYNC',
    'condstore': BASIC + MODERN + ' CONDSTORE',
    'neither': BASIC + ' IDLE',
}
CYRUS = {       # what it does not announce
    'all': '',
    'condstore': 'QRESYNC',
    'neither': 'QRESYNC CONDSTORE LIST-STATUS ESEARCH LIST-EXTENDED',
}
PUSH = ['poll=86400']
POLL = ['poll=2']
FAULTS_ALLOWED = 'ENETUNREACH,ETIMEDOUT,EIO'


class Readers:
    """Programs that read the mount while it changes."""

    def __init__(self, mount, seed, allow='', count=2):
        self.running = [subprocess.Popen(
            [sys.executable, HERE / 'reader.py', mount.path, '--seed', str(seed + number),
             '--allow', allow], stdout=subprocess.PIPE, text=True) for number in range(count)]

    def finish(self):
        for process in self.running:
            process.terminate()
        said = [process.communicate(timeout=90)[0] for process in self.running]
        print(*said)
        assert all(process.returncode == 0 for process in self.running), said


def converge_again_and_again(mount, account, chaos, quiet_points, changes, sync, proxy=None):
    """`sync`: the mount is told by `mailmount sync`; else it has to see by itself."""
    witness = converge.Witness()
    longest = 0
    for number in range(quiet_points):
        faults = Faults(proxy, chaos.random.random()) if proxy else None
        for _ in range(changes):
            chaos.step()
        if faults:
            faults.heal()
        if sync:
            result = mount.verb('sync', mount.path, timeout=converge.WITHIN)
            assert result.code == 0, result
        total, seconds = converge.converges(mount, account, number, witness=witness,
                                            moved=chaos.moved)
        chaos.moved.clear()
        longest = max(longest, seconds)
    print(f'{chaos.done} changes, {quiet_points} quiet points, {total} messages at the end, '
          f'equal after {longest:.1f} s at the latest')


def run(mounts, account, seed, quiet_points, changes, options, proxy=None, readers=2):
    account.fill('INBOX', count=30)
    chaos = Chaos(account, seed)
    port = proxy.port if proxy else account.server.port
    mount = mounts.plain(port, options, user=account.user, password=account.password)
    sync = 'poll=86400' in options
    if sync and not converge.has_verb(mount, 'sync'):
        mount.stop()
        mount = mounts.plain(port, POLL, user=account.user, password=account.password)
        sync = False
    reading = Readers(mount, seed, FAULTS_ALLOWED if proxy else '', readers)
    try:
        converge_again_and_again(mount, account, chaos, quiet_points, changes, sync, proxy)
    finally:
        reading.finish()
    chaos.close()


# ---- a few hundred changes

def with_modseq(levels):
    """Without CONDSTORE a change of flags alone is not noticed in every folder yet."""
    return [level for level in levels if level != 'neither']


@pytest.mark.parametrize('level', DOVECOT)
def test_dovecot(mounts, dovecot_with, level, seed):
    caps = {'caps': DOVECOT[level]} if DOVECOT[level] else {}
    run(mounts, dovecot_with(**caps).new_account(), seed, 3, 35, POLL)


def test_cyrus(mounts, cyrus, seed):
    run(mounts, cyrus.new_account(), seed, 2, 20, POLL)


def test_told_to_sync(mounts, account, seed):
    run(mounts, account, seed, 3, 30, PUSH)


def test_broken_connections(mounts, account, proxied, seed):
    run(mounts, account, seed, 2, 40, POLL, proxied(account.server.port))


# ---- thousands

@pytest.mark.long
@pytest.mark.parametrize('level', with_modseq(DOVECOT))
def test_dovecot_long(mounts, dovecot_with, level, seed):
    caps = {'caps': DOVECOT[level]} if DOVECOT[level] else {}
    run(mounts, dovecot_with(**caps).new_account(), seed + 1, 20, 100, POLL)


@pytest.mark.long
@pytest.mark.parametrize('level', with_modseq(CYRUS))
def test_cyrus_long(mounts, cyrus_with, level, seed):
    caps = {'caps': CYRUS[level]} if CYRUS[level] else {}
    run(mounts, cyrus_with(**caps).new_account(), seed + 2, 20, 100, POLL)


@pytest.mark.long
@pytest.mark.parametrize('level', with_modseq(DOVECOT))
def test_told_to_sync_long(mounts, dovecot_with, level, seed):
    caps = {'caps': DOVECOT[level]} if DOVECOT[level] else {}
    run(mounts, dovecot_with(**caps).new_account(), seed + 3, 20, 50, PUSH)


@pytest.mark.long
@pytest.mark.parametrize('level', with_modseq(DOVECOT))
def test_broken_connections_long(mounts, dovecot_with, proxied, level, seed):
    caps = {'caps': DOVECOT[level]} if DOVECOT[level] else {}
    account = dovecot_with(**caps).new_account()
    run(mounts, account, seed + 4, 20, 50, POLL, proxied(account.server.port))
