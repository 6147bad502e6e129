"""Answers that a server should not give: exact bytes or a clear error, never anything between.

Other folders go on working, and memory does not grow."""
import errno
import mmap
import os
import pathlib
import subprocess
import tarfile
import time

import compare
import mount as mounting
import pytest
import scripted as fake

GROWTH = 16 << 20
DATA = fake.sample_message(1, size=9000)


def literal(data):
    return b'{%d}\r\n%s' % (len(data), data)


def whole(items):
    return '[]' in items


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


@pytest.fixture
def bad(mounts, scripted, sanitized):
    def make(folder, **more):
        if not isinstance(folder, fake.Folder):
            folder = fake.Folder('Bad', [folder])
        return Bad(mounts, scripted, sanitized, folder, **more)
    return make


# ---- sizes that lie

@pytest.mark.parametrize('claim', [500, -500, 10000, -5000, -len(DATA), 1 << 30, (1 << 32) - 1],
                         ids=lambda n: f'{n:+d}')
def test_sizes_that_lie(bad, claim, tmp_path):
    """cat, fstat, mmap, tar, cp: all exact."""
    size = claim if claim > 1 << 20 else len(DATA) + claim
    for program in ('cat', 'fstat', 'mmap', 'tar', 'cp'):
        folder = fake.Folder('Bad', [fake.Message(DATA, size=size)])
        tried = bad(folder)
        path = tried.path()
        if claim < 1 << 20:
            os.stat(path)
        if program == 'cat':
            run = subprocess.run(['cat', path], capture_output=True)
            assert run.stdout == DATA
        elif program == 'fstat':
            with open(path, 'rb') as file:
                assert os.fstat(file.fileno()).st_size == len(DATA)
                assert file.read() == DATA
        elif program == 'mmap':
            with open(path, 'rb') as file, \
                    mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
                assert view[:] == DATA
        elif program == 'tar':
            subprocess.run(['tar', '-cf', tmp_path / 'x.tar', '-C', os.path.dirname(path),
                            os.path.basename(path)], capture_output=True)
            with tarfile.open(tmp_path / 'x.tar') as archive:
                member, = archive.getmembers()
                # tar takes the size before it opens the file: it may pad or cut one whose
                # size it did not know, but what it reads is right as far as it goes
                got = archive.extractfile(member).read(len(DATA))
                assert DATA.startswith(got.rstrip(b'\0'))
        else:
            subprocess.run(['cp', path, tmp_path / 'copy.eml'], check=True)
            assert (tmp_path / 'copy.eml').read_bytes() == DATA
        assert os.stat(path).st_size == len(DATA)
        tried.mount.stop()


def test_tar_of_sizes_once_known(bad, tmp_path):
    """After one opening the size is right for everyone who asks before he opens."""
    tried = bad(fake.Folder('Bad', [fake.Message(fake.sample_message(i, size=5000), size=5000 + i)
                                    for i in range(-200, 200, 20)]))
    for path in compare.folder_files(tried.mount.path / 'Bad'):
        open(path, 'rb').close()
    run = subprocess.run(['tar', '-cf', tmp_path / 'x.tar', '-C', tried.mount.path, 'Bad'],
                         capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, '')
    contents = {m.data for m in tried.server.folder('Bad').messages}
    with tarfile.open(tmp_path / 'x.tar') as archive:
        assert {archive.extractfile(m).read() for m in archive if m.isfile()} == contents


# ---- odd, and right

def other_order(session, seq, items, usual):
    if not whole(items):
        session.send(usual)
        return
    session.send(b'* %d FETCH (BODY[] %s UID 1 FLAGS (\\Seen))\r\n' % (seq, literal(DATA)))


def quoted_body(session, seq, items, usual):
    text = DATA.replace(b'\r\n', b' ')[:2000].replace(b'\\', b'').replace(b'"', b'')
    session.send(usual if not whole(items) else
                 b'* %d FETCH (UID 1 BODY[] "%s")\r\n' % (seq, text))


QUOTED = DATA.replace(b'\r\n', b' ')[:2000].replace(b'\\', b'').replace(b'"', b'')


def nil_body(session, seq, items, usual):
    session.send(usual if not whole(items) else b'* %d FETCH (UID 1 BODY[] NIL)\r\n' % seq)


def empty_body(session, seq, items, usual):
    session.send(usual if not whole(items) else b'* %d FETCH (UID 1 BODY[] {0}\r\n)\r\n' % seq)


def noise(session, seq, items, usual):
    session.send(b'* OK [XUNKNOWN (a b "c")] some text\r\n* 1 RECENT\r\n* XTHING 5 {3}\r\nabc done\r\n'
                 b'* OK [HIGHESTMODSEQ 5]\r\n* FLAGS (\\Seen x)\r\n* 7 XTRA (a (b (c)))\r\n')
    session.send(usual)
    session.send(b'* OK still here\r\n* SEARCH\r\n* STATUS INBOX (MESSAGES 9)\r\n')


def unknown_items(session, seq, items, usual):
    if not whole(items):
        session.send(usual)
        return
    session.send(b'* %d FETCH (X-ODD {5}\r\n)*\r\na X-LIST (a "b)" {2}\r\n() (c)) X-NIL NIL EMAILID (M1) '
                 b'UID 1 BODY[] %s X-LAST 5)\r\n' % (seq, literal(DATA)))


def others_in_between(session, seq, items, usual):
    session.send(b'* 2 FETCH (FLAGS (\\Seen \\Flagged))\r\n* 3 FETCH (UID 3 FLAGS ())\r\n')
    session.send(usual)
    session.send(b'* 1 FETCH (FLAGS (\\Answered))\r\n')


def double_spaces(session, seq, items, usual):
    session.send(usual.replace(b' FETCH (UID', b' FETCH  (UID').replace(b' FLAGS', b'  FLAGS'))


def exists_twice(session, seq, items, usual):
    session.send(b'* 1 EXISTS\r\n* 1 EXISTS\r\n* 1 EXISTS\r\n* 0 RECENT\r\n' + usual)


def lower_case(session, seq, items, usual):
    head, _, rest = usual.partition(b'{')
    session.send(head.replace(b'FETCH', b'fetch').replace(b'UID', b'uid') + b'{' + rest
                 if rest else usual)


def byte_by_byte(session, seq, items, usual):
    for at in range(len(usual)):
        session.send(usual[at:at + 1])


def twice(session, seq, items, usual):
    session.send(usual + usual)


ODD = {
    'UID behind the literal': (other_order, DATA),
    'quoted body': (quoted_body, QUOTED),
    'NIL body': (nil_body, b''),
    'empty body': (empty_body, b''),
    'noise': (noise, DATA),
    'unknown items': (unknown_items, DATA),
    'FETCH of others in between': (others_in_between, DATA),
    'two spaces': (double_spaces, DATA),
    'EXISTS three times': (exists_twice, DATA),
    'lower case': (lower_case, DATA),
    'byte by byte': (byte_by_byte, DATA),
    'the same twice': (twice, DATA),
}


@pytest.mark.parametrize('what', ODD)
def test_odd_and_right(bad, what):
    respond, expected = ODD[what]
    tried = bad(fake.Message(DATA, respond=respond))
    path = tried.path()
    assert read(path) == expected
    assert os.stat(path).st_size == len(expected)
    tried.still_works()


def test_expunge_in_the_middle(bad):
    """Another message goes while this one is read: its bytes hold, the numbers shift."""
    folder = fake.Folder('Bad', [fake.sample_message(i, size=3000) for i in range(8)])

    def respond(session, seq, items, usual):
        if whole(items) and folder.messages[0].uid == 1:
            del folder.messages[0]
            session.send(b'* 1 EXPUNGE\r\n')
            usual = usual.replace(b'* %d FETCH' % seq, b'* %d FETCH' % (seq - 1), 1)
        session.send(usual)
    victim = folder.messages[4]
    victim.respond = respond
    tried = bad(folder)
    paths = {int(compare.xattr(p, 'user.imap.uid')): p
             for p in compare.folder_files(tried.mount.path / 'Bad')}
    assert read(paths[5]) == victim.data
    for message in folder.messages:
        assert read(paths[message.uid]) == message.data
    assert read(paths[1]) == 'ENOENT'
    tried.still_works()


# ---- wrong: an error, and never other bytes

def no_after_data(session, tag, command):
    session.send(fake.fetch_response(1, fake.Message(DATA, uid=1), '(UID BODY.PEEK[])'))
    return f'{tag} NO something went wrong\r\n'


def bye_in_data(session, tag, command):
    session.send(b'* 1 FETCH (UID 1 BODY[] {%d}\r\n' % len(DATA) + DATA[:4000])
    session.shut()


def bye_line_in_data(session, tag, command):
    session.send(b'* BYE going down\r\n')
    session.shut()


def short_literal(session, tag, command):
    session.send(b'* 1 FETCH (UID 1 BODY[] {%d}\r\n' % len(DATA) + DATA[:-1])
    session.stall()


def other_uid(session, tag, command):
    other = fake.Message(DATA.replace(b'number 1', b'number 2'), uid=2)
    session.send(fake.fetch_response(2, other, '(UID BODY.PEEK[])'))
    return f'{tag} OK done\r\n'


def no_uid(session, tag, command):
    session.send(b'* 2 FETCH (BODY[] %s)\r\n' % literal(b'Subject: another\r\n\r\nx'))
    return f'{tag} OK done\r\n'


def many_pieces(head, piece, count):
    def action(session, tag, command):
        session.send(head)
        for _ in range(count):
            session.send(piece)
        session.stall(2)
        return f'\r\n{tag} OK done\r\n'
    return action


MEGABYTE = b'x' * (1 << 20)
WRONG = {
    'NO': (lambda s, t, c: f'{t} NO not now\r\n', {'EIO'}),
    'BAD': (lambda s, t, c: f'{t} BAD what\r\n', {'EIO'}),
    'NOPERM': (lambda s, t, c: f'{t} NO [NOPERM] no\r\n', {'EACCES'}),
    'NO after the data': (no_after_data, {'EIO'}),
    'gone': (lambda s, t, c: f'{t} OK done\r\n', {'ENOENT'}),
    'BYE': (bye_line_in_data, {'EIO', 'ENETUNREACH', 'ETIMEDOUT'}),
    'closed within the data': (bye_in_data, {'EIO', 'ENETUNREACH', 'ETIMEDOUT'}),
    'literal too short, then silence': (short_literal, {'ETIMEDOUT'}),
    'another UID': (other_uid, {'EIO', 'ENOENT'}),
    'another message without UID': (no_uid, {'EIO', 'ENOENT'}),
    'a line of 100 MB': (many_pieces(b'* 1 FETCH (UID 1 X ', MEGABYTE, 100), {'EIO'}),
    'literal of 4 GB': (many_pieces(b'* 1 FETCH (UID 1 BODY[] {4294967295}\r\n', MEGABYTE, 5),
                        {'EIO'}),
    'literal of 20 digits': (many_pieces(b'* 1 FETCH (UID 1 BODY[] {99999999999999999999}\r\n',
                                         b'x' * 100, 1), {'EIO'}),
    'negative literal': (many_pieces(b'* 1 FETCH (UID 1 BODY[] {-5}\r\n', b'x', 100), {'EIO'}),
    'header literal of 1 GB': (many_pieces(b'* 1 FETCH (UID 1 X-HEAD {1073741824}\r\n', MEGABYTE, 40),
                               {'EIO', 'ETIMEDOUT'}),
    '20,000 parentheses': (many_pieces(b'* 1 FETCH (UID 1 X ' + b'(' * 20000 + b')' * 20000,
                                       b')\r\n', 1), {'EIO'}),
    'garbage': (many_pieces(b'', b'\x00\xff\xfe\r\n(((\r\n* * *\r\n', 1000), {'EIO'}),
    'two million lines': (many_pieces(b'', b'* OK more and more and more\r\n' * 20000, 100),
                          {'EIO', 'ENOENT'}),
}


@pytest.mark.parametrize('what', WRONG)
def test_wrong_body(bad, what):
    action, errors = WRONG[what]
    tried = bad(fake.Message(DATA))
    path = tried.path()
    tried.server.rule(r'UID FETCH 1\b.*BODY(\.PEEK)?\[\]',
                      lambda s, t, c: action(s, t, c) if s.selected.name == 'Bad' else None)
    assert read(path) in errors
    tried.still_works()
    # once the server has come to its senses the message is there, whole
    tried.server.drop_rules()
    mounting.wait_until(lambda: read(path) == DATA, 40, 0.3, 'message read at last')


@pytest.mark.parametrize('what', ['BYE', 'closed within the data'])
def test_once_broken_is_tried_again(bad, what):
    """A connection that breaks once is made again without the reader noticing, or an error."""
    action, errors = WRONG[what]
    tried = bad(fake.Message(DATA))
    path = tried.path()
    tried.server.rule(r'UID FETCH .*BODY(\.PEEK)?\[\]', action, times=1)
    got = read(path)
    assert got == DATA or got in errors
    mounting.wait_until(lambda: read(path) == DATA, 40, 0.3, 'message read')


# ---- listings

def replaced(old, new):
    def respond(session, seq, items, usual):
        session.send(usual.replace(old, new))
    return respond


def nothing(session, seq, items, usual):
    pass


def without_header(session, seq, items, usual):
    session.send(fake.fetch_response(seq, fake.Message(DATA, uid=seq),
                                     '(UID FLAGS INTERNALDATE RFC822.SIZE)'))


def nil_header(session, seq, items, usual):
    head, _, _ = usual.partition(b' BODY[HEADER')
    session.send(head + b' BODY[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)] NIL)\r\n')


def huge_header(session, seq, items, usual):
    head, _, _ = usual.partition(b' BODY[HEADER')
    session.send(head + b' BODY[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)] {50000014}\r\nSubject: a b\r\n')
    for _ in range(50):
        session.send(b'X' * 1000000)
    session.send(b')\r\n')


LISTINGS = {
    # what the second of three messages says instead -> errors, or None: all three are listed
    'UID 0': (replaced(b'UID 2', b'UID 0'), {'EIO'}),
    'UID 2^32': (replaced(b'UID 2', b'UID 4294967296'), {'EIO'}),
    'UID of 30 digits': (replaced(b'UID 2', b'UID ' + b'9' * 30), {'EIO'}),
    'negative UID': (replaced(b'UID 2', b'UID -2'), {'EIO'}),
    'one is missing': (nothing, {'EIO'}),
    'no header': (without_header, {'EIO', None}),
    'NIL header': (nil_header, {None}),
    'header of 50 MB': (huge_header, {'EIO', None}),
    'bad date': (replaced(b'INTERNALDATE "', b'INTERNALDATE "x'), {'EIO', None}),
    'size of 2^64': (replaced(b'RFC822.SIZE ', b'RFC822.SIZE 99999999999999999999'), {'EIO', None}),
    'no flags': (replaced(b'FLAGS (\\Seen)', b'FLAGS ()'), {None}),
    'flags of 60 KB': (replaced(b'FLAGS (\\Seen)', b'FLAGS (' + b'abcdefgh ' * 7000 + b'x)'),
                       {'EIO', None}),
    'sequence number 0': (replaced(b'* 2 FETCH', b'* 0 FETCH'), {'EIO', None}),
    'twice': (twice, {None, 'EIO'}),
}


@pytest.mark.parametrize('what', LISTINGS)
def test_odd_listing(bad, what):
    """Complete, or an error; never silently partial."""
    respond, expected = LISTINGS[what]
    folder = fake.Folder('Bad', [fake.sample_message(i) for i in range(3)])
    folder.messages[1].respond = respond
    tried = bad(folder)
    got = listing(tried.mount.path / 'Bad')
    if isinstance(got, list):
        assert None in expected, got
        assert len(got) == 3
    else:
        assert got in expected
    tried.still_works()
    folder.messages[1].respond = None
    mounting.wait_until(lambda: len(listing(tried.mount.path / 'Bad')) == 3
                        and isinstance(listing(tried.mount.path / 'Bad'), list), 40, 0.3,
                        'listing of an honest server')


def no_after_listing(session, tag, command):
    for seq, message in enumerate(session.selected.messages, 1):
        session.send(fake.fetch_response(seq, message, command.partition(' (')[2]))
    return f'{tag} NO [SERVERBUG] not everything\r\n'


def say(line):
    return lambda session, tag, command: f'{line}\r\n{tag} OK done\r\n'


EXAMINES = {
    'NO': (lambda s, t, c: f'{t} NO no\r\n', {'EIO'}),
    'BAD': (lambda s, t, c: f'{t} BAD no\r\n', {'EIO'}),
    'NOPERM': (lambda s, t, c: f'{t} NO [NOPERM] no\r\n', {'EACCES'}),
    'NONEXISTENT': (lambda s, t, c: f'{t} NO [NONEXISTENT] gone\r\n', {'ENOENT'}),
    'EXISTS of 2^32-1': (say('* 4294967295 EXISTS\r\n* OK [UIDVALIDITY 5] x\r\n* OK [UIDNEXT 9] x'),
                         {'EIO'}),
    'EXISTS of 2^64': (say('* 99999999999999999999 EXISTS\r\n* OK [UIDVALIDITY 5] x'), {'EIO'}),
    'UIDVALIDITY 0': (say('* 3 EXISTS\r\n* OK [UIDVALIDITY 0] x\r\n* OK [UIDNEXT 9] x'),
                      {'EIO', None}),
    'EXPUNGE of what never was': (say('* 3 EXISTS\r\n* 99 EXPUNGE\r\n* 0 EXPUNGE\r\n'
                                      '* OK [UIDVALIDITY 1000] x\r\n* OK [UIDNEXT 4] x'),
                                  {'EIO', None}),
    '20,000 parentheses': (say('* OK [PERMANENTFLAGS ' + '(' * 20000 + '] x'), {'EIO', None}),
    'BYE': (bye_line_in_data, {'EIO', 'ENETUNREACH', 'ETIMEDOUT'}),
    'a line of 100 MB': (many_pieces(b'* FLAGS (', MEGABYTE, 100), {'EIO'}),
}


@pytest.mark.parametrize('what', EXAMINES)
def test_odd_examine(bad, what):
    action, expected = EXAMINES[what]
    folder = fake.Folder('Bad', [fake.sample_message(i) for i in range(3)])
    tried = bad(folder)

    def examine(session, tag, command):
        session.selected = folder
        return action(session, tag, command)
    tried.server.rule('^(EXAMINE|SELECT) "?Bad', examine)
    got = listing(tried.mount.path / 'Bad')
    if isinstance(got, list):
        assert None in expected, got
        assert len(got) == 3
    else:
        assert got in expected
    tried.still_works()
    tried.server.drop_rules()
    mounting.wait_until(lambda: isinstance(listing(tried.mount.path / 'Bad'), list), 40, 0.3,
                        'listing of an honest server')
    assert len(listing(tried.mount.path / 'Bad')) == 3


def test_no_after_listing(bad):
    folder = fake.Folder('Bad', [fake.sample_message(i) for i in range(3)])
    tried = bad(folder)
    tried.server.rule('UID FETCH', lambda s, t, c: no_after_listing(s, t, c)
                      if s.selected.name == 'Bad' else None)
    got = listing(tried.mount.path / 'Bad')
    # all that SEARCH and EXISTS name may be believed, a part of it not
    assert got == 'EIO' or len(got) == 3
    tried.still_works()


def test_bye_within_a_listing(bad):
    folder = fake.Folder('Bad', [fake.sample_message(i) for i in range(200)])

    def respond(session, seq, items, usual):
        session.send(b'* BYE enough\r\n')
        session.shut()
    folder.messages[120].respond = respond
    tried = bad(folder)
    got = listing(tried.mount.path / 'Bad')
    assert got in ('EIO', 'ENETUNREACH', 'ETIMEDOUT')
    folder.messages[120].respond = None
    mounting.wait_until(lambda: len(listing(tried.mount.path / 'Bad')) == 200, 40, 0.3, 'listing')


LISTS = {
    'a line of 100 MB': many_pieces(b'* LIST () "/" "', MEGABYTE, 100),
    '20,000 parentheses': say('* LIST (' + '(' * 20000 + ' "/" x'),
    'literal of 4 GB': many_pieces(b'* LIST () "/" {4294967295}\r\n', MEGABYTE, 5),
    'garbage': many_pieces(b'', b'\x00\xff\xfe\r\n(((\r\n* * *\r\n', 1000),
}


@pytest.mark.parametrize('what', LISTS)
def test_hostile_list(mounts, scripted, what):
    """Of folders, at the start: exit 1 or 4, one line, nothing mounted."""
    server = scripted([fake.Folder('INBOX')])
    server.rule('^LIST', LISTS[what])
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none', 'timeout=3'])
    begin = time.monotonic()
    result = mount.try_start()
    assert result.code in (1, 4), result
    assert len(result.err.splitlines()) == 1 and '127.0.0.1' in result.err
    assert time.monotonic() - begin < 40
    mount.check_gone()


def test_escape_sequences_never_reach_the_terminal(mounts, scripted):
    """Server text is shown without control characters, at most 512 bytes of it."""
    server = scripted()
    server.rule('LOGIN|AUTHENTICATE', lambda s, t, c: t.encode() +
                b' NO \x1b]0;title\x07\x1b[31mred\x00\xe2\x80\xae' + b'long ' * 1000 + b'\r\n')
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none'])
    result = mount.try_start()
    assert result.code == 3
    assert all(c.isprintable() for c in result.err.rstrip('\n')), ascii(result.err)
    assert len(result.err) < 1000


def test_uidvalidity_changes(mounts, scripted):
    """The same UIDs are other messages now: never an old body under a new message."""
    folder = fake.Folder('INBOX', [fake.sample_message(i) for i in range(5)])
    server = scripted([folder])
    home = mounts.home()
    mount = mounts.plain(server.port, home=home)
    for path in compare.folder_files(mount.path / 'INBOX'):
        read(path)
    mount.stop()
    folder.uidvalidity += 1
    folder.messages = []
    folder.uidnext = 1
    for i in range(5):
        folder.add(fake.sample_message(100 + i))
    mount = mounts.plain(server.port, home=home)
    mounting.wait_until(lambda: {read(p) for p in compare.folder_files(mount.path / 'INBOX')}
                        == {m.data for m in folder.messages}, 30, 0.3, 'the new messages')
