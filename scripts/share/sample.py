#!/usr/bin/env python3
"""sample.py -- a sample mailbox: threads, attachments, many scripts, broken messages.

usage: sample.py [options] HOST PORT USER PASSWORD       fill a server by IMAP APPEND
       sample.py [--today YYYY-MM-DD] --list             tell what it would fill in

  --tls, --starttls    else plain text
  --ca FILE            verify the server; without it, it is not verified
  --today YYYY-MM-DD   the newest message is of this day (UTC; default: today)

From Python: `messages()`; the same arguments give the same bytes.  Folders are named as a
user reads them, with "/" between the levels.
"""
import argparse
import collections
import datetime
import random

from sample_build import (
    CRLF,
    GIF,
    address,
    date_header,
    headers,
    multipart,
    part,
    pdf,
    picture,
    plain_or_encoded,
    rfc2231,
    text_part,
)
from sample_odd import ODD
from sample_server import Client, Filler, quoted
from sample_texts import LANGUAGES, NEWSLETTER, OWNER, PEOPLE, THREADS

Message = collections.namedtuple('Message', 'folder flags internaldate data')

# Beside INBOX and the folders that the threads name.
FOLDERS = [
    'INBOX',
    'Sent',
    'Drafts',
    'Trash',
    'Junk',
    'Archive',
    'Archive/2024',
    'Archive/2024/Q1',
    'Lists',
    'Projects',
    'Familie',
    'R&D',
    'Tom & Jérôme',
    'ארכיון',
    '100%41 literal',
    'Two  blanks, "quotes"',
    '📷 Photos',
    'Empty',
    'Odd',
    '-dash',
]
# Names that few servers take.  Whatever a server refuses is told and left out.
RARE_FOLDERS = ['~tilde', '.hidden', 'a.b', 'star*', 'back\\slash']
FLAG_SETS = [
    ('\\Seen',),
    ('\\Seen',),
    ('\\Seen', '\\Answered'),
    ('\\Seen', '\\Flagged'),
    (),
    ('\\Seen', '$Forwarded'),
    ('\\Seen', 'work'),
    ('\\Flagged',),
    ('\\Seen', '$Label1', 'work'),
]
ZONES = [0, 60, 120, -300, 330, 540, -210]


class Mailbox:
    """Collects messages; each folder's dates go back from today."""

    def __init__(self, today):
        self.end = datetime.datetime(
            today.year, today.month, today.day, tzinfo=datetime.timezone.utc
        )
        self.random = random.Random('mailmount sample')
        self.made = []
        self.count = collections.Counter()

    def when(self, days):
        """A moment so many days before today, with a zone of its own."""
        moment = self.end - datetime.timedelta(days=days, seconds=self.random.randrange(80000))
        zone = datetime.timezone(datetime.timedelta(minutes=self.random.choice(ZONES)))
        return moment.astimezone(zone)

    def add(self, folder, date, data, flags=None):
        if flags is None:
            flags = self.random.choice(FLAG_SETS)
        self.made.append(Message(folder, tuple(flags), date.replace(microsecond=0), data))

    def next_id(self, folder):
        self.count[folder] += 1
        return f'<{folder.encode().hex()[:24]}.{self.count[folder]}@example.org>'

    def head(self, folder, sender, subject, date, *more):
        """The usual headers; subject and sender may be bytes already."""
        return headers(
            ('Return-Path', '<bounce@example.org>'),
            (
                'Received',
                b'from mx.example.net by mail.example.org with ESMTPS;\r\n\t' + date_header(date),
            ),
            ('From', sender),
            ('To', address(*OWNER)),
            ('Subject', subject),
            ('Date', date_header(date)),
            ('Message-ID', self.next_id(folder)),
            *more,
            ('MIME-Version', '1.0'),
        )


def add_thread(box, folder, subject, text, age):
    """A discussion of four to nine messages, each quoting the one before."""
    people = box.random.sample(PEOPLE, 3) + [OWNER]
    references = []
    quoted = ''
    for number in range(box.random.randint(4, 9)):
        who = people[number % len(people)]
        date = box.when(age)
        age = max(0, age - box.random.random() * 2)
        kind = box.random.choice('BBQ')
        title = ('Re: ' if number else '') + subject
        links = (
            [('In-Reply-To', references[-1]), ('References', '\r\n '.join(references))]
            if references
            else []
        )
        listed = (
            [('List-Id', '<list.example.org>'), ('Precedence', 'list')]
            if folder.startswith('Lists')
            else []
        )
        data = box.head(
            folder,
            address(*who, kind=kind),
            plain_or_encoded(title, kind=kind),
            date,
            *links,
            *listed,
        )
        body = f'{text} ({number + 1})\n\n{quoted}-- \n{who[0] or who[1]}\n'
        encoding = box.random.choice(['8bit', 'quoted-printable', 'base64'])
        box.add(folder, date, data + text_part(body, encoding=encoding))
        references.append(f'<{folder.encode().hex()[:24]}.{box.count[folder]}@example.org>')
        quoted = ''.join(f'> {line}\n' for line in body.splitlines()[:6])


def add_threads(box):
    for folder, subject, text in THREADS:
        add_thread(box, folder, subject, text, box.random.random() * 300)
    add_thread(box, 'INBOX', 'This week\'s plan', 'Monday roof, Tuesday garden', 4)


def add_languages(box):
    """Each language in its old charset and in UTF-8, as encoded words and as raw bytes."""
    dresses = [('native', 'B'), ('utf-8', 'Q'), ('utf-8', 'raw'), ('native', 'raw')]
    for language, native, name, subject, text in LANGUAGES:
        for which, kind in dresses:
            charset = native if which == 'native' else 'utf-8'
            if kind == 'raw' and charset in ('utf-16', 'utf-7'):
                continue
            date = box.when(box.random.random() * 700)
            sender = address(name, f'{language}@example.com', charset, kind)
            data = box.head(
                'INBOX',
                sender,
                plain_or_encoded(subject, charset, kind),
                date,
                ('Content-Language', language),
            )
            encoding = 'base64' if charset == 'utf-16' or kind == 'B' else '8bit'
            box.add('INBOX', date, data + text_part(text, charset, encoding))


def add_attachments(box):
    for number in range(14):
        date = box.when(number * 23)
        name = ['Übersicht 2026.pdf', 'счёт-фактура.pdf', '見積書.pdf', 'plan.pdf'][number % 4]
        document = pdf(
            f'Document {number}', [f'Line {line} of document {number}' for line in range(20)]
        )
        parts = [
            text_part(f'Document {number} is attached.\n', encoding='quoted-printable'),
            part(
                'application/pdf',
                document,
                disposition='attachment' + rfc2231('filename', name, pieces=1 + number % 3),
            ),
        ]
        data = box.head(
            'R&D',
            address(*PEOPLE[number % len(PEOPLE)]),
            plain_or_encoded(f'Document {number}: {name}'),
            date,
        )
        box.add('R&D', date, data + multipart('mixed', f'doc-{number}', parts))
    for number in range(12):
        date = box.when(number * 40)
        images = [
            part(
                f'image/png; name="photo-{i}.png"',
                picture(number + i, 64 + 16 * i, 48),
                disposition=f'attachment; filename="photo-{i}.png"',
            )
            for i in range(1 + number % 4)
        ]
        data = box.head(
            '📷 Photos', address(*PEOPLE[0]), plain_or_encoded(f'📷 {1 + number % 4} pictures'), date
        )
        box.add(
            '📷 Photos',
            date,
            data + multipart('mixed', f'photo-{number}', [text_part('🏔️🌅\n'), *images]),
        )


def add_large(box):
    """One message beyond a megabyte, of noise that nothing compresses."""
    date = box.when(1)
    noise = random.Random('large').randbytes(1500000)
    data = box.head('📷 Photos', address(*PEOPLE[1]), 'The video, 1.5 MB', date)
    box.add(
        '📷 Photos',
        date,
        data
        + multipart(
            'mixed',
            'large',
            [
                text_part('Here it is.\n'),
                part('video/mp4', noise, disposition='attachment; filename="video.mp4"'),
            ],
        ),
    )


def add_newsletters(box):
    for number in range(26):
        date = box.when(number * 7)
        items = ''.join(
            f'<li>Thing {i}: <span class="price">{i * 3},99 €</span></li>'
            for i in range(number % 9 + 1)
        )
        page = NEWSLETTER.format(
            title=f'Offers of week {number}', items=items, cid=f'p{number}', number=number
        )
        inner = multipart(
            'related',
            f'rel-{number}',
            [
                text_part(page, encoding='quoted-printable', subtype='html'),
                part(
                    'image/gif', GIF, disposition='inline', extra=(('Content-ID', f'<p{number}>'),)
                ),
            ],
        )
        body = multipart(
            'alternative', f'alt-{number}', [text_part(f'Offers of week {number}\n'), inner]
        )
        folder = 'Junk' if number % 3 == 0 else 'INBOX'
        data = box.head(
            folder,
            address('Shop 🛒', 'news@shop.example'),
            plain_or_encoded(f'⭐ Offers of week {number} ⭐'),
            date,
            ('List-Unsubscribe', '<mailto:off@shop.example>'),
        )
        box.add(folder, date, data + body)


def add_archive(box):
    for number in range(40):
        folder = [
            'Archive',
            'Archive/2024',
            'Archive/2024/Q1',
            'Sent',
            'Trash',
            'Tom & Jérôme',
            'ארכיון',
            '100%41 literal',
        ][number % 8]
        date = box.when(400 + number * 11)
        name, mailbox = OWNER if folder == 'Sent' else PEOPLE[number % len(PEOPLE)]
        data = box.head(
            folder,
            address(name, mailbox),
            plain_or_encoded(f'Old matter no. {number} – filed'),
            date,
        )
        text = ''.join(f'Line {line} of matter {number}.\n' for line in range(number * 7 % 90))
        box.add(folder, date, data + text_part(text))
    for folder in ['Two  blanks, "quotes"', '-dash', *RARE_FOLDERS]:
        date = box.when(50)
        box.add(
            folder,
            date,
            box.head(folder, address(*PEOPLE[0]), f'In a folder called {folder}', date)
            + text_part('Well named.\n'),
        )
    date = box.when(0)
    box.add(
        'Drafts',
        date,
        headers(('From', address(*OWNER)), ('Subject', 'A draft, not finished')) + CRLF + b'Dear',
        ('\\Draft', '\\Seen'),
    )


def add_odd(box):
    for number, (_, data) in enumerate(ODD):
        box.add('Odd', box.when(number * 3), data)


def messages(today=None):
    """All messages as (folder, flags, internaldate, data), oldest first."""
    box = Mailbox(today or datetime.datetime.now(datetime.timezone.utc).date())
    add_threads(box)
    add_languages(box)
    add_attachments(box)
    add_large(box)
    add_newsletters(box)
    add_archive(box)
    add_odd(box)
    box.made.sort(key=lambda message: message.internaldate)
    return box.made


def fill(client, today=None):
    """Returns the messages that the server took: Cyrus takes no bare LF, NUL or broken header."""
    filler = Filler(client)
    for folder in FOLDERS:
        filler.mailbox(folder)
    return [message for message in messages(today) if filler.append(message)]


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--tls', dest='security', action='store_const', const='tls')
    parser.add_argument('--starttls', dest='security', action='store_const', const='starttls')
    parser.add_argument('--ca')
    parser.add_argument('--today', type=datetime.date.fromisoformat)
    parser.add_argument('--list', action='store_true')
    parser.add_argument('server', nargs='*', metavar='HOST PORT USER PASSWORD')
    options = parser.parse_args()
    if not options.list and len(options.server) != 4:
        parser.error('HOST PORT USER PASSWORD, or --list')
    return options


def main():
    options = parse_arguments()
    if options.list:
        made = messages(options.today)
    else:
        host, port, user, password = options.server
        client = Client(host, int(port), options.security, options.ca)
        client.command(f'LOGIN {quoted(user)} {quoted(password)}')
        made = fill(client, options.today)
        client.command('LOGOUT')
    count = collections.Counter(message.folder for message in made)
    if options.list:
        for folder, number in sorted(count.items()):
            print(f'{number:6} {folder}')
    left_out = len(messages(options.today)) - len(made)
    print(
        f'{len(made)} messages in {len(count)} folders, {sum(len(m.data) for m in made)} bytes'
        + (f'; the server refused {left_out}' if left_out else '')
    )


if __name__ == '__main__':
    main()
