"""Builds messages byte by byte, the same ones with every version of Python.

Text comes in three dresses: raw bytes, encoded words ("B" or "Q"), and any charset.
"""
import base64
import binascii
import email.utils
import struct
import zlib

CRLF = b'\r\n'


def encoded_word(text, charset='utf-8', kind='B'):
    """RFC 2047 words of at most 75 characters, folded; no character is cut in two."""
    words = []
    chunk = ''
    for character in text:
        if chunk and len(one_word(chunk + character, charset, kind)) > 75:
            words.append(one_word(chunk, charset, kind))
            chunk = ''
        chunk += character
    words.append(one_word(chunk, charset, kind))
    return b'\r\n '.join(words)


def one_word(text, charset, kind):
    data = text.encode(charset)
    if kind == 'B':
        content = base64.b64encode(data).decode()
    else:
        content = ''.join(q_byte(byte) for byte in data)
    return f'=?{charset}?{kind}?{content}?='.encode()


def q_byte(byte):
    if byte == 0x20:
        return '_'
    if chr(byte).isascii() and chr(byte).isalnum():
        return chr(byte)
    return f'={byte:02X}'


def plain_or_encoded(text, charset='utf-8', kind='B'):
    """kind: "B", "Q", or "raw" for bytes as they are."""
    if text.isascii():
        return text.encode()
    if kind == 'raw':
        return text.encode(charset)
    return encoded_word(text, charset, kind)


def address(name, mailbox, charset='utf-8', kind='B'):
    if not name:
        return mailbox.encode()
    if name.isascii():
        name = f'"{name}"' if set(name) & set('.,()<>@:;[]') else name
        return f'{name} <{mailbox}>'.encode()
    return plain_or_encoded(name, charset, kind) + f' <{mailbox}>'.encode()


def date_header(date):
    return email.utils.format_datetime(date).encode()


def header(name, value):
    if isinstance(value, str):
        value = value.encode()
    return name.encode() + b': ' + value + CRLF


def headers(*pairs):
    return b''.join(header(name, value) for name, value in pairs if value is not None)


def lines(text):
    return text.replace('\r\n', '\n').replace('\n', '\r\n')


def base64_lines(data):
    encoded = base64.b64encode(data)
    return b''.join(encoded[i : i + 76] + CRLF for i in range(0, len(encoded), 76))


def quoted_printable(data):
    """Of CRLF text; lines of at most 76 characters."""
    out = []
    for line in data.split(CRLF):
        encoded = binascii.b2a_qp(line, istext=False).replace(b'=\n', b'=\r\n')
        out.append(encoded)
    return CRLF.join(out)


def part(content_type, data, encoding='base64', disposition=None, extra=()):
    """One MIME part: its headers, an empty line, the encoded data."""
    encode = {'base64': base64_lines, 'quoted-printable': quoted_printable}
    body = encode.get(encoding, bytes)(data)
    return (
        headers(
            ('Content-Type', content_type),
            ('Content-Transfer-Encoding', encoding),
            ('Content-Disposition', disposition),
            *extra,
        )
        + CRLF
        + body
    )


def text_part(text, charset='utf-8', encoding='8bit', subtype='plain'):
    return part(f'text/{subtype}; charset={charset}', lines(text).encode(charset), encoding)


def multipart(subtype, boundary, parts, parameters=''):
    """The headers and the body of a multipart, to put behind other headers or inside a part."""
    body = headers(('Content-Type', f'multipart/{subtype}; boundary="{boundary}"{parameters}'))
    body += CRLF
    for piece in parts:
        body += f'--{boundary}\r\n'.encode() + piece
        if not piece.endswith(CRLF):
            body += CRLF
    return body + f'--{boundary}--\r\n'.encode()


def rfc2231(name, value, charset='utf-8', pieces=1):
    """A parameter with a charset, in one or in several pieces (RFC 2231)."""
    data = value.encode(charset)
    encoded = [
        q if q.isalnum() and q.isascii() else f'%{ord(q):02X}' for q in data.decode('latin-1')
    ]
    size = -(-len(encoded) // pieces)
    cut = [''.join(encoded[i : i + size]) for i in range(0, len(encoded), size)]
    if len(cut) == 1:
        return f"; {name}*={charset}''{cut[0]}"
    numbered = [f'; {name}*{i}*={text}' for i, text in enumerate(cut)]
    numbered[0] = f"; {name}*0*={charset}''{cut[0]}"
    return '\r\n '.join(numbered)


def png(width, height, pixel):
    """pixel(x, y) -> (r, g, b).  Stored, not compressed: every zlib gives the same bytes."""
    rows = b''.join(
        b'\0' + bytes(value for x in range(width) for value in pixel(x, y)) for y in range(height)
    )

    def chunk(kind, data):
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
        + chunk(b'IDAT', zlib.compress(rows, 0))
        + chunk(b'IEND', b'')
    )


def picture(seed, width=48, height=32):
    return png(
        width,
        height,
        lambda x, y: ((x * 5 + seed * 37) % 256, (y * 7 + seed * 11) % 256, (x * y + seed) % 256),
    )


GIF = base64.b64decode('R0lGODlhAQABAIAAAP8AAP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==')


def pdf(title, text_lines):
    """A small, valid PDF of one page."""
    text = ''.join(f'({line}) Tj T* ' for line in text_lines)
    stream = f'BT /F1 12 Tf 14 TL 50 780 Td {text}ET'.encode('latin-1', 'replace')
    objects = [
        b'<< /Type /Catalog /Pages 2 0 R >>',
        b'<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
        b'<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R'
        b' /Resources << /Font << /F1 5 0 R >> >> >>',
        b'<< /Length %d >>\nstream\n' % len(stream) + stream + b'\nendstream',
        b'<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
        b'<< /Title (' + title.encode('latin-1', 'replace') + b') >>',
    ]
    out = b'%PDF-1.4\n'
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b'%d 0 obj\n' % number + content + b'\nendobj\n'
    table = b''.join(b'%010d 00000 n \n' % offset for offset in offsets)
    return (
        out
        + b'xref\n0 %d\n0000000000 65535 f \n' % (len(objects) + 1)
        + table
        + b'trailer << /Size %d /Root 1 0 R /Info 6 0 R >>\nstartxref\n%d\n%%%%EOF\n'
        % (len(objects) + 1, len(out))
    )
