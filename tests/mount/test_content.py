"""The mount equals the server: bytes, sizes, dates, flags, names."""
import base64
import os
import pathlib
import re
import subprocess

import client
import compare
import pytest
import samples
import scripted as fake
import servers as private_servers


def fill_account(account, generated):
    prefix = account.server.prefix
    separator = account.server.separator
    nested = f'{prefix}Work{separator}2023'
    imap = account.client()
    for raw in (f'{prefix}Odd', f'{prefix}Twins', f'{prefix}Empty', nested):
        imap.create(raw)
    imap.close()
    samples.store_odd(account, f'{prefix}Odd')
    samples.store_twins(account, f'{prefix}Twins')
    account.fill('INBOX', nested, count=generated)


def check_account(mounts, account, generated):
    fill_account(account, generated)
    mount = mounts.account(account)
    # names.py computes them all but those whose Date python's parser reads in its own way
    total = compare.compare_account(mount, account, account.server.prefix)
    assert total > 2 * generated
    mount.stop()


def test_equals_server(mounts, backend):
    check_account(mounts, backend.new_account(), 150)


def test_sample_mailbox(mounts, account):
    """What scripts/try shows.  (Its names are beyond names.py; name-vectors.tsv has such.)"""
    sample = pathlib.Path(__file__).parent.parent.parent / 'scripts/share/sample.py'
    run = subprocess.run([private_servers.PYTHON, '-B', sample, '127.0.0.1',
                          str(account.server.port), account.user, account.password],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    mount = mounts.account(account)
    assert compare.compare_account(mount, account, with_names=False) >= 300
    for top, _, files in os.walk(mount.path):
        for name in files:
            assert re.fullmatch(r'\d{4}-\d\d-\d\d_\d{4}_[^_]*_[^_]*~[0-9a-z]{6}(\.\d+)?\.eml', name)
            assert len(os.fsencode(name)) <= 255 and name.isprintable()


@pytest.mark.parametrize('options', [
    {'fmt': 'maildir', 'sep': '.', 'prefix': 'INBOX.'},
    {'fmt': 'sdbox'},
], ids=['maildir-prefix', 'sdbox'])
def test_equals_other_dovecots(mounts, dovecot_with, options):
    check_account(mounts, dovecot_with(**options).new_account(), 30)


def test_equals_cyrus_net(mounts, cyrus_with):
    check_account(mounts, cyrus_with(hier='net', alt='no').new_account(), 30)


@pytest.mark.long
def test_equals_server_10000(mounts, backend):
    check_account(mounts, backend.new_account(), 10000)


def test_starttls_equals(mounts, account):
    account.fill('INBOX', count=30)
    mount = mounts.make(f'imap://{account.user}@localhost:{account.server.port}',
                        account.password).start()
    compare.compare_account(mount, account)


def test_name_vectors(mounts, scripted):
    """Every worked example.  (Dovecot takes no INTERNALDATE that is still to come.)"""
    path = os.path.join(os.path.dirname(__file__), '../data/name-vectors.tsv')
    folder = fake.Folder('INBOX')
    expected = []
    with open(path, encoding='utf-8') as vectors:
        for line in vectors:
            if line.startswith('#'):
                continue
            _, header, date, name = line.rstrip('\n').split('\t')
            folder.add(fake.Message(base64.b64decode(header) + b'\r\nbody\r\n',
                                    date=client.parse_date(date)))
            expected.append(name)
    assert len(expected) > 20
    mount = mounts.plain(scripted([folder]).port)
    assert sorted(os.listdir(mount.path / 'INBOX')) == sorted(expected)


def test_twins(mounts, account):
    imap = account.client()
    imap.create('Twins')
    samples.store_twins(account, 'Twins')
    mount = mounts.account(account)
    plain = compare.names.message_name(samples.head(b'twin') + b'\r\n', samples.DATE)
    uids = sorted(imap.messages('Twins'))
    listed = sorted(os.listdir(mount.path / 'Twins'))
    assert listed == sorted([plain] + [compare.names.twin_name(plain, uid) for uid in uids[1:]])
    for uid in uids[1:]:
        path = mount.path / 'Twins' / compare.names.twin_name(plain, uid)
        assert compare.xattr(path, 'user.imap.uid') == str(uid)
    imap.close()


def test_lookup_before_listing(mounts, account):
    """A full path works in a folder that nobody has listed."""
    account.fill('Deep', count=20)
    imap = account.client()
    messages = imap.messages('Deep')
    imap.close()
    name = compare.expected_names(messages)
    mount = mounts.account(account)
    uid = sorted(messages)[7]
    path = mount.path / 'Deep' / name[uid]
    assert path.read_bytes() == messages[uid].data
    assert not os.path.exists(mount.path / 'Deep' / 'nothing.eml')


def test_reading_marks_nothing(mounts, backend):
    account = backend.new_account()
    account.fill('INBOX', count=40)
    imap = account.client()
    before = imap.messages('INBOX')
    mount = mounts.account(account)
    compare.compare_folder(mount.path / 'INBOX', before)
    mount.stop()
    after = imap.messages('INBOX')
    assert {uid: m.flags for uid, m in after.items()} == \
        {uid: m.flags for uid, m in before.items()}
    imap.close()


READING = (r'^(CAPABILITY|LOGIN|AUTHENTICATE|STARTTLS|ID\b|ENABLE|NAMESPACE|LIST|STATUS|EXAMINE|'
           r'UNSELECT|NOOP|LOGOUT|GETQUOTAROOT|GETQUOTA|IDLE|NOTIFY|DONE|UID FETCH|UID SEARCH|'
           r'SEARCH|FETCH|COMPRESS|$)')


def test_only_reading_commands(mounts, account, proxied):
    """EXAMINE, never SELECT; PEEK, never BODY[]; nothing that writes, whatever is tried."""
    account.fill('INBOX', 'Work', count=20)
    proxy = proxied(account.server.port)
    mount = mounts.plain(proxy.port, user=account.user, password=account.password)
    for folder in ('INBOX', 'Work'):
        for path in compare.folder_files(mount.path / folder):
            open(path, 'rb').read()
            with pytest.raises(OSError):
                os.unlink(path)
            with pytest.raises(OSError):
                os.setxattr(path, 'user.imap.flags', b'+\\Seen')
    mount.stop()
    commands = proxy.seen()
    allowed = proxy.seen(READING)
    assert commands == allowed
    assert proxy.seen('^EXAMINE')
    assert not proxy.seen(r'BODY\[')
    assert proxy.seen(r'BODY\.PEEK\[')


def test_flags_xattrs(mounts, account):
    imap = account.client()
    cases = ['', '\\Seen', '\\Seen \\Flagged', '\\Answered', '\\Draft', '\\Deleted',
             '$Forwarded', '\\Seen $Forwarded work', 'a.keyword with_underscore']
    for number, flags in enumerate(cases):
        imap.append('INBOX', samples.head(b'f%d' % number) + b'\r\nx\r\n', flags, samples.DATE)
    uids = sorted(imap.messages('INBOX'))
    imap.close()
    mount = mounts.account(account)
    by_uid = {int(compare.xattr(path, 'user.imap.uid')): path
              for path in compare.folder_files(mount.path / 'INBOX')}
    for uid, flags in zip(uids, cases):
        path = by_uid[uid]
        assert sorted(compare.xattr(path, 'user.imap.flags').split()) == sorted(flags.split())
        tags = (compare.xattr_or_none(path, 'user.xdg.tags') or '').split(',')
        assert ('unread' in tags) == ('\\Seen' not in flags)
        assert ('flagged' in tags) == ('\\Flagged' in flags)
        assert ('replied' in tags) == ('\\Answered' in flags)
        assert ('passed' in tags) == ('$Forwarded' in flags)
        assert ('draft' in tags) == ('\\Draft' in flags)
        assert ('work' in tags) == ('work' in flags)
        assert compare.xattr(path, 'user.imap.mailbox') == 'INBOX'
        assert compare.xattr(path, 'user.mailmount.state') == 'synced'


def test_message_id_xattr(mounts, account):
    imap = account.client()
    imap.append('INBOX', samples.ODD['empty body'])
    imap.append('INBOX', samples.ODD['folded'])
    imap.close()
    mount = mounts.account(account)
    found = {compare.xattr(path, 'user.imap.message-id').strip()
             for path in compare.folder_files(mount.path / 'INBOX')}
    assert found == {'<empty.body@example.org>', '<folded@example.org>'}


def test_mtime_date(mounts, account):
    imap = account.client()
    imap.append('INBOX', samples.ODD['empty body'], '', samples.DATE + 5000)
    imap.close()
    mount = mounts.account(account, ['mtime=date'])
    path, = compare.folder_files(mount.path / 'INBOX')
    assert os.stat(path).st_mtime == 1700000000
    assert client.parse_date(compare.xattr(path, 'user.imap.internaldate').strip('"')) \
        == samples.DATE + 5000
