"""The other client: random changes of an account, the same ones for the same seed."""
import imaplib
import random
import time

import samples
from client import format_date

FIXED = ('INBOX', 'Work', 'Work/Old', '&ANw-ber &- unter')
FLAGS = ('', '\\Seen', '\\Seen \\Flagged', '\\Answered', '\\Draft \\Deleted', 'work $Forwarded',
         '$Junk work')
LINE = '0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n'
PATIENCE = 60       # seconds that a server may need to come back


def message(number, twin_of, lines):
    """Whole if it ends with the number that it begins with: see reader.py."""
    head = (f'Message-ID: <{twin_of}@chaos>\r\nFrom: Chaos <chaos@example.org>\r\n'
            f'Subject: change {twin_of}\r\n\r\n')
    return f'{head}begin {number}\r\n{LINE * lines}end {number}\r\n'.encode()


class Chaos:
    """step() is one change; `done` counts them.  `moved` are raw names of folders that were renamed
    or removed; who compares clears it."""

    def __init__(self, account, seed, folder_max=250):
        self.random = random.Random(seed)
        self.account = account
        self.folder_max = folder_max
        self.imap = account.client()
        self.done = 0
        self.number = 0
        self.extra = []
        self.extra_number = 0
        self.moved = set()
        for folder in FIXED[1:]:
            self.attempt(lambda imap, name=folder: imap.create(f'"{name}"'))

    def close(self):
        self.imap.close()

    # ---- talking

    def attempt(self, command):
        """(status, data) of command(imaplib).  A server that restarts is waited for."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return command(self.imap.imap)
            except (imaplib.IMAP4.abort, OSError):
                if time.monotonic() > end:
                    raise
            except imaplib.IMAP4.error as error:
                return 'NO', [str(error).encode()]
            self.reconnect(end)

    def reconnect(self, end):
        self.imap.close()
        while True:
            try:
                self.imap = self.account.client()
                return
            except (imaplib.IMAP4.error, OSError):
                if time.monotonic() > end:
                    raise
            time.sleep(0.2)

    def inside(self, folder, *commands):
        """UID commands in an opened folder; a folder that is gone is no matter."""
        def run(imap):
            if imap.select(f'"{folder}"')[0] != 'OK':
                return 'NO', []
            answer = 'OK', []
            for command in commands:
                answer = imap.uid(*command)
            imap.unselect()
            return answer
        return self.attempt(run)

    def uids(self, folder):
        status, data = self.inside(folder, ('SEARCH', 'ALL'))
        return data[0].decode().split() if status == 'OK' and data and data[0] else []

    def some(self, folder, most):
        uids = self.uids(folder)
        count = min(len(uids), self.random.randint(1, most))
        return sorted(self.random.sample(uids, count), key=int), len(uids)

    def folder(self):
        return self.random.choice([*FIXED, 'INBOX', *self.extra])

    # ---- changes

    def deliver(self, folder):
        self.number += 1
        # Some are twins of each other: the same header, another body.
        twin_of = self.number // 3 if self.random.random() < 0.3 else self.number + 10_000_000
        data = message(self.number, twin_of, self.random.randint(0, 60))
        flags = self.random.choice(FLAGS)

        def run(imap):
            imap.literal = data
            return imap._simple_command('APPEND', f'"{folder}"', f'({flags})',
                                        format_date(samples.DATE + twin_of % 1_000_000))
        self.attempt(run)

    def deliver_several(self, folder):
        for _ in range(self.random.randint(2, 8)):
            self.deliver(folder)

    def flag(self, folder):
        uids, _ = self.some(folder, 6)
        how = self.random.choice(['FLAGS', '+FLAGS', '-FLAGS'])
        flags = self.random.choice(FLAGS)
        if uids:
            self.inside(folder, ('STORE', ','.join(uids), how, f'({flags})'))

    def expunge(self, folder):
        uids, total = self.some(folder, 5)
        if total > self.folder_max:
            uids = self.uids(folder)[::2]
        if uids and total > 3:
            self.inside(folder, ('STORE', ','.join(uids), '+FLAGS', '(\\Deleted)'),
                        ('EXPUNGE', ','.join(uids)))

    def copy(self, folder):
        uids, _ = self.some(folder, 3)
        if uids:
            self.inside(folder, ('COPY', ','.join(uids), f'"{self.folder()}"'))

    def move(self, folder):
        uids, _ = self.some(folder, 3)
        if uids:
            self.inside(folder, ('MOVE', ','.join(uids), f'"{self.folder()}"'))

    def new_name(self):
        self.extra_number += 1
        parents = [name for name in self.extra if '/' not in name]
        if parents and self.random.random() < 0.3:
            return f'{self.random.choice(parents)}/Sub {self.extra_number}'
        return self.random.choice(['Extra', 'Caf&AOk-', 'a.b']) + f' {self.extra_number}'

    def new_folder(self, _):
        if len(self.extra) >= 12:
            self.delete_folder(_)
        name = self.new_name()
        if self.attempt(lambda imap: imap.create(f'"{name}"'))[0] == 'OK':
            self.extra.append(name)
            self.deliver_several(name)

    def leaf(self):
        """A folder without children: what becomes of those differs from server to server."""
        leaves = [name for name in self.extra
                  if not any(other.startswith(name + '/') for other in self.extra)]
        return self.random.choice(leaves) if leaves else None

    def rename_folder(self, _):
        old = self.leaf()
        new = self.new_name()
        if not old or new.startswith(old + '/'):
            return
        if self.attempt(lambda imap: imap.rename(f'"{old}"', f'"{new}"'))[0] == 'OK':
            self.extra.remove(old)
            self.extra.append(new)
            self.moved |= {old, new}

    def delete_folder(self, _):
        old = self.leaf()
        if old and self.attempt(lambda imap: imap.delete(f'"{old}"'))[0] == 'OK':
            self.extra.remove(old)
            self.moved.add(old)
            if self.random.random() < 0.3:      # and another one of this name
                if self.attempt(lambda imap: imap.create(f'"{old}"'))[0] == 'OK':
                    self.extra.append(old)
                    self.deliver(old)

    def step(self):
        kind = self.random.choices(
            [self.deliver, self.deliver_several, self.flag, self.expunge, self.copy, self.move,
             self.new_folder, self.rename_folder, self.delete_folder],
            [10, 1.5, 7, 5, 1.5, 3, 0.5, 0.4, 0.3])[0]
        kind(self.folder())
        self.done += 1
