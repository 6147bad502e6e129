"""Whether a mount is the server, whenever the server is quiet; and what may never change."""
import hashlib
import os
import pathlib
import random
import time

import compare
import names

HERE = pathlib.Path(__file__).parent
WITHIN = 120        # seconds; a hang limit


class Wrong(AssertionError):
    """The mount is not what the server is (yet)."""


class Witness:
    """Remembers what a mount showed, as long as its cache lives."""

    def __init__(self):
        self.tokens = {}        # inode -> hash of the message: a number is never given twice
        self.shown = {}         # (raw folder, UIDVALIDITY, UID) -> (name, inode)

    def see(self, shown, contents, moved):
        """`shown` as above, of now; `contents`: inode -> hash.  Raises at once: no waiting helps."""
        for inode, token in contents.items():
            known = self.tokens.setdefault(inode, token)
            assert known == token, f'inode {inode} was another message before'
        for key, (name, inode) in shown.items():
            before = self.shown.get(key)
            if before and key[0] not in moved:
                assert before == (name, inode), f'{key}: was {before}, is {(name, inode)}'
        self.shown = shown


class Truth:
    """An account as the server has it, read once."""

    def __init__(self, account):
        imap = account.client()
        self.folders = compare.expected_directories(imap.folders(), account.server.prefix)
        self.messages = {path: imap.messages(folder.raw) if folder else {}
                         for path, folder in self.folders.items()}
        self.uidvalidity = {path: imap.uidvalidity(folder.raw) if folder else 0
                            for path, folder in self.folders.items()}
        imap.close()

    def total(self):
        return sum(map(len, self.messages.values()))


def check(condition, *what):
    if not condition:
        raise Wrong(' '.join(map(str, what)))


def check_message(path, message, uidvalidity):
    at = os.stat(path)
    check(at.st_size == message.size, path, 'size', at.st_size, 'not', message.size)
    check(at.st_mtime == message.internaldate, path, 'mtime')
    flags = sorted(compare.xattr(path, 'user.imap.flags').lower().split())
    check(flags == sorted(flag.lower() for flag in message.flags), path, flags, 'not',
          sorted(message.flags))
    check(compare.xattr(path, 'user.imap.uidvalidity') == str(uidvalidity), path, 'UIDVALIDITY')
    name = os.path.basename(path)
    plain = names.message_name(message.data, message.internaldate)
    check(name in (plain, names.twin_name(plain, message.uid)), name, 'not', plain)
    return name, at.st_ino


def check_folder(directory, path, truth, shown, contents):
    messages = truth.messages[path]
    listed = os.listdir(directory)
    check(len(listed) == len(set(listed)), directory, 'a name twice')
    by_uid = {}
    for entry in os.scandir(directory):
        if entry.is_file(follow_symlinks=False):
            by_uid.setdefault(int(compare.xattr(entry.path, 'user.imap.uid')), entry.path)
    check(sorted(by_uid) == sorted(messages), directory, 'has', len(by_uid), 'messages, not',
          len(messages), 'too many:', sorted(set(by_uid) - set(messages))[:5], 'missing:',
          sorted(set(messages) - set(by_uid))[:5])
    raw = truth.folders[path].raw if truth.folders[path] else ''
    for uid, message in messages.items():
        name, inode = check_message(by_uid[uid], message, truth.uidvalidity[path])
        shown[raw, truth.uidvalidity[path], uid] = name, inode
        contents[inode] = hashlib.sha256(message.data).digest()
    return [(by_uid[uid], message.data) for uid, message in messages.items()]


def check_account(mount, truth, rng, sample, witness, moved):
    """Listings, names, sizes, dates and flags of everything, the bytes of a sample."""
    found = sorted(compare.all_directories(mount.path))
    check(found == sorted(truth.folders), 'folders', found, 'not', sorted(truth.folders))
    shown, contents, files = {}, {}, []
    for path in sorted(truth.folders):
        files += check_folder(mount.path / path, path, truth, shown, contents)
    for path, data in rng.sample(files, min(sample, len(files))):
        with open(path, 'rb') as file:
            check(file.read() == data, path, 'has other bytes')
    witness.see(shown, contents, moved)
    return len(files)


def has_verb(mount, name):
    return f'\n  {name} ' in mount.verb('help').out


def converges(mount, account, seed=0, sample=40, witness=None, moved=(), within=WITHIN):
    """Waits until the mount is the server, which must be quiet.  Returns (messages, seconds)."""
    truth = Truth(account)
    witness = witness or Witness()
    begin = time.monotonic()
    while True:
        try:
            rng = random.Random(seed)
            return check_account(mount, truth, rng, sample, witness, moved), \
                time.monotonic() - begin
        except (Wrong, OSError, KeyError) as error:
            if time.monotonic() > begin + within:
                raise Wrong(f'not within {within} s: {error!r}') from error
        time.sleep(0.25)
