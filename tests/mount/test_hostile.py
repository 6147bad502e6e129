"""Bodies answered as no server should: exact bytes or a clear error, never anything between.

Other folders go on working, and memory does not grow."""
import mmap
import os
import subprocess
import tarfile

import compare
import mount as mounting
import pytest
import scripted as fake
from hostile import DATA, MEGABYTE, bye_line_in_data, many_pieces, read, twice


def literal(data):
    return b'{%d}\r\n%s' % (len(data), data)


def whole(items):
    return '[]' in items


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
    session.send(b'* OK [XUNKNOWN (a b "c")] some text\r\n* 1 RECENT\r\n'
                 b'* XTHING 5 {3}\r\nabc done\r\n'
                 b'* OK [HIGHESTMODSEQ 5]\r\n* FLAGS (\\Seen x)\r\n* 7 XTRA (a (b (c)))\r\n')
    session.send(usual)
    session.send(b'* OK still here\r\n* SEARCH\r\n* STATUS INBOX (MESSAGES 9)\r\n')


def unknown_items(session, seq, items, usual):
    if not whole(items):
        session.send(usual)
        return
    session.send(b'* %d FETCH (X-ODD {5}\r\n)*\r\na X-LIST (a "b)" {2}\r\n() (c)) '
                 b'X-NIL NIL EMAILID (M1) UID 1 BODY[] %s X-LAST 5)\r\n' % (seq, literal(DATA)))


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
    'other literal of 1 GB': (many_pieces(b'* 1 FETCH (UID 1 X-HEAD {1073741824}\r\n', MEGABYTE,
                                          40), {'EIO', 'ETIMEDOUT'}),
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
