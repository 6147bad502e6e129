"""As much of an IMAP client as filling a server needs: messages go out byte by byte."""
import base64
import re
import socket
import ssl
import sys

CRLF = b'\r\n'


def modified_utf7(name):
    """A mailbox name as IMAP wants it (RFC 3501 section 5.1.3)."""

    def encode(match):
        data = base64.b64encode(match[0].encode('utf-16-be')).decode().rstrip('=')
        return '&' + data.replace('/', ',') + '-'

    return re.sub('[^ -~]+', encode, name.replace('&', '&-'))


def quoted(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


class Refused(Exception):
    """The server answered NO or BAD."""


class Client:
    """As much IMAP as filling needs; the bytes go out as they are."""

    def __init__(self, host, port, security, ca):
        self.context = (
            ssl.create_default_context(cafile=ca) if ca else ssl._create_unverified_context()
        )
        self.host = host
        self.tag = 0
        self.connect(socket.create_connection((host, port), 30), security == 'tls')
        self.file.readline()
        if security == 'starttls':
            self.command('STARTTLS')
            self.connect(self.socket, True)

    def connect(self, connection, tls):
        if tls:
            connection = self.context.wrap_socket(connection, server_hostname=self.host)
        self.socket = connection
        self.file = connection.makefile('rb')

    def command(self, text, literal=None):
        """The untagged answer lines."""
        self.tag += 1
        tag = f'a{self.tag}'.encode()
        line = tag + b' ' + text.encode()
        if literal is None:
            self.socket.sendall(line + CRLF)
        else:
            self.socket.sendall(line + b' {%d}\r\n' % len(literal))
        answers = []
        while True:
            answer = self.file.readline()
            if not answer:
                raise ConnectionError('the server closed the connection')
            if answer.startswith(b'+') and literal is not None:
                self.socket.sendall(literal + CRLF)
            elif answer.startswith(tag + b' '):
                break
            else:
                answers.append(answer)
        if not answer.startswith(tag + b' OK'):
            raise Refused(answer.decode(errors='replace').strip())
        return answers


class Filler:
    def __init__(self, client):
        self.client = client
        self.folders = {}
        self.separator, self.prefix = '/', ''
        for line in client.command('NAMESPACE'):
            found = re.match(rb'\* NAMESPACE \(\("(.*?)" "(.)"', line)
            if found:
                self.prefix, self.separator = found[1].decode(), found[2].decode()

    def mailbox(self, folder):
        """The name on the server; None when it takes no such folder."""
        if folder not in self.folders:
            name = folder.replace('/', self.separator)
            if folder != 'INBOX':
                name = self.prefix + name
            self.folders[folder] = self.create(folder, quoted(modified_utf7(name)))
        return self.folders[folder]

    def create(self, folder, name):
        try:
            self.client.command('STATUS ' + name + ' (MESSAGES)')
            return name
        except Refused:
            pass
        try:
            self.client.command('CREATE ' + name)
            self.client.command('SUBSCRIBE ' + name)
        except Refused as answer:
            print(f'no folder {folder!r} here: {answer}', file=sys.stderr)
            return None
        return name

    def append(self, message):
        name = self.mailbox(message.folder)
        if name is None:
            return False
        date = message.internaldate
        month = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split()[date.month - 1]
        stamp = f'"{date:%d}-{month}-{date:%Y %H:%M:%S %z}"'
        try:
            self.client.command(f'APPEND {name} ({" ".join(message.flags)}) {stamp}', message.data)
        except Refused:
            return False
        return True
