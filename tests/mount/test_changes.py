"""What changes on the server shows in the mount, and its kernel caches never hide it."""
import os
import pathlib
import subprocess

import compare
import mount as mounting
import pytest
import samples
import scripted as fake

WITHIN = 30


def names(directory):
    return sorted(os.listdir(directory))


@pytest.fixture
def live(mounts, account):
    """A mount that asks every second, and a client of the same account."""
    account.fill('INBOX', count=20)
    imap = account.client()
    mount = mounts.account(account, ['poll=1'])
    assert len(names(mount.path / 'INBOX')) == 20
    yield mount, imap, account
    imap.close()


def test_new_message(live):
    mount, imap, _ = live
    name = compare.names.message_name(samples.ODD['empty body'], samples.DATE)
    path = mount.path / 'INBOX' / name
    assert not path.exists()        # the kernel remembers that
    before = os.stat(mount.path / 'INBOX').st_mtime_ns
    imap.append('INBOX', samples.ODD['empty body'], '', samples.DATE)
    mounting.wait_until(lambda: len(names(mount.path / 'INBOX')) == 21, WITHIN, 0.1, 'in listing')
    assert path.read_bytes() == samples.ODD['empty body']
    assert os.stat(mount.path / 'INBOX').st_mtime_ns > before


def test_expunged_message(live):
    mount, imap, _ = live
    by_uid = {int(compare.xattr(p, 'user.imap.uid')): p
              for p in compare.folder_files(mount.path / 'INBOX')}
    uid = sorted(by_uid)[4]
    with open(by_uid[uid], 'rb', buffering=0) as file:
        begin = file.read(10)
        before = os.stat(mount.path / 'INBOX').st_mtime_ns
        imap.expunge('INBOX', str(uid))
        mounting.wait_until(lambda: not os.path.exists(by_uid[uid]), WITHIN, 0.1, 'gone')
        assert len(names(mount.path / 'INBOX')) == 19
        assert os.stat(mount.path / 'INBOX').st_mtime_ns > before
        # an open file stays readable
        assert len(begin + file.read()) == os.fstat(file.fileno()).st_size


def test_flags_change(live):
    mount, imap, _ = live
    path = compare.folder_files(mount.path / 'INBOX')[3]
    uid = compare.xattr(path, 'user.imap.uid')
    for flags in ('\\Seen \\Flagged', '', '\\Answered $Forwarded work'):
        before = os.stat(path).st_ctime_ns
        imap.store('INBOX', uid, flags)
        mounting.wait_until(lambda: sorted(compare.xattr(path, 'user.imap.flags').split())
                            == sorted(flags.split()), WITHIN, 0.1, flags)
        assert os.stat(path).st_ctime_ns > before


def test_new_folder(live):
    mount, imap, _ = live
    assert not (mount.path / 'Fresh').exists()
    names(mount.path)
    imap.create('Fresh/Deep')
    imap.append('Fresh/Deep', samples.ODD['empty body'])
    mounting.wait_until(lambda: 'Fresh' in names(mount.path), WITHIN, 0.1, 'the folder')
    assert names(mount.path / 'Fresh') == ['Deep']
    assert len(names(mount.path / 'Fresh/Deep')) == 1


def test_removed_folder(live):
    mount, imap, account = live
    imap.create('Doomed')
    imap.append('Doomed', samples.ODD['empty body'])
    mounting.wait_until(lambda: 'Doomed' in names(mount.path), WITHIN, 0.1, 'the folder')
    names(mount.path / 'Doomed')
    imap.ok(imap.imap.delete('Doomed'))
    mounting.wait_until(lambda: 'Doomed' not in names(mount.path), WITHIN, 0.1, 'gone')
    assert not (mount.path / 'Doomed').exists()


def test_empty_list_removes_nothing(mounts, scripted):
    """Absence is no deletion: a LIST that fails, or is empty once, changes nothing."""
    folders = [fake.Folder(name, [fake.sample_message(1)]) for name in ('INBOX', 'A', 'B')]
    server = scripted(folders)
    mount = mounts.plain(server.port, ['poll=1'])
    for name in ('INBOX', 'A', 'B'):
        assert len(names(mount.path / name)) == 1
    server.clear_log()
    server.rule('^LIST', lambda s, t, c: f'{t} OK nothing here\r\n', times=1)
    mounting.wait_until(lambda: len(server.commands('^LIST')) >= 1, WITHIN, what='LIST')
    assert names(mount.path) == ['A', 'B', 'INBOX']
    server.rule('^LIST', lambda s, t, c: f'{t} NO not now\r\n')
    mounting.wait_until(lambda: len(server.commands('^LIST')) >= 4, WITHIN, what='more LIST')
    assert names(mount.path) == ['A', 'B', 'INBOX']
    for name in ('INBOX', 'A', 'B'):
        assert len(names(mount.path / name)) == 1


@pytest.mark.parametrize('listed', [True, False])
def test_stale_list_is_not_believed(mounts, scripted, listed):
    """Dovecot 2.3 goes on naming a deleted folder on a connection that was there before, without
    its STATUS: a new connection is asked."""
    folders = [fake.Folder(name, [fake.sample_message(1)]) for name in ('INBOX', 'A', 'B')]
    server = scripted(folders)
    mount = mounts.plain(server.port, ['poll=1'])
    for name in ('INBOX', 'A', 'B') if listed else ('INBOX', 'A'):
        assert len(names(mount.path / name)) == 1
    old = server.connections

    def stale(session, tag, command):
        if session.number > old:
            return None
        session.line('* LIST () "/" "B"')
        session.line("* NO Mailbox doesn't exist: B")
        session.do_list(tag, command)
        return b''
    server.folders.remove(folders[2])
    server.rule('^LIST .*STATUS', stale)
    mounting.wait_until(lambda: names(mount.path) == ['A', 'INBOX'], 60, 0.1, 'B is gone')
    assert len(names(mount.path / 'A')) == 1


def test_empty_search_removes_nothing(mounts, scripted):
    """A SEARCH that contradicts EXISTS, or is refused, deletes nothing."""
    folder = fake.Folder('INBOX', [fake.sample_message(i) for i in range(5)])
    server = scripted([folder])
    mount = mounts.plain(server.port, ['poll=1'])
    before = names(mount.path / 'INBOX')
    for answer in ('* SEARCH\r\n* ESEARCH (TAG "%s") UID\r\n%s OK done\r\n', '%.0s%s NO no\r\n'):
        server.rule('^UID SEARCH', lambda s, t, c: answer % (t, t))
        folder.add(fake.sample_message(50 + len(folder.messages)))    # so that it looks
        server.clear_log()
        mounting.wait_until(lambda: server.commands('^UID SEARCH'), WITHIN, what='SEARCH')
        assert set(before) <= set(names(mount.path / 'INBOX'))
        server.drop_rules()
    mounting.wait_until(lambda: len(names(mount.path / 'INBOX')) == 7, WITHIN, 0.1, 'new ones')


def test_changes_while_unmounted(mounts, backend):
    """Inodes and names stay; what came, went and was flagged meanwhile shows after the start."""
    account = backend.new_account()
    account.fill('INBOX', count=30)
    home = mounts.home()
    mount = mounts.account(account, home=home)
    compare.compare_account(mount, account)
    before = {path: os.stat(path).st_ino for path in compare.folder_files(mount.path / 'INBOX')}
    mount.stop()
    imap = account.client()
    uids = sorted(imap.messages('INBOX', bodies=False))
    imap.expunge('INBOX', f'{uids[3]},{uids[20]}')
    imap.store('INBOX', f'{uids[5]}:{uids[9]}', '\\Flagged')
    account.fill('INBOX', count=5, options=['--start', '1000'])
    imap.close()
    mount = mounts.account(account, home=home)
    mounting.wait_until(lambda: len(names(mount.path / 'INBOX')) == 33, WITHIN, 0.1, 'the new')
    mounting.wait_until(lambda: sum('\\Flagged' in compare.xattr(p, 'user.imap.flags') for p in
                                    compare.folder_files(mount.path / 'INBOX')) >= 5, WITHIN, 0.1,
                        'the flags')
    compare.compare_account(mount, account)
    after = {path: os.stat(path).st_ino for path in compare.folder_files(mount.path / 'INBOX')}
    assert len(after.items() & before.items()) == 28
    assert not {after[p] for p in set(after) - set(before)} & set(before.values())


def test_twins_stay_apart(live):
    """A second message with the name of a first one takes nothing from it."""
    mount, imap, _ = live
    data = samples.head(b'twin') + b'\r\none\r\n'
    imap.append('INBOX', data, '', samples.DATE)
    mounting.wait_until(lambda: len(names(mount.path / 'INBOX')) == 21, WITHIN, 0.1, 'the first')
    plain = mount.path / 'INBOX' / compare.names.message_name(data, samples.DATE)
    inode = os.stat(plain).st_ino
    imap.append('INBOX', data.replace(b'one', b'two'), '', samples.DATE)
    mounting.wait_until(lambda: len(names(mount.path / 'INBOX')) == 22, WITHIN, 0.1, 'the second')
    assert os.stat(plain).st_ino == inode
    assert plain.read_bytes() == data
    uid = max(imap.messages('INBOX', bodies=False))
    twin = mount.path / 'INBOX' / compare.names.twin_name(plain.name, uid)
    assert twin.read_bytes() == data.replace(b'one', b'two')


def test_one_connection_is_enough(mounts, account, proxied):
    account.fill('INBOX', 'Work', count=30)
    proxy = proxied(account.server.port)
    mount = mounts.plain(proxy.port, ['connections=1', 'poll=1'], user=account.user,
                         password=account.password)
    compare.compare_account(mount, account)
    assert proxy.connections == 1


@pytest.mark.parametrize('limit', [2, 4])
def test_connections_are_limited(mounts, account, proxied, limit):
    account.fill('INBOX', *[f'F{i}' for i in range(8)], count=20)
    proxy = proxied(account.server.port)
    mount = mounts.plain(proxy.port, [f'connections={limit}'], user=account.user,
                         password=account.password)
    readers = [subprocess.Popen(['grep', '-r', 'x', mount.path / name], stdout=subprocess.DEVNULL)
               for name in os.listdir(mount.path)]
    peak = 0
    while any(reader.poll() is None for reader in readers):
        with proxy.lock:
            peak = max(peak, len(proxy.pairs))
    assert all(reader.returncode in (0, 1) for reader in readers)
    assert 1 <= proxy.connections <= limit + 1      # one may have been closed and made again
    assert peak <= limit
    assert pathlib.Path(mount.path).exists()
