"""A mount of a good folder and a bad one: what the tests of hostile answers share."""
import errno
import os
import pathlib

import compare
import mount as mounting
import scripted as fake

GROWTH = 16 << 20
DATA = fake.sample_message(1, size=9000)


def read(path):
    """The bytes, or the name of the error."""
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        return errno.errorcode[error.errno]


def listing(path):
    try:
        return sorted(os.listdir(path))
    except OSError as error:
        return errno.errorcode[error.errno]


class Bad:
    """A mount of a good folder and a bad one with a message whose body is answered oddly."""

    def __init__(self, mounts, scripted, sanitized, folder, options=()):
        self.server = scripted([fake.Folder('INBOX', [fake.sample_message(i) for i in range(9)]),
                                folder])
        self.mount = mounts.plain(self.server.port, ['timeout=3', *options])
        self.sanitized = sanitized
        self.good = compare.folder_files(self.mount.path / 'INBOX')
        assert len(self.good) == 9
        read(self.good[0])
        self.before = self.mount.peak_memory()

    def path(self):
        return compare.folder_files(self.mount.path / 'Bad')[0]

    def still_works(self):
        """The rest of the mount, at once or after a reconnection."""
        assert len(os.listdir(self.mount.path / 'INBOX')) == 9
        mounting.wait_until(lambda: isinstance(read(self.good[1]), bytes), 40, 0.2,
                            'another message read')
        number = int(compare.xattr(self.good[1], 'user.imap.uid')) - 1
        assert read(self.good[1]) == self.server.folder('INBOX').messages[number].data
        if not self.sanitized:
            assert self.mount.peak_memory() - self.before < GROWTH


# ---- answers

MEGABYTE = b'x' * (1 << 20)


def many_pieces(head, piece, count):
    def action(session, tag, command):
        session.send(head)
        for _ in range(count):
            session.send(piece)
        session.stall(2)
        return f'\r\n{tag} OK done\r\n'
    return action


def bye_line_in_data(session, tag, command):
    session.send(b'* BYE going down\r\n')
    session.shut()


def twice(session, seq, items, usual):
    session.send(usual + usual)
