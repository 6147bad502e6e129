"""Folder names, hierarchies, folders=."""
import os

import compare
import names
import pytest
import scripted as fake

# Names as a user sees them at the server; with sep=. a slash may be in one.
VISIBLE = ['Plain', 'With space', 'Größe', '日本語', 'Ünï/nested/deep', 'a&b', 'Tom & Jerry', '100%',
           '%41bc', '50%25', 'emoji 📧', 'a~b', 'semi;colon', 'quote"d', 'back\\slash', "it's",
           'Entwürfe/älter', 'ends.', '(par)', 'x*y', '-dash', '#hash', 'inbox-like']


@pytest.mark.parametrize('how', ['/', '.'])
def test_names_of_all_kinds(mounts, dovecot_with, how):
    options = {} if how == '/' else {'sep': '.', 'prefix': 'INBOX.'}
    server = dovecot_with(**options, fmt='sdbox') if how == '/' else dovecot_with(**options)
    account = server.new_account()
    imap = account.client()
    for visible in VISIBLE:
        # what Dovecot itself does not take as a folder name is left out
        if how == '.':
            visible = visible.replace('.', '').replace('/', '.')
        raw = server.prefix + names.utf7_encode(visible)
        status, _ = imap.imap.create(compare.client.quoted(raw))
        if status == 'OK':
            imap.append(raw, fake.sample_message(1))
    listed = imap.folders()
    assert len(listed) > len(VISIBLE)
    imap.close()
    mount = mounts.account(account)
    compare.compare_account(mount, account, server.prefix)


RAW = [
    # raw name, delimiter, path below the mount point
    ('INBOX', '/', 'INBOX'),
    ('a/b', '.', 'a%2Fb'),
    ('c.d', '/', 'c.d'),
    ('.hidden', '/', '%2Ehidden'),
    ('%41', '/', '%2541'),
    ('%zz', '/', '%zz'),
    ('100%', '/', '100%'),
    ('nil/delimiter', '', 'nil%2Fdelimiter'),
    ('&Jjo-', '/', '☺'),
    ('&-x', '/', '&x'),
    ('&Jjo', '/', '%26Jjo'),                # not closed: shown raw
    ('&AGE-', '/', '%26AGE-'),              # "a" needs no encoding: not the same again
    ('&ICgA-', '/', '%26ICgA-'),
    ('R&IC4-L', '/', 'R%E2%80%AEL'),        # bidi override
    ('zero&IAs-width', '/', 'zero%E2%80%8Bwidth'),
    ('&AAk-', '/', '%09'),
    ('tab\tname', '/', 'tab%09name%25'),    # no valid UTF-7: told apart from &AAk- by its end
    ('del\x7f', '/', 'del%7F%25'),
    ('raw-\udcfc', '/', 'raw-%FC'),         # an invalid byte
    ('pa.rent.child', '.', 'pa/rent/child'),
    ('..', '/', '%2E.'),
    ('.', '/', '%2E'),
    (' spaces ', '/', ' spaces '),
    ('-rf', '/', '-rf'),
]


def test_raw_names(mounts, scripted):
    """What a server may send that Dovecot never would."""
    folders = [fake.Folder(raw, [fake.sample_message(i)], delimiter=delimiter)
               for i, (raw, delimiter, _) in enumerate(RAW)]
    server = scripted(folders)
    mount = mounts.plain(server.port)
    expected = set()
    for _, _, path in RAW:
        while path:
            expected.add(path)
            path = path.rpartition('/')[0]
    assert set(compare.all_directories(mount.path)) == set(expected)
    for raw, _, path in RAW:
        files = compare.folder_files(mount.path / path)
        assert len(files) == 1, path
        assert open(files[0], 'rb').read() == server.folder(raw).messages[0].data


def test_over_long_names(mounts, scripted):
    """Cut, different, and the same after a remount."""
    raw = ['x' * 300 + 'a', 'x' * 300 + 'b', '&' + 'AOQ' * 1 + '-' + 'y' * 400]
    server = scripted([fake.Folder('INBOX')] + [
        fake.Folder(name, [fake.sample_message(i)]) for i, name in enumerate(raw)])
    home = mounts.home()
    mount = mounts.plain(server.port, home=home)
    listed = sorted(os.listdir(mount.path))
    assert len(listed) == 4
    for name in listed:
        assert len(name.encode()) <= 255
        if name != 'INBOX':
            assert name[-9] == '~' and all(c in '0123456789abcdef' for c in name[-8:])
            assert len(os.listdir(mount.path / name)) == 1
    mount.stop()
    mount = mounts.plain(server.port, home=home)
    assert sorted(os.listdir(mount.path)) == listed


def test_names_that_would_collide(mounts, scripted):
    """Different folders never become one directory."""
    raw = ['INBOX', 'a%2Fb', 'a%252Fb', '&-', '%26', '&', 'Abc', 'abc', 'e&AwE-', '&AOk-']
    server = scripted([fake.Folder(name, [fake.sample_message(i)], delimiter='.')
                       for i, name in enumerate(raw)] + [fake.Folder('a/b', delimiter='.')])
    mount = mounts.plain(server.port)
    assert len(os.listdir(mount.path)) == len(raw) + 1
    subjects = set()
    for name in os.listdir(mount.path):
        for path in compare.folder_files(mount.path / name):
            subjects.add(os.path.basename(path))
    assert len(subjects) == len(raw)


def test_noselect_parents(mounts, scripted):
    server = scripted([
        fake.Folder('INBOX'), fake.Folder('Top', attrs='\\Noselect \\HasChildren'),
        fake.Folder('Top/Mid', attrs='\\NonExistent \\HasChildren'),
        fake.Folder('Top/Mid/Leaf', [fake.sample_message(1)]),
        fake.Folder('Not/Listed/Deep', [fake.sample_message(2)])])
    mount = mounts.plain(server.port)
    assert sorted(compare.all_directories(mount.path)) == [
        'INBOX', 'Not', 'Not/Listed', 'Not/Listed/Deep', 'Top', 'Top/Mid', 'Top/Mid/Leaf']
    assert compare.folder_files(mount.path / 'Top') == []
    assert len(os.listdir(mount.path / 'Top/Mid/Leaf')) == 1
    assert not server.commands(r'EXAMINE "?Top(/Mid)?"?$')


def test_prefix_namespace(mounts, scripted):
    server = scripted([fake.Folder('INBOX', delimiter='.'),
                       fake.Folder('INBOX.Sent', [fake.sample_message(1)], delimiter='.'),
                       fake.Folder('INBOX.a.b', delimiter='.')])
    server.namespace = '(("INBOX." ".")) NIL NIL'
    mount = mounts.plain(server.port)
    assert sorted(compare.all_directories(mount.path)) == ['INBOX', 'Sent', 'a', 'a/b']


def test_folder_option(mounts, scripted):
    """Other folders cost no command."""
    wanted = ['A', 'A/one', 'B/one', 'B/two/three', 'C:D']
    server = scripted([fake.Folder(name, [fake.sample_message(1)]) for name in
                       ['INBOX', 'A', 'A/one', 'A/one/deep', 'B', 'B/one', 'B/two',
                        'B/two/three', 'C:D', 'C', 'Z']])
    mount = mounts.plain(server.port, ['folders=A:A/*:B/one:B/two/**:C%3AD'])
    assert sorted(compare.all_directories(mount.path)) == sorted(wanted + ['B', 'B/two'])
    # parents that are not wanted themselves are plain directories
    assert compare.folder_files(mount.path / 'B') == []
    for path in wanted:
        assert len(compare.folder_files(mount.path / path)) == 1
    assert not os.path.exists(mount.path / 'INBOX')
    mount.stop()
    for name in ('INBOX', 'A/one/deep', 'B', 'B/two', 'C', 'Z'):
        assert not server.commands(f'^(EXAMINE|SELECT|STATUS) "?{name}"?( |$)'), name


def test_url_folder(mounts, scripted):
    """/FOLDER in the URL becomes the root."""
    server = scripted([fake.Folder('INBOX'), fake.Folder('Work', [fake.sample_message(1)]),
                       fake.Folder('Work/2023', [fake.sample_message(2)])])
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}/Work', options=['tls=none']).start()
    assert len(compare.folder_files(mount.path)) == 1
    assert compare.all_directories(mount.path) == ['2023']


def test_inbox_is_case_insensitive(mounts, scripted):
    server = scripted([fake.Folder('Inbox', [fake.sample_message(1)]), fake.Folder('Other')])
    mount = mounts.plain(server.port)
    listed = os.listdir(mount.path)
    assert len(listed) == 2
    inbox = [name for name in listed if name.upper() == 'INBOX']
    assert len(os.listdir(mount.path / inbox[0])) == 1


def test_many_folders(mounts, scripted):
    server = scripted([fake.Folder('INBOX')] + [fake.Folder(f'f{i}/g{i % 7}') for i in range(500)])
    mount = mounts.plain(server.port)
    assert len(os.listdir(mount.path)) == 501
    assert len(compare.all_directories(mount.path)) == 1001
