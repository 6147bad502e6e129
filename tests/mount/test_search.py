"""mailmount search: what the server finds, compared with an evaluation of our own over the files."""
import calendar
import email
import email.policy
import json
import os
import pathlib
import subprocess
import time

import compare
import mount as mounting
import pytest
import scripted as fake

FOLDERS = {     # raw name -> mount path
    'INBOX': 'INBOX',
    'Work': 'Work',
    'Work/Old': 'Work/Old',
    'Workshop': 'Workshop',
    'Two Words': 'Two Words',
    'H&AOQ-user': 'Häuser',
}
DAY = 86400
LONG = 'abcdefghij' * 100
NOON = 43200


def day(text):
    return calendar.timegm(time.strptime(text, '%Y-%m-%d')) + NOON


def plain(subject, text, sender='Alice Example <alice@example.org>', to='bob@example.org',
          more='', charset='us-ascii', encoding='7bit', date='Wed, 10 Jan 2024 12:00:00 +0000'):
    head = (f'From: {sender}\nTo: {to}\nSubject: {subject}\nDate: {date}\n{more}'
            f'MIME-Version: 1.0\nContent-Type: text/plain; charset={charset}\n'
            f'Content-Transfer-Encoding: {encoding}\n\n')
    return (head + text + '\n').replace('\n', '\r\n').encode('utf-8')


MULTIPART = ('From: Dave <dave@example.com>\nTo: bob@example.org\nCc: Carol <carol@example.net>\n'
             'Subject: Minutes\nMIME-Version: 1.0\n'
             'Content-Type: multipart/mixed; boundary=frontier\n\n'
             '--frontier\nContent-Type: text/plain; charset=utf-8\n'
             'Content-Transfer-Encoding: quoted-printable\n\n'
             'The budget is 5=E2=82=AC; see the attach=\nment.\nThe end.\n'
             '--frontier\nContent-Type: application/octet-stream\n'
             'Content-Transfer-Encoding: base64\n\n'
             + 'AAECAwQFBgcICQoLDA0ODw==\n' * 6000 +
             '--frontier--\n').replace('\n', '\r\n').encode()

# Cyrus does not search the last line of what is quoted-printable.
MESSAGES = [    # raw folder, bytes, flags, day
    ('INBOX', plain('Invoice 12/2026', 'Please find the invoice attached.'), '\\Seen',
     '2024-01-10'),
    ('INBOX', plain('=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=',
                    'U2Now7ZuZSBHcsO8w59lIGF1cyBkZXIgQWx0c3RhZHQ=',
                    '=?utf-8?B?SsO8cmdlbiBNw7xsbGVy?= <jm@example.net>', charset='utf-8',
                    encoding='base64'), '', '2024-02-20'),
    ('INBOX', plain('Lunch?', 'a caf=E9 at noon, with a view\nThe end', charset='iso-8859-1',
                    encoding='quoted-printable'), '\\Flagged', '2024-02-21'),
    ('INBOX', plain('Re: Invoice 12/2026', 'No, thanks.', 'Bob <bob@example.org>',
                    'Alice <alice@example.org>', 'Bcc: secret@example.org\n'),
     '\\Seen \\Answered', '2024-03-01'),
    ('Work', MULTIPART, '\\Seen $Forwarded', '2024-03-02'),
    ('Work', plain('He said "yes\\no" (twice)', 'A literal {5} and a star * and 50% off'),
     'work $label1', '2023-12-31'),
    ('Work/Old', plain('archive', f'before {LONG} behind'), '\\Seen', '2019-05-05'),
    ('Work/Old', plain('directly', 'Übergrößenträger stehen hier', charset='utf-8',
                       encoding='8bit'), '\\Draft', '2019-05-06'),
    ('Workshop', plain('tools', 'hammer', 'Carl <carl@example.org>'), '\\Seen', '2022-02-02'),
    ('Two Words', plain('an ordinary one', 'or not to be and so on'), '\\Seen \\Deleted',
     '2024-01-11'),
    ('H&AOQ-user', plain('im Haus', 'invoice of the house', more='X-Note: hidden-in-a-header\n'),
     '', '2024-01-12'),
]


class File:
    """One message as the mount shows it."""

    def __init__(self, path):
        self.path = path
        data = pathlib.Path(path).read_bytes()
        message = email.message_from_bytes(data, policy=email.policy.default)
        self.size = len(data)
        self.day = time.strftime('%Y-%m-%d', time.gmtime(os.stat(path).st_mtime))
        self.flags = compare.xattr(path, 'user.imap.flags').split()
        self.headers = {name.lower(): str(value) for name, value in message.items()}
        self.body = '\n'.join(part.get_content() for part in message.walk()
                              if part.get_content_type() == 'text/plain')
        self.all = '\n'.join(self.headers.values()) + self.body

    def has(self, field, text):
        return text.casefold() in self.headers.get(field, '').casefold()

    def contains(self, text):
        return text.casefold() in self.all.casefold()

    def says(self, text):
        return text.casefold() in self.body.casefold()


# What RFC 3501 promises of every server: substrings, in any case, of decoded text.
QUERIES = [
    ('invoice', lambda m: m.contains('invoice')),
    ('INVOICE', lambda m: m.contains('invoice')),
    ('nvoic', lambda m: m.contains('nvoic')),
    ('nothingofthekind', lambda m: False),
    ('text:hidden-in-a-header', lambda m: m.contains('hidden-in-a-header')),
    ('body:hidden-in-a-header', lambda m: False),
    ('from:alice', lambda m: m.has('from', 'alice')),
    ('from:"Alice Example"', lambda m: m.has('from', 'alice example')),
    ('to:alice', lambda m: m.has('to', 'alice')),
    ('cc:carol', lambda m: m.has('cc', 'carol')),
    ('bcc:secret', lambda m: m.has('bcc', 'secret')),
    ('subject:invoice', lambda m: m.has('subject', 'invoice')),
    ('subject:"12/2026"', lambda m: m.has('subject', '12/2026')),
    ('body:attached', lambda m: m.says('attached')),
    ('body:attachment', lambda m: m.says('attachment')),
    ('from:alice subject:invoice', lambda m: m.has('from', 'alice') and m.has('subject', 'invoice')),
    ('from:bob or cc:carol', lambda m: m.has('from', 'bob') or m.has('cc', 'carol')),
    ('from:alice (subject:lunch or subject:archive)',
     lambda m: m.has('from', 'alice') and (m.has('subject', 'lunch') or m.has('subject', 'archive'))),
    ('subject:lunch or from:alice subject:archive or body:thanks',
     lambda m: m.has('subject', 'lunch') or m.has('from', 'alice') and m.has('subject', 'archive')
     or m.says('thanks')),
    ('not from:alice', lambda m: not m.has('from', 'alice')),
    ('-from:alice -invoice', lambda m: not m.has('from', 'alice') and not m.contains('invoice')),
    ('-(from:alice or from:bob)', lambda m: not (m.has('from', 'alice') or m.has('from', 'bob'))),
    ('not not from:alice', lambda m: m.has('from', 'alice')),
    ('"or not to be and so"', lambda m: m.says('or not to be and so')),
    ('since:2024-02-21', lambda m: m.day >= '2024-02-21'),
    ('before:2024-01-10', lambda m: m.day < '2024-01-10'),
    ('on:2024-01-11', lambda m: m.day == '2024-01-11'),
    ('since:2024-01-01 before:2024-02-01', lambda m: '2024-01-01' <= m.day < '2024-02-01'),
    ('before:1y', lambda m: True),
    ('since:7d', lambda m: False),
    ('larger:100k', lambda m: m.size > 102400),
    ('smaller:100K', lambda m: m.size < 102400),
    ('is:unread', lambda m: '\\Seen' not in m.flags),
    ('unread from:alice', lambda m: '\\Seen' not in m.flags and m.has('from', 'alice')),
    ('is:read', lambda m: '\\Seen' in m.flags),
    ('is:flagged or is:answered', lambda m: '\\Flagged' in m.flags or '\\Answered' in m.flags),
    ('is:draft', lambda m: '\\Draft' in m.flags),
    ('is:deleted', lambda m: '\\Deleted' in m.flags),
    ('is:forwarded', lambda m: '$Forwarded' in m.flags),
    ('keyword:work', lambda m: 'work' in m.flags),
    ('-keyword:$label1', lambda m: '$label1' not in m.flags),
    # beyond ASCII: in headers as RFC 2047, in bodies as base64, quoted-printable and 8-bit
    ('from:Jürgen', lambda m: m.has('from', 'Jürgen')),
    ('subject:"aus Köln"', lambda m: m.has('subject', 'aus Köln')),
    ('subject:"AUS KÖLN"', lambda m: m.has('subject', 'aus Köln')),
    ('body:Schöne', lambda m: m.says('Schöne')),
    ('body:5€', lambda m: m.says('5€')),
    ('body:Übergröß', lambda m: m.says('Übergröß')),
    ('Köln or subject:lunch', lambda m: m.contains('Köln') or m.has('subject', 'lunch')),
    # what would break a command that is put together carelessly
    ('subject:"\\"yes"', lambda m: m.has('subject', '"yes')),
    ('subject:"yes\\\\no\\" (twice)"', lambda m: m.has('subject', 'yes\\no" (twice)')),
    ('subject:yes\\no', lambda m: m.has('subject', 'yes\\no')),
    ('body:{5}', lambda m: m.says('{5}')),
    ('body:"star * and 50%"', lambda m: m.says('star * and 50%')),
    ('"{5}\\" ALL"', lambda m: False),
    (f'body:{LONG}', lambda m: m.says(LONG)),
    (f'body:{LONG}x', lambda m: False),
    (f'body:{"ü" * 1000}', lambda m: False),
]

# Cyrus 3.6 as Debian builds it does not look into bodies in ISO 8859-1.
QUERIES_DOVECOT = [
    ('café', lambda m: m.contains('café')),
    ('body:"CAFÉ at noon"', lambda m: m.says('café at noon')),
]


def fill(account):
    imap = account.client()
    for raw in FOLDERS:
        if raw != 'INBOX':
            imap.create(raw)
    for raw, data, flags, date in MESSAGES:
        imap.append(raw, data, flags, day(date))
    imap.close()


def search(mount, *words, where=None, timeout=60):
    """The lines that are printed; it must go well."""
    result = mount.verb('search', where or mount.path, *words, timeout=timeout)
    assert result.code == 0, result
    assert result.err == ''
    assert result.out == '' or result.out.endswith('\n')
    return result.out.splitlines()


def all_files(mount):
    return [File(path) for directory in compare.all_directories(mount.path)
            for path in compare.folder_files(mount.path / directory)]


def flags_on_server(account):
    imap = account.client()
    found = {raw: {uid: m.flags for uid, m in imap.messages(raw, bodies=False).items()}
             for raw in FOLDERS}
    imap.close()
    return found


def run_table(mounts, account, options=(), queries=QUERIES):
    fill(account)
    flags = flags_on_server(account)
    mount = mounts.account(account, options)
    first = search(mount, 'invoice')        # nothing has been listed yet
    files = all_files(mount)
    assert len(files) == len(MESSAGES)
    assert sorted(first) == sorted(f.path for f in files if f.contains('invoice'))
    wrong = {}
    for query, predicate in queries:
        found = search(mount, query)
        expected = {f.path for f in files if predicate(f)}
        if set(found) != expected or len(found) != len(expected):
            wrong[query[:60]] = (found, sorted(expected))
    assert not wrong, json.dumps(wrong, indent=1, ensure_ascii=False)
    assert flags_on_server(account) == flags
    return mount


def test_queries(mounts, backend):
    run_table(mounts, backend.new_account(),
              queries=QUERIES + (QUERIES_DOVECOT if backend.name == 'dovecot' else []))


PLAIN = 'IMAP4rev1 NAMESPACE UIDPLUS'


@pytest.mark.parametrize('caps', [PLAIN, PLAIN + ' LITERAL- ESEARCH UNSELECT'])
def test_queries_of_old_servers(mounts, dovecot_with, caps):
    """No ESEARCH, and literals that wait for the server."""
    few = [q for q in QUERIES if not q[0].isascii() or q[0].startswith(('from', '-', '"'))]
    run_table(mounts, dovecot_with(caps=caps).new_account(), ['connections=2'], few)


# ---- what is printed

@pytest.fixture
def filled(mounts, dovecot):
    account = dovecot.new_account()
    fill(account)
    return mounts.account(account), account


def test_paths(filled):
    """Of DIR as it was given; of the mount without DIR; they open, also through xargs."""
    mount, _ = filled
    top = os.fspath(mount.path)

    def run(*words, cwd='/'):
        done = subprocess.run([mount.binary, 'search', *words], cwd=cwd, capture_output=True,
                              env=mount.home.environment(), stdin=subprocess.DEVNULL, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()
    whole = run(top, 'from:alice').splitlines()
    assert len(whole) == 7 and all(os.path.isfile(path) for path in whole)
    assert whole == sorted(whole)       # by folder, then by date
    assert run(top + '/', 'from:alice').splitlines() == whole
    below = [path for path in whole if path.startswith(f'{top}/Work/')]
    assert run(f'{top}/Work', 'from:alice').splitlines() == below
    assert run(f'{top}/Work', 'smaller:1G').count('\n') == 4   # and not those of Workshop
    assert run('Work', 'from:alice', cwd=top).splitlines() == [p[len(top) + 1:] for p in below]
    assert run('.', 'from:alice', cwd=top).splitlines() == ['.' + p[len(top):] for p in whole]
    assert run('..', 'from:alice', cwd=f'{top}/INBOX').splitlines() == \
        ['..' + p[len(top):] for p in whole]
    assert run('from:alice', cwd=f'{top}/INBOX').splitlines() == whole
    assert run(f'{top}/Work/Old', 'from:alice').splitlines() == \
        [p for p in whole if '/Work/Old/' in p]
    assert run(f'{top}/Häuser', 'invoice').count('\n') == 1
    nul = run('-0', top, 'from:alice')
    assert nul.split('\0') == [*whole, '']
    read = subprocess.run(['xargs', '-0', 'cat', '--'], input=nul.encode(), capture_output=True)
    assert read.returncode == 0 and read.stdout.count(b'Subject:') == 7
    # several words are one query, quotes and all
    assert len(run(top, 'from:alice', 'subject:"im', 'haus"').splitlines()) == 1
    assert run(top, '--', '-from:alice').count('\n') == len(MESSAGES) - 7
    assert run(top, '-from:alice').count('\n') == len(MESSAGES) - 7


def test_json(filled):
    mount, account = filled
    result = mount.verb('search', '--json', mount.path, 'is:forwarded or body:Übergröß')
    assert result.code == 0, result
    found = json.loads(result.out)
    imap = account.client()
    assert [(hit['folder'], hit['uid'], hit['received'], sorted(hit['flags'])) for hit in found] == [
        ('Work', 1, '2024-03-02T12:00:00Z', ['$Forwarded', '\\Seen']),
        ('Work/Old', 2, '2019-05-06T12:00:00Z', ['\\Draft'])]
    for hit in found:
        assert list(hit) == ['path', 'folder', 'uid', 'size', 'date', 'received', 'flags']
        assert pathlib.Path(hit['path']).read_bytes() == imap.messages(
            hit['folder'])[hit['uid']].data
        assert hit['size'] == os.stat(hit['path']).st_size
    imap.close()
    nothing = mount.verb('search', '--json', mount.path, 'nothingofthekind')
    assert nothing.code == 0 and json.loads(nothing.out) == []


ERRORS = {
    'form:alice': ('character 1 of the query', '"form:"'),
    'a (b': ('character 3 of the query', 'never closed'),
    'since:tomorrow': ('character 7 of the query', '"tomorrow"'),
    'größer larger:viel': ('character 15 of the query', '"viel"'),
    'x' * 5000: ('5000 bytes',),
}


def test_usage(filled):
    mount, _ = filled
    for query, words in ERRORS.items():
        result = mount.verb('search', mount.path, query)
        assert result.code == 2 and result.out == '', result
        assert result.err.count('\n') == 1 and all(word in result.err for word in words), result.err
    for words in ([], [mount.path], ['-0', '--json', 'a'], ['--what', 'a']):
        result = mount.verb('search', *words)
        assert result.code == 2 and result.out == '' and 'usage' in result.err, result
    for where in (mount.path / 'Nowhere', mount.path / '.mailmount', '/'):
        result = mount.verb('search', where, 'a')
        assert result.code == 6 and result.out == '', result


def test_odd_folder_names(mounts, dovecot):
    """Blanks, quotes, backslashes, what IMAP and shells think of."""
    account = dovecot.new_account()
    imap = account.client()
    names = ['a b', 'say "hi"', 'back\\slash', 'star*{5}', "it's (so)", '%41', 'caf&AOk-']
    for number, raw in enumerate(names):
        imap.create(raw)
        imap.append(raw, plain(f'odd {number}', 'needle'), '', day('2024-01-01'))
    imap.close()
    mount = mounts.account(account)
    found = search(mount, 'needle')
    assert len(found) == len(names)
    assert sorted(found) == sorted(f.path for f in all_files(mount))
    for path in found:
        assert search(mount, 'needle', where=os.path.dirname(path)) == [path]


def test_folder_of_the_url(mounts, dovecot):
    account = dovecot.new_account()
    fill(account)
    mount = mounts.make(account.url() + '/Work', account.password).start()
    found = search(mount, 'from:alice')
    assert len(found) == 3 and all(os.path.isfile(path) for path in found)
    assert {os.path.relpath(os.path.dirname(p), mount.path) for p in found} == {'.', 'Old'}
    assert len(search(mount, 'from:alice', where=mount.path / 'Old')) == 2
    hits = json.loads(mount.verb('search', '--json', mount.path, 'from:alice').out)
    assert [hit['folder'] for hit in hits] == ['', 'Old', 'Old']


# ---- a server that changes

def test_new_mail_is_found_before_it_is_listed(mounts, account):
    fill(account)
    mount = mounts.account(account, ['poll=86400', 'connections=1'])
    os.listdir(mount.path / 'Work')
    imap = account.client()
    imap.append('Work', plain('just now', 'a needle'), '', day('2024-05-05'))
    found = search(mount, 'needle')
    assert len(found) == 1 and b'just now' in pathlib.Path(found[0]).read_bytes()
    imap.expunge('Work', '3')
    imap.close()
    assert search(mount, 'needle') == []


def test_another_uidvalidity(mounts, scripted):
    """The same UIDs are other messages now: they are listed before they are named."""
    folder = fake.Folder('INBOX', [fake.sample_message(i) for i in range(5)])
    mount = mounts.plain(scripted([folder]).port, ['poll=86400', 'connections=1'])
    assert len(os.listdir(mount.path / 'INBOX')) == 5
    folder.uidvalidity += 1
    folder.messages = []
    folder.uidnext = 1
    for i in range(3):
        folder.add(fake.sample_message(100 + i))
    found = search(mount, 'message')
    assert {pathlib.Path(p).read_bytes() for p in found} == {m.data for m in folder.messages}


def test_uidvalidity_that_never_rests(mounts, scripted):
    folder = fake.Folder('INBOX', [fake.sample_message(i) for i in range(5)])
    server = scripted([folder])
    mount = mounts.plain(server.port, ['poll=86400', 'connections=1'])

    def examine(session, tag, command):
        folder.uidvalidity += 1
    server.rule('^EXAMINE', examine)
    failed(mount, 1, 'folder INBOX')


def test_hits_that_vanish(mounts, scripted):
    """Named by SEARCH, gone when they are listed: dropped, without a word."""
    folder = fake.Folder('INBOX', [fake.sample_message(i) for i in range(5)])
    server = scripted([folder])
    mount = mounts.plain(server.port, ['poll=86400', 'connections=1'])
    server.rule('UID SEARCH.* TEXT', lambda s, t, c:
                f'* ESEARCH (TAG "{t}") UID ALL 2:4,77:99\r\n{t} OK done\r\n')
    found = search(mount, 'message')
    assert [int(compare.xattr(path, 'user.imap.uid')) for path in found] == [2, 3, 4]


# ---- a server that fails: an error that names the folder, and never a part

def failed(mount, code, *words, query='message'):
    result = mount.verb('search', mount.path, query, timeout=90)
    assert result.code == code and result.out == '', result
    assert result.err.count('\n') == 1 and all(word in result.err for word in words), result.err
    return result.err


def three(scripted, **more):
    """Three folders, of which Bad is in the middle."""
    server = scripted([fake.Folder(name, [fake.sample_message(i) for i in range(4)])
                       for name in ('INBOX', 'Bad', 'Zzz')], **more)
    return server


@pytest.mark.parametrize('answer, code', [('NO [SERVERBUG] broken index', 1), ('BAD what', 1),
                                          ('NO [NOPERM] not yours', 1)])
def test_a_folder_that_answers_no(mounts, scripted, answer, code):
    server = three(scripted)
    mount = mounts.plain(server.port)
    server.rule('UID SEARCH.* TEXT', lambda s, t, c: f'{t} {answer}\r\n'
                if s.selected.name == 'Bad' else None)
    assert answer.split(' ', 1)[1].split('] ')[-1] in failed(mount, code, 'folder Bad', 'refused')
    server.drop_rules()
    assert len(search(mount, 'message')) == 12
    server.rule('EXAMINE "?Bad', lambda s, t, c: f'{t} {answer}\r\n')
    failed(mount, code, 'folder Bad', 'cannot be opened')
    assert len(search(mount, 'message', where=mount.path / 'Zzz')) == 4
    server.drop_rules()
    assert len(search(mount, 'message')) == 12


def test_no_utf8(mounts, scripted):
    server = three(scripted)
    mount = mounts.plain(server.port)
    server.rule('UID SEARCH.*CHARSET', lambda s, t, c: f'{t} NO [BADCHARSET (US-ASCII)] sorry\r\n')
    failed(mount, 1, 'ASCII', 'sorry', query='Grüße')
    assert len(search(mount, 'message')) == 12
    assert not [c for c in server.commands('TEXT "message"') if 'CHARSET' in c]


def hang_up(session, tag, command):
    session.shut()


def test_a_connection_that_breaks(mounts, scripted):
    server = three(scripted)
    mount = mounts.plain(server.port, ['connections=1'])
    server.rule('UID SEARCH.* TEXT', hang_up, times=1)
    assert len(search(mount, 'message')) == 12
    # What half an answer said is forgotten.
    server.rule('UID SEARCH.* TEXT', lambda s, t, c:
                f'* ESEARCH (TAG "{t}") UID ALL 2\r\n{t} OK done\r\n')
    server.rule('UID SEARCH.* TEXT', lambda s, t, c:
                s.send(f'* ESEARCH (TAG "{t}") UID ALL 1:4\r\n') or hang_up(s, t, c), times=1)
    assert [compare.xattr(p, 'user.imap.uid') for p in search(mount, 'message')] == ['2'] * 3
    server.rule('UID SEARCH.* TEXT', hang_up)
    failed(mount, 4, 'folder ')


def test_silence(mounts, scripted):
    """timeout= without progress."""
    server = three(scripted)
    mount = mounts.plain(server.port, ['timeout=2'])
    server.rule('UID SEARCH.* TEXT', lambda s, t, c: s.stall())
    failed(mount, 4, 'folder ', 'progress')


@pytest.mark.parametrize('connections', [2, 4])
def test_others_need_not_wait(mounts, scripted, job, connections):
    """Who opens a message has a worker, however long the server searches."""
    names = ['INBOX', *(f'F{i:02}' for i in range(39))]
    server = scripted([fake.Folder(name, [fake.sample_message(1)]) for name in names])
    mount = mounts.plain(server.port, ['timeout=90', f'connections={connections}'])
    paths = compare.folder_files(mount.path / 'INBOX')
    server.rule('UID SEARCH.* TEXT', lambda s, t, c: s.stall())
    running = job(mount.binary, 'search', mount.path, 'message', env=mount.home.environment())
    lanes = max(1, connections - 2)
    mounting.wait_until(lambda: len(server.commands('UID SEARCH.* TEXT')) == lanes, 20)
    assert running.waits(0.3) and len(server.commands('UID SEARCH.* TEXT')) == lanes
    assert job('cat', *paths).result(30)[0] == 0
    assert running.waits(0)
    server.release.set()
    code, out, err = running.result(60)
    assert code == 0 and out.count(b'\n') == len(names), err


def test_an_asker_that_goes_away(mounts, scripted, job):
    """Nobody waits for a server that is silent: not after Ctrl-C, nor at the end of the mount."""
    server = three(scripted)
    mount = mounts.plain(server.port, ['timeout=600'])
    server.rule('UID SEARCH.* TEXT', lambda s, t, c: s.stall())
    first = job(mount.binary, 'search', mount.path, 'message', env=mount.home.environment())
    mounting.wait_until(lambda: server.commands('UID SEARCH.* TEXT'), 20)
    first.process.terminate()
    second = job(mount.binary, 'search', mount.path, 'message', env=mount.home.environment())
    assert second.waits()
    mount.stop('sigterm')
    assert second.result()[0] != 0


def test_offline(mounts, scripted):
    server = three(scripted)
    home = mounts.home()
    mount = mounts.plain(server.port, home=home)
    assert len(search(mount, 'message')) == 12
    mount.stop()
    server.stop()
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none', 'offline'],
                        home=home).start()
    assert len(os.listdir(mount.path / 'INBOX')) == 4
    begin = time.monotonic()
    failed(mount, 4, 'offline')
    assert time.monotonic() - begin < 20


# ---- what is asked

def test_commands(mounts, scripted):
    """Only the folders of the mount, only EXAMINE, several at one time, no ESEARCH without it."""
    names = ['INBOX', 'Hidden', *(f'F{i}' for i in range(9))]
    for caps in (fake.CAPABILITIES, 'IMAP4rev1'):
        server = scripted([fake.Folder(name, [fake.sample_message(1)]) for name in names],
                          capabilities=caps)
        mount = mounts.plain(server.port, ['folders=INBOX:F*'], name=f'm{len(caps)}')
        assert len(search(mount, '"a\\"b"', 'Grüße')) == 10
        asked = server.commands('UID SEARCH.* TEXT')
        assert len(asked) == 10
        words = 'RETURN (ALL) CHARSET UTF-8' if 'ESEARCH' in caps else 'CHARSET UTF-8'
        assert set(asked) == {f'UID SEARCH {words} TEXT "a\\"b" TEXT "Grüße"'} or \
            all(line.startswith(f'UID SEARCH {words} TEXT') for line in asked)
        assert not server.commands('^(SELECT|EXAMINE "Hidden"|UID STORE|STORE|CLOSE|EXPUNGE)')
        mount.stop()


def test_too_many(mounts, scripted):
    """More than anybody can use: an error, and no memory for it."""
    server = three(scripted)
    mount = mounts.plain(server.port)
    server.rule('UID SEARCH.* TEXT', lambda s, t, c:
                f'* ESEARCH (TAG "{t}") UID ALL 1:4000000000\r\n{t} OK done\r\n')
    failed(mount, 1, 'narrow')
