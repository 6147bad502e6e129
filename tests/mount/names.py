"""File and directory names by the contract, computed apart from the program's own code."""
import base64
import email.header
import email.utils
import hashlib
import re
import time
import unicodedata

ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
KEPT = set('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+@,=')
VARIATION = re.compile('[\ufe00-\ufe0f\U000e0100-\U000e01ef]')
BIDI = set('\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u061c') | {
    chr(c) for c in [*range(0x202a, 0x202f), *range(0x2066, 0x206a)]}


def header_values(data):
    """The first Message-ID, Date, From and Subject, unfolded; bytes."""
    block = data.replace(b'\r\n', b'\n').split(b'\n\n', 1)[0]
    unfolded = re.sub(rb'\n(?=[ \t])', b'', block)
    values = {}
    for line in unfolded.split(b'\n'):
        name, colon, value = line.partition(b':')
        if colon:
            values.setdefault(name.strip().lower(), value)
    return [values.get(name, b'') for name in (b'message-id', b'date', b'from', b'subject')]


def message_id_code(values):
    tidy = [re.sub(rb'[ \t]+', b' ', value).strip() for value in values]
    bits = int.from_bytes(hashlib.sha256(b'\n'.join(tidy)).digest()[:4], 'big') >> 2
    return ''.join(ALPHABET[bits >> shift & 31] for shift in range(25, -1, -5))


def decoded(value):
    """RFC 2047; raw bytes are UTF-8, else windows-1252."""
    try:
        text = value.decode('utf-8')
    except UnicodeDecodeError:
        text = value.decode('cp1252', 'replace')
    try:
        return str(email.header.make_header(email.header.decode_header(text)))
    except (LookupError, UnicodeError, ValueError):
        return text


def cleaned(text, limit):
    text = unicodedata.normalize('NFC', text)
    text = re.sub('[ \t\r\n]', ' ', text)
    text = VARIATION.sub('', text)
    text = ''.join(c for c in text if c == ' ' or unicodedata.category(c)[0] != 'C')
    out = []
    for c in text:
        keep = c in KEPT if c < '\x80' else (
            unicodedata.category(c)[0] in 'LMN' or unicodedata.category(c) in ('So', 'Sk'))
        if keep:
            out.append(c)
        elif not out or out[-1] != '-':
            out.append('-')
    text = ''.join(out).lstrip('-.')
    text = text.encode()[:limit].decode('utf-8', 'ignore')
    return text.rstrip('-')


def message_name(data, internaldate):
    """For sane headers; name-vectors.tsv has the others."""
    values = header_values(data)
    _, date, sender, subject = values
    seconds = internaldate
    parsed = email.utils.parsedate_tz(date.decode('ascii', 'replace'))
    if parsed:
        try:
            claimed = email.utils.mktime_tz(parsed)
        except (OverflowError, ValueError):
            claimed = -1
        if 0 <= claimed <= internaldate + 86400:
            seconds = claimed
    display, address = email.utils.parseaddr(decoded(sender))
    who = display or address.partition('@')[0]
    stamp = time.strftime('%Y-%m-%d_%H%M', time.gmtime(seconds))
    return (f'{stamp}_{cleaned(who, 40)}_{cleaned(decoded(subject), 160)}'
            f'~{message_id_code(values)}.eml')


def twin_name(name, uid):
    return f'{name[:-4]}.{uid}.eml'


# ---- folders

def utf7_encode(text):
    out = []
    for run in re.findall('[\x20-\x7e]+|[^\x20-\x7e]+', text):
        if '\x20' <= run[0] <= '\x7e':
            out.append(run.replace('&', '&-'))
        else:
            code = base64.b64encode(run.encode('utf-16-be')).decode().rstrip('=')
            out.append('&' + code.replace('/', ',') + '-')
    return ''.join(out)


def utf7_decode(raw):
    """The text, or None where encoding it again does not give the same."""
    def one(match):
        if not match[1]:
            return '&'
        code = match[1].replace(',', '/')
        return base64.b64decode(code + '=' * (-len(code) % 4)).decode('utf-16-be')
    try:
        text = re.sub('&([^-]*)-', one, raw)
        return text if utf7_encode(text) == raw else None
    except ValueError:      # also of a surrogate
        return None


def component_name(raw):
    """One component of a mailbox name as a directory name.  A str with surrogate escapes."""
    text = utf7_decode(raw)
    if text is None:
        text = raw
        escape_amp = True
    else:
        escape_amp = False
    if text == '':
        return '%'
    out = []
    for index, c in enumerate(text):
        if 0xdc80 <= ord(c) <= 0xdcff:
            out.append(f'%{ord(c) - 0xdc00:02X}')
        elif (c == '/' or (c == '.' and index == 0) or c in BIDI
              or unicodedata.category(c) == 'Cc' or (c == '&' and escape_amp)):
            out.append(''.join(f'%{byte:02X}' for byte in c.encode()))
        elif c == '%' and re.match('[0-9A-Fa-f]{2}', text[index + 1:]):
            out.append('%25')
        else:
            out.append(c)
    return ''.join(out)


def folder_path(raw, delimiter, prefix=''):
    """The path below the mount point, without cutting of long names."""
    if prefix and raw.startswith(prefix):
        raw = raw[len(prefix):]
    parts = raw.split(delimiter) if delimiter else [raw]
    if parts[0].upper() == 'INBOX':
        parts[0] = 'INBOX'
    return '/'.join(component_name(part) for part in parts)
