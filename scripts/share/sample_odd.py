"""Broken, rare and hostile messages: what real mailboxes hold and standards do not allow.

ODD is a list of (what, bytes).
"""
from sample_build import (
    CRLF,
    encoded_word,
    headers,
    multipart,
    one_word,
    part,
    picture,
    rfc2231,
    text_part,
)

DATE = 'Tue, 03 Mar 2026 10:15:00 +0100'
BODY = b'Nothing special here.\r\n'


def odd(
    name,
    subject=b'?',
    sender='Odd One <odd@example.org>',
    date=DATE,
    message_id='',
    extra=(),
    body=BODY,
):
    """A message; a value of None leaves the header out, the name makes the Message-ID."""
    if message_id == '':
        message_id = f'<odd.{name.replace(" ", "-")}@example.org>'
    if subject == b'?':
        subject = name
    return (
        name,
        headers(
            ('From', sender),
            ('To', 'alice@example.org'),
            ('Subject', subject),
            ('Date', date),
            ('Message-ID', message_id),
            *extra,
        )
        + CRLF
        + body,
    )


def raw(name, *header_lines, body=BODY):
    return name, b''.join(line + CRLF for line in header_lines) + CRLF + body


def nested(depth):
    content = text_part('The innermost part.\n')
    for level in range(depth):
        content = multipart('mixed', f'level-{level}', [content])
    return content


def mime(content):
    """Headers and body of a multipart, cut apart for odd()."""
    top, _, body = content.partition(CRLF + CRLF)
    name, _, value = top.partition(b': ')
    return ('MIME-Version', '1.0'), (name.decode(), value), body


def with_mime(name, content):
    version, content_type, body = mime(content)
    return odd(name, extra=(version, content_type), body=body)


def missing_headers():
    yield odd('no Date', date=None)
    yield odd('no From', sender=None)
    yield odd('no Subject', subject=None)
    yield odd('no Message-ID', message_id=None)
    yield raw('only Received', b'Received: from a.example by b.example; ' + DATE.encode())
    yield raw('empty values', b'From:', b'Subject:', b'Date:', b'Message-ID:', b'To: ')
    yield odd('empty body', body=b'')
    yield 'headers only', b'From: cut@example.org\r\nSubject: headers only\r\n'
    yield 'no end of line', odd('no end of line')[1] + b'the last line has no end'
    yield 'body only', b'\r\nA message that begins with its body.\r\n'


def twins():
    """Two that are the same, three that share what the name is made of, one that differs."""
    same = odd('twin')[1]
    yield 'twin 1', same
    yield 'twin 2', same
    for number in range(3):
        yield f'triplet {number}', odd('triplet', body=b'Triplet %d\r\n' % number)[1]
    yield odd('no id twin', message_id=None, body=b'one\r\n')
    yield odd('no id twin', message_id=None, body=b'two\r\n')


def subjects():
    yield odd('long subject', 'A subject of a thousand characters ' + 'x' * 965)
    yield odd('long subject, folded', b'\r\n '.join(b'word%03d' % i for i in range(140)))
    yield odd('long CJK subject', encoded_word('永遠に続く件名' * 60))
    yield odd('slashes', '../../etc/passwd and a\\b and C:\\dir /tmp/x')
    yield odd('encoded slash, newline, NUL', b'=?utf-8?Q?a=2Fb=0D=0AX-Injected:_yes=00end?=')
    yield odd('control characters', b'bell\x07 escape\x1b[31mred\x1b[0m delete\x7f tab\there')
    yield odd('bidi controls', encoded_word('invoice\u202egnp.exe\u202c \u2066x\u2069 \u200fz'))
    yield odd('zero width', encoded_word('in\u200bvis\u200dible\ufeff soft\u00adhyphen'))
    yield odd('dots', '...')
    yield odd('dash in front', '--rm -rf *')
    yield odd('hidden', '.hidden')
    yield odd('star and question', 'what? *all* "of" <it> | \'$HOME\' `id`; $(reboot) & more')
    yield odd('underscores', 'snake_case__name_')
    yield odd('percent', '100%41 %2F %')
    yield odd('tilde', 'backup~ and ~root')
    yield odd('blanks only', b'   \t  ')
    yield odd('no-break', encoded_word('no\u00a0break\u2003em\u3000wide'))
    yield odd('unassigned and private', encoded_word('\ue000 private \U000e0001 tag \u0378'))
    yield odd('surrogates', b'=?utf-8?Q?=ED=A0=80_lone_surrogate?=')
    yield odd('overlong', b'=?utf-8?Q?=C0=AF_overlong_slash?=')
    yield odd('zalgo', encoded_word('Z' + '\u0335\u0322\u0321' * 12 + 'algo'))


def encodings():
    yield odd(
        'raw windows-1252',
        'Grüße – 5 €'.encode('windows-1252'),
        sender='Jürgen <j@example.org>'.encode('windows-1252'),
    )
    yield odd('raw UTF-8', 'Grüße 日本語 שלום'.encode())
    yield odd('half raw UTF-8', 'Grüße '.encode() + b'\xe9t\xe9 \xff\xfe')
    yield odd('bad base64', b'=?utf-8?B?R3L8=DFl!!*?= and on')
    yield odd('bad quoted', b'=?utf-8?Q?=G1=?= =?utf-8?Q?unfinished')
    yield odd('unknown charset', b'=?x-klingon?Q?nuqneH_=FF?=')
    yield odd('unknown encoding', b'=?utf-8?X?what?=')
    yield odd('language tag', b'=?iso-8859-1*de?Q?Gr=FC=DFe?=')
    yield odd('empty words', b'=?utf-8?Q??= =?utf-8?B??=x')
    yield odd('split character', b'=?utf-8?B?5pel5pys?= =?utf-8?B?6g==?= =?utf-8?B?qp4=?=')
    yield odd('split ISO-2022-JP', b'=?ISO-2022-JP?B?GyRCOzNFRA==?= =?ISO-2022-JP?B?QkBPOhsoQg==?=')
    yield odd('wrong charset', b'=?us-ascii?Q?caf=C3=A9?= =?utf-8?Q?caf=E9?=')
    yield odd('words inside quotes', sender=b'"=?utf-8?Q?Ren=C3=A9?=" <r@example.org>')
    yield odd('no blank between words', b'=?utf-8?Q?a?==?utf-8?Q?b?=')
    yield odd('long encoded word', one_word('ä' * 300, 'utf-8', 'B'))
    yield odd(
        'two charsets', one_word('привет', 'koi8-r', 'B') + b' ' + one_word('日本', 'gb18030', 'B')
    )
    yield odd('lower case', b'=?utf-8?q?caf=c3=a9?=')
    yield odd(
        'body that lies',
        body='Это не latin-1.\r\n'.encode(),
        extra=(('MIME-Version', '1.0'), ('Content-Type', 'text/plain; charset=iso-8859-1')),
    )
    yield odd(
        'bad base64 body',
        body=b'SGVsbG8=====\r\n!!!!\r\nd29ybGQ\r\n',
        extra=(
            ('MIME-Version', '1.0'),
            ('Content-Type', 'text/plain; charset=utf-8'),
            ('Content-Transfer-Encoding', 'base64'),
        ),
    )


def dates():
    for name, date in [
        ('future', 'Fri, 01 Jan 2099 00:00:00 +0000'),
        ('before 1970', 'Mon, 03 Mar 1902 00:00:00 +0000'),
        ('no date', 'yesterday, I think'),
        ('two digits', '3 Mar 26 10:15 EST'),
        ('no zone', 'Tue, 03 Mar 2026 10:15:00'),
        ('bad zone', 'Tue, 03 Mar 2026 10:15:00 +9999'),
        ('comment', 'Tue (Tuesday), 03 (third) Mar 2026 10:15:00 (morning) +0100 (CET)'),
        ('day 31', 'Tue, 31 Feb 2026 10:15:00 +0100'),
        ('leap second', 'Sat, 31 Dec 2016 23:59:60 +0000'),
        ('ISO', '2026-03-03T10:15:00Z'),
        ('negative', 'Tue, -3 Mar 2026 10:15:00 +0100'),
        ('huge', 'Tue, 03 Mar 99999999999 10:15:00 +0100'),
    ]:
        yield odd(f'date {name}', date=date)
    yield odd('folded date', date=b'Tue, 03 Mar\r\n 2026\r\n\t10:15:00 +0100')


def senders():
    for number, sender in enumerate(
        [
            '<>',
            'undisclosed-recipients:;',
            'Friends: a@example.org, b@example.org;',
            'First <first@example.org>, Second <second@example.org>',
            'just a name',
            'old@example.org (Old Style Comment)',
            '"quoted \\"inside\\" name" <q@example.org>',
            '@route.example,@other.example:routed@example.org',
            '"a@b" <c@example.org>',
            'Unclosed "quote <u@example.org>',
            ', , <empty@example.org>, ',
            '"/../../" <slash@example.org>',
            'x' * 300 + ' <long@example.org>',
            b'raw@\xfc.example',
            '.',
            'name <a@b@c>',
        ]
    ):
        yield odd(f'sender {number}', sender=sender)


def structure():
    head = (b'From: a@example.org', b'Message-ID: <odd.%d@example.org>')
    yield raw(
        'colon missing',
        b'From: a@example.org',
        b'This line has no colon',
        b'Subject: colon missing',
    )
    yield raw(
        'blank before colon',
        b'From : a@example.org',
        b'Subject : blank before colon',
        b'Date : ' + DATE.encode(),
    )
    yield raw(
        'upper case',
        b'FROM: A@EXAMPLE.ORG',
        b'SUBJECT: UPPER CASE',
        b'DATE: ' + DATE.encode(),
        b'MESSAGE-id: <UPPER@example.org>',
    )
    yield raw(
        'mbox line',
        b'From a@example.org Tue Mar  3 10:15:00 2026',
        *head[:1],
        b'Subject: mbox line',
    )
    yield raw(
        'mbox line, quoted',
        b'>From a@example.org Tue Mar  3 10:15:00 2026',
        *head[:1],
        b'Subject: mbox line, quoted',
    )
    yield raw(
        'begins with a fold', b'  continued from nowhere', *head[:1], b'Subject: begins with a fold'
    )
    yield raw(
        'twice',
        b'Subject: twice, first',
        b'Subject: twice, second',
        b'From: one@example.org',
        b'From: two@example.org',
        b'Date: ' + DATE.encode(),
        b'Date: Wed, 04 Mar 2026 10:15:00 +0100',
        b'Message-ID: <twice.1@example.org>',
        b'Message-ID: <twice.2@example.org>',
    )
    yield raw('blank fold', *head[:1], b'Subject: before\r\n \r\n\t\r\n after a blank fold')
    yield raw(
        'fold inside a word',
        *head[:1],
        b'Subject: =?utf-8?Q?fold\r\n _inside?= =?utf-8?B?\r\n IGE=?=',
    )
    yield raw('fold at once', b'From:\r\n folded@example.org', b'Subject:\r\n\tfold at once')
    yield raw(
        'many headers',
        *head[:1],
        b'Subject: many headers',
        *[b'X-Number-%d: %d' % (i, i) for i in range(600)],
    )
    yield raw(
        'large header',
        *head[:1],
        b'Subject: large header',
        b'X-Large: ' + b'\r\n '.join([b'y' * 900] * 80),
    )
    yield raw(
        'header of 8-bit name', *head[:1], b'Subject: header of 8-bit name', b'X-\xc3\xa4: value'
    )
    yield odd('long line', body=b'z' * 20000 + CRLF)
    yield odd('dots', body=b'.\r\n..\r\n.end\r\n')
    yield odd('IMAP in the body', body=b')\r\n* 1 FETCH (FLAGS ())\r\na1 OK done\r\n{99999}\r\n')
    yield with_mime('deep', nested(60))
    yield with_mime('no end', multipart('mixed', 'cut', [text_part('cut off\n')])[:-9])
    yield odd('no boundary', extra=(('MIME-Version', '1.0'), ('Content-Type', 'multipart/mixed')))
    yield odd(
        'boundary never comes',
        extra=(('MIME-Version', '1.0'), ('Content-Type', 'multipart/mixed; boundary="nowhere"')),
    )
    yield odd('type without slash', extra=(('MIME-Version', '1.0'), ('Content-Type', 'text')))
    yield with_mime('empty parts', multipart('mixed', 'empty', [b'', CRLF, CRLF + CRLF]))


def attachment(name, disposition, content_type='application/octet-stream'):
    return with_mime(
        name,
        multipart(
            'mixed',
            'parts',
            [
                text_part('See the attachment.\n'),
                part(content_type, b'attached\n', disposition=disposition),
            ],
        ),
    )


def attachments():
    yield attachment('path in a file name', 'attachment; filename="../../.ssh/authorized_keys"')
    yield attachment('RFC 2231', 'attachment' + rfc2231('filename', 'Übersicht €.txt'))
    yield attachment(
        'RFC 2231 in pieces',
        'attachment'
        + rfc2231(
            'filename', 'ein sehr langer Dateiname für das größte Übersichtsblatt.txt', pieces=4
        ),
    )
    yield attachment(
        'RFC 2231, pieces missing', 'attachment; filename*0*=utf-8\'\'a; filename*2*=c'
    )
    yield attachment('RFC 2231, bad charset', 'attachment; filename*=x-none\'\'%FF%FE')
    yield attachment(
        'encoded word as parameter', b'attachment; filename="=?utf-8?B?w7xiZXIudHh0?="'
    )
    yield attachment('raw bytes as parameter', 'attachment; filename="über.txt"'.encode('latin-1'))
    yield attachment('no file name', 'attachment', 'image/png; name="only in the type.png"')
    yield with_mime(
        'message inside',
        multipart(
            'mixed',
            'forward',
            [
                text_part('Forwarded.\n'),
                headers(('Content-Type', 'message/rfc822')) + CRLF + odd('inner')[1],
            ],
        ),
    )
    yield with_mime(
        'bounce',
        multipart(
            'report',
            'report',
            [
                text_part('Your message could not be delivered.\n'),
                headers(('Content-Type', 'message/delivery-status'))
                + CRLF
                + b'Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; x@example\r\nAction: failed\r\n',
            ],
            '; report-type=delivery-status',
        ),
    )
    yield with_mime(
        'signed',
        multipart(
            'signed',
            'sig',
            [
                text_part('Signed text.\n'),
                part('application/pgp-signature', b'-----BEGIN PGP SIGNATURE-----\r\n', '7bit'),
            ],
            '; micalg=pgp-sha256; protocol="application/pgp-signature"',
        ),
    )
    yield with_mime('uuencoded', text_part('begin 644 hello.txt\n%:&5L;&\\\n`\nend\n'))
    yield with_mime('picture in a header of its own', part('image/png', picture(9)))


def unclean_bytes():
    yield 'bare LF', b'From: lf@example.org\nSubject: bare LF\nDate: ' + DATE.encode() + b'\n\nbare\nLF\n'
    yield 'mixed line ends', odd('mixed line ends')[1] + b'crlf\r\nlf\ncrlf\r\n'
    yield 'bare CR', odd('bare CR')[1] + b'one\rtwo\r\r\n'
    yield odd('NUL in the subject', b'before\0after')
    yield odd('NUL in the body', body=b'before\0after\r\n')


ODD = [
    *missing_headers(),
    *twins(),
    *subjects(),
    *encodings(),
    *dates(),
    *senders(),
    *structure(),
    *attachments(),
    *unclean_bytes(),
]
