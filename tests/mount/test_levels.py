"""Delta sync: whatever the server can, the mount is the server's whenever it is quiet.

Another client makes random changes (seeded); at each quiet point the whole account is compared.
A failing seed can be run again: MM_TEST_SEED=N.
"""
import os
import random
import time

import compare
import mount as mounting
import pytest
import samples

BASIC = 'IMAP4rev1 LITERAL+ NAMESPACE UIDPLUS UNSELECT MOVE ENABLE'
LEVELS = {
    'qresync': BASIC + ' ESEARCH LIST-STATUS LIST-EXTENDED IDLE CONDSTORE QRESYNC',
    'condstore': BASIC + ' ESEARCH LIST-STATUS LIST-EXTENDED IDLE CONDSTORE',
    'neither': BASIC + ' IDLE',
}
FOLDERS = ('INBOX', 'Work', 'Work/Old')
FLAGS = ('', '\\Seen', '\\Seen \\Flagged', '\\Answered', 'work $Forwarded')
WITHIN = 20


class Chaos:
    """The other client."""

    def __init__(self, account, seed):
        self.random = random.Random(seed)
        self.imap = account.client()
        self.count = 0
        self.extra = 0

    def uids(self, folder):
        self.imap.ok(self.imap.imap.select(f'"{folder}"', readonly=True))
        found = self.imap.ok(self.imap.imap.uid('SEARCH', 'ALL'))[0].decode().split()
        self.imap.ok(self.imap.imap.unselect())
        return found

    def deliver(self, folder):
        self.count += 1
        # Some are twins of each other: the same header, another body.
        header = (f'Message-ID: <{self.count // 3}@chaos>\r\nFrom: chaos@example.org\r\n'
                  f'Subject: change {self.count // 3}\r\n\r\n')
        body = f'{self.count} ' * self.random.randint(1, 400) + '\r\n'
        self.imap.append(folder, (header + body).encode(), self.random.choice(FLAGS),
                         samples.DATE + self.count // 3)

    def flag(self, folder):
        uids = self.uids(folder)
        if uids:
            some = self.random.sample(uids, min(len(uids), self.random.randint(1, 5)))
            self.imap.store(folder, ','.join(some), self.random.choice(FLAGS))

    def expunge(self, folder):
        uids = self.uids(folder)
        if len(uids) > 3:
            self.imap.expunge(folder, ','.join(self.random.sample(uids, 3)))

    def move(self, folder):
        uids = self.uids(folder)
        if uids:
            self.imap.ok(self.imap.imap.select(f'"{folder}"'))
            self.imap.ok(self.imap.imap.uid('MOVE', self.random.choice(uids),
                                            f'"{self.random.choice(FOLDERS)}"'))
            self.imap.ok(self.imap.imap.unselect())

    def new_folder(self, _):
        self.extra += 1
        self.imap.create(f'Extra{self.extra}')
        self.deliver(f'Extra{self.extra}')

    def step(self):
        kind = self.random.choices([self.deliver, self.flag, self.expunge, self.move,
                                    self.new_folder], [10, 6, 3, 3, 0.3])[0]
        kind(self.random.choice(FOLDERS))


def converges(mount, account):
    """The mount equals the server, at the latest after a while."""
    end = time.monotonic() + WITHIN
    while True:
        try:
            compare.compare_account(mount, account, with_names=False)
            return
        except (AssertionError, FileNotFoundError, KeyError):
            if time.monotonic() > end:
                raise
        time.sleep(0.2)


def run(mounts, account, seed, quiet_points, steps):
    print(f'seed {seed}')
    account.fill('INBOX', count=30)
    chaos = Chaos(account, seed)
    for folder in FOLDERS[1:]:
        chaos.imap.create(folder)
    mount = mounts.account(account, ['poll=1'])
    for _ in range(quiet_points):
        for _ in range(steps):
            chaos.step()
        converges(mount, account)
    chaos.imap.close()


def seed_of_run():
    return int(os.environ.get('MM_TEST_SEED', '1'))


@pytest.mark.parametrize('level', LEVELS)
def test_dovecot(mounts, dovecot_with, level):
    account = dovecot_with(caps=LEVELS[level]).new_account()
    run(mounts, account, seed_of_run(), quiet_points=4, steps=40)


def test_cyrus(mounts, cyrus):
    run(mounts, cyrus.new_account(), seed_of_run(), quiet_points=2, steps=20)


@pytest.mark.long
@pytest.mark.parametrize('level', LEVELS)
def test_dovecot_long(mounts, dovecot_with, level):
    account = dovecot_with(caps=LEVELS[level]).new_account()
    run(mounts, account, seed_of_run() + 1, quiet_points=20, steps=100)


@pytest.mark.parametrize('level', LEVELS)
def test_restarts(mounts, dovecot_with, level):
    """Changes while nothing is mounted, and kill -9 at any moment: the next mount catches up."""
    account = dovecot_with(caps=LEVELS[level]).new_account()
    account.fill('INBOX', count=30)
    chaos = Chaos(account, seed_of_run())
    for folder in FOLDERS[1:]:
        chaos.imap.create(folder)
    mount = mounts.account(account, ['poll=1'])
    converges(mount, account)
    for number in range(3):
        if number % 2:
            mount.kill()
        else:
            mount.stop()
        for _ in range(15):
            chaos.step()
        mount.start()
        converges(mount, account)
    chaos.imap.close()


def test_nothing_changed_costs_nothing(mounts, account):
    """A poll of an unchanged account is one LIST and one GETQUOTAROOT, whatever it holds."""
    account.fill(*(f'F{i}' for i in range(10)), count=5)
    mount = mounts.account(account, ['poll=1'])
    for i in range(10):
        os.listdir(mount.path / f'F{i}')
    mounting.wait_until(lambda: mount.status()['jobs_running'] == 0, 10)
    time.sleep(2.5)
    before = mount.status()
    time.sleep(3)
    after = mount.status()
    polls = 4
    assert after['commands'] - before['commands'] <= 3 * polls
    assert after['bytes_down'] - before['bytes_down'] <= 10000 * polls
