"""Delta sync: what it costs, and what a restart does to it.  test_converge.py compares far more."""
import os
import time

import converge
import mount as mounting
import pytest
from chaos import Chaos

BASIC = 'IMAP4rev1 LITERAL+ NAMESPACE UIDPLUS UNSELECT MOVE ENABLE'
LEVELS = {
    'qresync': BASIC + ' ESEARCH LIST-STATUS LIST-EXTENDED IDLE CONDSTORE QRESYNC',
    'condstore': BASIC + ' ESEARCH LIST-STATUS LIST-EXTENDED IDLE CONDSTORE',
    'neither': BASIC + ' IDLE',
}


@pytest.mark.parametrize('level', LEVELS)
def test_restarts(mounts, dovecot_with, level, seed):
    """Changes while nothing is mounted, and kill -9 at any moment: the next mount catches up."""
    account = dovecot_with(caps=LEVELS[level]).new_account()
    account.fill('INBOX', count=30)
    chaos = Chaos(account, seed)
    mount = mounts.account(account, ['poll=1'])
    witness = converge.Witness()
    converge.converges(mount, account, witness=witness)
    for number in range(3):
        if number % 2:
            mount.kill()
        else:
            mount.stop()
        for _ in range(15):
            chaos.step()
        mount.start()
        converge.converges(mount, account, witness=witness, moved=chaos.moved)
        chaos.moved.clear()
    chaos.close()


def test_nothing_changed_costs_nothing(mounts, account):
    """A poll of an unchanged account is one LIST and one GETQUOTAROOT, whatever it holds."""
    account.fill(*(f'F{i}' for i in range(10)), count=5)
    mount = mounts.account(account, ['poll=1'])
    for i in range(10):
        os.listdir(mount.path / f'F{i}')
    mounting.wait_until(lambda: mount.status()['jobs_running'] == 0, 60)
    time.sleep(2.5)
    begin = time.monotonic()
    before = mount.status()
    time.sleep(3)
    after = mount.status()
    polls = time.monotonic() - begin + 1        # a loaded machine sleeps longer
    assert after['commands'] - before['commands'] <= 3 * polls
    assert after['bytes_down'] - before['bytes_down'] <= 10000 * polls
