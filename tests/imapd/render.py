"""How the scripted server writes FETCH answers and reads arguments."""
import re
import time

MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split()


def internal_date(seconds):
    t = time.gmtime(seconds)
    return (f'{t.tm_mday:2d}-{MONTHS[t.tm_mon - 1]}-{t.tm_year} '
            f'{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} +0000')


def quoted(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


def arguments(command):
    """Words and quoted strings of a command."""
    found = re.findall(r'"((?:\\.|[^"\\])*)"|(\S+)', command)
    return [re.sub(r'\\(.)', r'\1', quoted_text) if not word else word
            for quoted_text, word in found]


class NumberSet:
    def __init__(self, ranges):
        self.ranges = ranges

    def __contains__(self, number):
        return any(low <= number <= high for low, high in self.ranges)


def number_set(text, by_uid, folder):
    last = folder.messages[-1].uid if by_uid and folder.messages else len(folder.messages)
    ranges = []
    for part in text.split(','):
        ends = [last if end == '*' else int(end) for end in part.split(':')]
        ranges.append((min(ends), max(ends)))
    return NumberSet(ranges)


def header_fields(data, names):
    block, _, _ = data.partition(b'\r\n\r\n')
    wanted = {name.upper().encode() for name in names}
    kept = []
    for field in re.split(rb'\r\n(?![ \t])', block):
        if field.partition(b':')[0].strip().upper() in wanted:
            kept.append(field + b'\r\n')
    return b''.join(kept) + b'\r\n'


def literal(data):
    return b'{%d}\r\n%s' % (len(data), data)


def fetch_items(message, items):
    """(name, value) as asked, in that order."""
    claimed = len(message.data) if message.size is None else message.size
    items = re.sub(r'^\((.*)\)$', r'\1', items.strip())
    pattern = r'BODY(?:\.PEEK)?\[([^\]]*)\](?:<(\d+)\.(\d+)>)?|([A-Z0-9.]+)'
    for section, start, count, name in re.findall(pattern, items, re.I):
        name = name.upper()
        if name == 'UID':
            yield b'UID', b'%d' % message.uid
        elif name == 'FLAGS':
            yield b'FLAGS', b'(%s)' % message.flags.encode()
        elif name == 'INTERNALDATE':
            yield b'INTERNALDATE', b'"%s"' % internal_date(message.date).encode()
        elif name == 'RFC822.SIZE':
            yield b'RFC822.SIZE', b'%d' % claimed
        elif not name:
            yield body_item(message, section, start, count)


def body_item(message, section, start, count):
    fields = re.match(r'HEADER\.FIELDS \(([^)]*)\)', section, re.I)
    if fields:
        data = header_fields(message.data, fields[1].split())
    elif section.upper() == 'HEADER':
        data = message.data.partition(b'\r\n\r\n')[0] + b'\r\n\r\n'
    else:
        data = message.data
    label = f'BODY[{section}]'
    if start:
        data = data[int(start):int(start) + int(count)]
        label += f'<{start}>'
    return label.encode(), literal(data)


def fetch_response(seq, message, items):
    parts = b' '.join(name + b' ' + value for name, value in fetch_items(message, items))
    if b'UID ' not in parts:
        parts = b'UID %d ' % message.uid + parts
    return b'* %d FETCH (%s)\r\n' % (seq, parts)
