"""The independent side: what imaplib says the server has."""
import calendar
import dataclasses
import imaplib
import re
import ssl
import time

imaplib._MAXLINE = 50_000_000
MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split()
LIST_LINE = re.compile(rb'\((?P<attrs>[^)]*)\) (?P<delimiter>NIL|"(?:\\.|[^"])") (?P<name>.*)$')


@dataclasses.dataclass
class Message:
    uid: int
    flags: frozenset
    internaldate: int
    size: int
    data: bytes


@dataclasses.dataclass
class Folder:
    raw: str            # as on the wire, after unquoting
    delimiter: str      # '' is NIL
    attrs: frozenset

    @property
    def selectable(self):
        return not self.attrs & {'\\noselect', '\\nonexistent'}


def quoted(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


def unquoted(text):
    if text.startswith('"'):
        return re.sub(r'\\(.)', r'\1', text[1:-1])
    return text


def format_date(seconds):
    t = time.gmtime(seconds)
    return (f'"{t.tm_mday:2d}-{MONTHS[t.tm_mon - 1]}-{t.tm_year} '
            f'{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} +0000"')


def parse_date(text):
    """'17-Jul-1996 02:44:25 -0700' in seconds since 1970."""
    m = re.fullmatch(r' ?(\d+)-(\w{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)', text)
    seconds = calendar.timegm((int(m[3]), MONTHS.index(m[2]) + 1, int(m[1]),
                               int(m[4]), int(m[5]), int(m[6])))
    zone = (int(m[8]) * 60 + int(m[9])) * 60
    return seconds - zone if m[7] == '+' else seconds + zone


class Client:
    def __init__(self, port, user, password, tls=False):
        if tls:
            context = ssl._create_unverified_context()
            self.imap = imaplib.IMAP4_SSL('127.0.0.1', port, ssl_context=context, timeout=60)
        else:
            self.imap = imaplib.IMAP4('127.0.0.1', port, timeout=60)
        self.imap.login(user, password)

    def close(self):
        try:
            self.imap.logout()
        except (OSError, imaplib.IMAP4.error):
            pass

    def ok(self, answer):
        status, data = answer
        assert status == 'OK', data
        return data

    def create(self, raw):
        self.ok(self.imap.create(quoted(raw)))

    def append(self, raw, data, flags='', date=None):
        """The exact bytes: imaplib's own append() mends line ends."""
        self.imap.literal = data
        self.ok(self.imap._simple_command('APPEND', quoted(raw), f'({flags})',
                                          *([format_date(date)] if date is not None else [])))

    def store(self, raw, uids, flags, how='FLAGS'):
        self.ok(self.imap.select(quoted(raw)))
        self.ok(self.imap.uid('STORE', uids, how, f'({flags})'))
        self.ok(self.imap.unselect())

    def expunge(self, raw, uids):
        self.ok(self.imap.select(quoted(raw)))
        self.ok(self.imap.uid('STORE', uids, '+FLAGS', '(\\Deleted)'))
        self.ok(self.imap.uid('EXPUNGE', uids))
        self.ok(self.imap.unselect())

    def folders(self):
        folders = []
        for line in self.ok(self.imap.list('""', '"*"')):
            if line is None:
                continue
            if isinstance(line, tuple):         # the name came as a literal
                head = re.sub(rb'\{\d+\}$', b'', line[0])
                match = LIST_LINE.match(head + b'x')
                raw = line[1]
            else:
                match = LIST_LINE.match(line)
                raw = match['name']
            if not match:
                continue
            delimiter = match['delimiter'].decode()
            folders.append(Folder(
                unquoted(raw.decode('utf-8', 'surrogateescape')),
                '' if delimiter == 'NIL' else unquoted(delimiter),
                frozenset(match['attrs'].decode().lower().split())))
        return folders

    def uidvalidity(self, raw):
        data = self.ok(self.imap.status(quoted(raw), '(UIDVALIDITY)'))
        return int(re.search(rb'UIDVALIDITY (\d+)', data[0])[1])

    def messages(self, raw, bodies=True):
        """uid -> Message, of everything in the folder; nothing is marked read."""
        count = int(self.ok(self.imap.select(quoted(raw), readonly=True))[0])
        found = {}
        if count:
            items = '(UID FLAGS INTERNALDATE RFC822.SIZE' + (' BODY.PEEK[])' if bodies else ')')
            for part in self.ok(self.imap.uid('FETCH', '1:*', items)):
                self._take(part, found)
        self.imap.unselect()
        assert len(found) == count
        return found

    def _take(self, part, found):
        if isinstance(part, tuple):
            head, data = part
        elif b'UID' in part:
            head, data = part, b''
        else:
            return      # the closing parenthesis, or flags told in passing
        text = head.decode('ascii', 'surrogateescape')
        uid = re.search(r'\bUID (\d+)', text)
        date = re.search(r'INTERNALDATE "([^"]*)"', text)
        if not uid or not date:
            return
        flags = re.search(r'FLAGS \(([^)]*)\)', text)[1].split()
        found[int(uid[1])] = Message(
            int(uid[1]), frozenset(f for f in flags if f != '\\Recent'), parse_date(date[1]),
            int(re.search(r'RFC822\.SIZE (\d+)', text)[1]), data)
