"""Messages as they really come: every one of them is legal for some server and odd for a client."""

DATE = 1700000000

HEAD = (b'From: Ann <ann@example.org>\r\nSubject: %s\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n'
        b'Message-ID: <%s@example.org>\r\n')


def head(what):
    return HEAD % (what, what.replace(b' ', b'.'))


# name -> bytes.  The names of these files are computed by names.py too.
ODD = {
    'empty body': head(b'empty body') + b'\r\n',
    'one byte body': head(b'one byte') + b'\r\nx',
    'no newline at the end': head(b'no newline') + b'\r\nlast line without',
    'only dots': head(b'dots') + b'\r\n.\r\n..\r\n.\r\n',
    'from line in body': head(b'from line') + b'\r\nFrom somebody\r\n>From else\r\n',
    'long line': head(b'long line') + b'\r\n' + b'x' * 100000 + b'\r\n',
    '8-bit body': head(b'eight bit') + b'\r\n' + bytes(range(128, 256)) * 20 + b'\r\n',
    'utf-8 subject': head('Grüße – ok'.encode()).replace(
        'Grüße.–.ok'.encode(), b'u8') + b'\r\nx\r\n',
    'tag-like body': head(b'tags') + b'\r\na1 OK done\r\n* 5 EXISTS\r\n)\r\n* BYE\r\n',
    'literal-like body': head(b'literal') + b'\r\n{10}\r\n{4294967295}\r\n{5+}\r\n',
    'many headers': head(b'many') + b''.join(
        b'X-Header-%d: %s\r\n' % (n, b'v' * 60) for n in range(400)) + b'\r\nx\r\n',
    'folded': (b'From: Ann\r\n <ann@example.org>\r\nSubject: a\r\n b\r\n\tc\r\n'
               b'Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID:\r\n <folded@example.org>\r\n'
               b'\r\nx\r\n'),
    'no subject': (b'From: ann@example.org\r\nMessage-ID: <ns@example.org>\r\n'
                   b'Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\nx\r\n'),
    'no from': (b'Subject: no from\r\nMessage-ID: <nf@example.org>\r\n'
                b'Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\nx\r\n'),
    'no date': (b'From: a@example.org\r\nSubject: no date\r\nMessage-ID: <nd@example.org>\r\n'
                b'\r\nx\r\n'),
    'bad date': (b'From: a@example.org\r\nSubject: bad date\r\nDate: yesterday, about noon\r\n'
                 b'\r\nx\r\n'),
    'thousand characters': head(b'w' * 1000) + b'\r\nx\r\n',
    'base64': head(b'base64') + (
        b'MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n'
        b'Content-Transfer-Encoding: base64\r\n\r\n') + b'QUJDREVGR0g=\r\n' * 5000,
}

# What Cyrus refuses and Dovecot stores.
ODD_DOVECOT = {
    'NUL in body': head(b'nul') + b'\r\na\0b\0\0c\r\n',
    'bare line feeds': head(b'bare lf') + b'\r\none\ntwo\nthree\r\n',
    'bare returns': head(b'bare cr') + b'\r\none\rtwo\r\r\r\nthree\r\n',
    'no blank line': head(b'no blank line'),
    'no header at all': b'\r\njust a body\r\n',
    'not a header': b'this is not a header line\r\nneither is this\r\n',
    '8-bit header': (b'From: J\xfcrgen <j@example.org>\r\nSubject: caf\xe9\r\n'
                     b'Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\nx\r\n'),
}

FLAGS = ['', '\\Seen', '\\Seen \\Answered', '\\Flagged', '\\Draft', '\\Seen \\Deleted',
         '$Forwarded', '\\Seen $Junk work', 'NonJunk $label1']


def odd_messages(server_name):
    odd = dict(ODD)
    if server_name == 'dovecot':
        odd.update(ODD_DOVECOT)
    return odd


def store_odd(account, raw):
    """Appends them all with various flags and dates; returns how many."""
    imap = account.client()
    odd = odd_messages(account.server.name)
    for number, data in enumerate(odd.values()):
        imap.append(raw, data, FLAGS[number % len(FLAGS)], DATE + number * 3607)
    imap.close()
    return len(odd)


def store_twins(account, raw):
    """Three alike, and one with the same header and other text."""
    data = head(b'twin') + b'\r\nthe same\r\n'
    imap = account.client()
    for text in (data, data, data, data.replace(b'same', b'other')):
        imap.append(raw, text, '', DATE)
    imap.close()
