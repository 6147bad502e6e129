"""Holds a mount against what imaplib says: every byte, size, date, flag and name."""
import errno
import os
import subprocess

import client
import names


def xattr(path, name):
    return os.getxattr(path, name).decode('utf-8', 'surrogateescape')


def xattr_or_none(path, name):
    try:
        return xattr(path, name)
    except OSError as error:
        assert error.errno == errno.ENODATA
        return None


def folder_files(directory):
    return [entry.path for entry in os.scandir(directory) if entry.is_file(follow_symlinks=False)]


def all_directories(top):
    """Paths below the mount point of all directories."""
    found = []
    for path, directories, _ in os.walk(top, onerror=raise_it):
        found += [os.path.relpath(os.path.join(path, name), top) for name in directories]
    return found


def raise_it(error):
    raise error


def expected_directories(folders, prefix=''):
    """Every folder and its parents, as paths below the mount point."""
    paths = {}
    for folder in folders:
        path = names.folder_path(folder.raw, folder.delimiter, prefix)
        if folder.selectable:
            paths[path] = folder
        else:
            paths.setdefault(path, None)
        while '/' in path:
            path = path.rpartition('/')[0]
            paths.setdefault(path, None)
    return paths


def expected_names(messages):
    """uid -> file name, twins included."""
    plain = {uid: names.message_name(message.data, message.internaldate)
             for uid, message in messages.items()}
    first = {}
    for uid in sorted(plain):
        first.setdefault(plain[uid], uid)
    return {uid: name if first[name] == uid else names.twin_name(name, uid)
            for uid, name in plain.items()}


def compare_message(path, message):
    before = os.stat(path)
    with open(path, 'rb') as file:
        opened = os.fstat(file.fileno())
        data = file.read()
    assert data == message.data, f'{path}: {len(data)} bytes, not {len(message.data)}'
    assert opened.st_size == len(data), path
    assert os.stat(path).st_size == len(data), path
    assert opened.st_mtime == message.internaldate, path
    assert opened.st_nlink == 1
    assert opened.st_ino == before.st_ino
    flags = xattr(path, 'user.imap.flags').split()
    assert sorted(flags, key=str.lower) == sorted(message.flags, key=str.lower), path
    assert client.parse_date(xattr(path, 'user.imap.internaldate').strip('"')) \
        == message.internaldate


def read_in_parallel(files, readers=8):
    """Cyrus takes 12 ms for each command; several readers at once share the waiting."""
    running = [subprocess.Popen(['xargs', '-0', 'cat', '--'], stdin=subprocess.PIPE,
                                stdout=subprocess.DEVNULL) for _ in range(readers)]
    for number, process in enumerate(running):
        process.stdin.write(b'\0'.join(os.fsencode(path) for path in files[number::readers]))
        process.stdin.close()
    for process in running:
        assert process.wait() == 0


def compare_folder(directory, messages, with_names=True, uidvalidity=None):
    """messages: uid -> client.Message."""
    files = folder_files(directory)
    if len(files) > 100:
        read_in_parallel(files)
    by_uid = {int(xattr(path, 'user.imap.uid')): path for path in files}
    assert len(files) == len(by_uid), 'a UID twice'
    assert sorted(by_uid) == sorted(messages)
    for uid, message in messages.items():
        compare_message(by_uid[uid], message)
        if uidvalidity is not None:
            assert xattr(by_uid[uid], 'user.imap.uidvalidity') == str(uidvalidity)
    if with_names:
        expected = expected_names(messages)
        got = {uid: os.path.basename(path) for uid, path in by_uid.items()}
        assert got == expected


def compare_account(mount, account, prefix='', with_names=True):
    """Everything; returns the number of messages."""
    imap = account.client()
    folders = imap.folders()
    expected = expected_directories(folders, prefix)
    assert sorted(all_directories(mount.path)) == sorted(expected)
    total = 0
    for path, folder in expected.items():
        messages = imap.messages(folder.raw) if folder else {}
        uidvalidity = imap.uidvalidity(folder.raw) if folder else None
        compare_folder(mount.path / path, messages, with_names, uidvalidity)
        total += len(messages)
    imap.close()
    return total
