"""Listings answered as no server should: complete, or an error, never silently partial."""
import time

import compare
import mount as mounting
import pytest
import scripted as fake
from hostile import DATA, MEGABYTE, bye_line_in_data, listing, many_pieces, read, twice


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
    session.send(head + b' BODY[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)] {50000014}\r\n'
                 b'Subject: a b\r\n')
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
