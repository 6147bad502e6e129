"""An IMAP server in memory whose answers a test can bend.  Loopback only.

    server = Server(folders=[Folder('INBOX', [Message(b'...')])])
    server.start()                      # server.port
    server.rule('UID FETCH', action)    # see Server.rule
    server.log                          # every command line that came
    server.stop()

It follows RFC 3501 as far as a reading client needs it.  `tls` is none, implicit or starttls.
"""
import base64
import dataclasses
import re
import socket
import ssl
import threading

from render import arguments, fetch_response, number_set, quoted

CAPABILITIES = ('IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE UIDPLUS LIST-EXTENDED '
                'SPECIAL-USE LIST-STATUS ESEARCH UNSELECT CHILDREN QUOTA')
MAX_LINE = 1 << 20


def sample_message(number, subject=None, size=300):
    text = (f'From: Person {number} <p{number}@example.org>\r\n'
            f'Subject: {subject or f"message {number}"}\r\n'
            f'Date: Mon, 1 Jan 2024 {number // 60 % 24:02d}:{number % 60:02d}:00 +0000\r\n'
            f'Message-ID: <{number}@example.org>\r\n\r\n')
    body = f'This is the text of number {number}.\r\n'
    while len(text) + len(body) < size:
        body += 'and some more of it, so that it has a certain length to be read by someone.\r\n'
    return (text + body).encode()


@dataclasses.dataclass
class Message:
    data: bytes
    uid: int = 0                # 0: the next one
    flags: str = '\\Seen'
    date: int = 1704067200
    size: int = None            # what RFC822.SIZE claims; None: the truth
    # respond(session, seq, items, usual bytes): sends the FETCH response itself
    respond: object = None


class Folder:
    def __init__(self, name, messages=(), attrs='', delimiter='/', uidvalidity=1000):
        self.name = name
        self.attrs = attrs
        self.delimiter = delimiter
        self.uidvalidity = uidvalidity
        self.uidnext = 1
        self.messages = []
        for message in messages:
            self.add(message)

    def add(self, message):
        if isinstance(message, bytes):
            message = Message(message)
        if not message.uid:
            message.uid = self.uidnext
        self.uidnext = max(self.uidnext, message.uid + 1)
        self.messages.append(message)
        return message


@dataclasses.dataclass
class Rule:
    pattern: object
    action: object
    times: int


class Closed(Exception):
    """The connection is over."""


class Server:
    def __init__(self, folders=None, tls='none', cert=None, key=None, capabilities=CAPABILITIES,
                 login_capabilities=None, greeting=None, user='alice', password='pw-alice',
                 port=0, address='127.0.0.1'):
        self.folders = folders if folders is not None else [Folder('INBOX')]
        self.tls = tls
        self.capabilities = capabilities
        self.login_capabilities = login_capabilities
        self.greeting = greeting    # bytes, in place of the usual one
        self.ends_after_greeting = False
        self.user = user
        self.password = password
        self.quota = None           # (used, limit) in KiB
        self.namespace = '(("" "/")) NIL NIL'
        self.rules = []
        self.log = []               # (connection number, command line without its tag)
        self.release = threading.Event()    # ends every stall
        self.lock = threading.Lock()
        self.sessions = set()
        self.connections = 0
        self.stopped = False
        self.context = None
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(cert, key)
        self.listener = socket.create_server((address, port), backlog=64)
        self.port = self.listener.getsockname()[1]

    # ---- for the test

    def start(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def stop(self):
        self.stopped = True
        self.release.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.cut()

    def cut(self):
        """Closes every connection."""
        with self.lock:
            sessions = list(self.sessions)
        for session in sessions:
            session.shut()

    def rule(self, pattern, action, times=-1):
        """Commands that match (the text behind the tag) go to action(session, tag, command)
        first.  What it returns is sent; None: the usual answer follows.  Newest rule first."""
        rule = Rule(re.compile(pattern, re.I | re.S), action, times)
        with self.lock:
            self.rules.insert(0, rule)
        return rule

    def drop_rules(self):
        with self.lock:
            self.rules.clear()

    def commands(self, pattern=''):
        regex = re.compile(pattern, re.I)
        with self.lock:
            return [line for _, line in self.log if regex.search(line)]

    def clear_log(self):
        with self.lock:
            self.log.clear()

    def body_fetches(self):
        """Commands that ask for (a part of) a body."""
        return self.commands(r'BODY(\.PEEK)?\[(TEXT|\d[\d.]*|)\]|'
                             r'RFC822(\.TEXT)?(?!\.SIZE|\.HEADER)\b')

    def folder(self, name):
        for folder in self.folders:
            if folder.name == name or (name.upper() == 'INBOX' == folder.name.upper()):
                return folder
        return None

    # ---- inside

    def accept(self):
        while not self.stopped:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                session = Session(self, connection, self.connections)
                self.sessions.add(session)
            threading.Thread(target=session.run, daemon=True).start()

    def match(self, command):
        with self.lock:
            for rule in self.rules:
                if rule.times and rule.pattern.search(command):
                    if rule.times > 0:
                        rule.times -= 1
                    return rule.action
        return None


class Session:
    def __init__(self, server, connection, number):
        self.server = server
        self.socket = connection
        self.number = number
        self.buffer = b''
        self.selected = None
        self.logged_in = False
        self.secure = False

    # ---- transport

    def shut(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def start_tls(self):
        self.socket = self.server.context.wrap_socket(self.socket, server_side=True)
        self.secure = True

    def send(self, data):
        if isinstance(data, str):
            data = data.encode('utf-8', 'surrogateescape')
        self.socket.sendall(data)

    def line(self, text):
        self.send(text + '\r\n')

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed
        self.buffer += data

    def read_line(self):
        while b'\r\n' not in self.buffer:
            if len(self.buffer) > MAX_LINE:
                raise Closed
            self.receive()
        line, self.buffer = self.buffer.split(b'\r\n', 1)
        return line.decode('utf-8', 'surrogateescape')

    def read_command(self):
        """One command with its literals put in as quoted strings."""
        command = self.read_line()
        while True:
            literal = re.search(r'\{(\d+)(\+?)\}$', command)
            if not literal:
                return command
            if not literal[2]:
                self.line('+ go on')
            size = int(literal[1])
            while len(self.buffer) < size:
                self.receive()
            text = self.buffer[:size].decode('utf-8', 'surrogateescape')
            self.buffer = self.buffer[size:]
            quoted = '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'
            command = command[:literal.start()] + quoted + self.read_line()

    def stall(self, seconds=3600):
        """Says nothing until the server is released or stopped."""
        self.server.release.wait(seconds)
        if self.server.stopped:
            raise Closed

    # ---- conversation

    def run(self):
        try:
            if self.server.tls == 'implicit':
                self.start_tls()
            self.greet()
            while True:
                self.take(self.read_command())
        except (Closed, OSError, ssl.SSLError):
            pass
        finally:
            try:
                self.socket.close()
            except OSError:
                pass
            with self.server.lock:
                self.server.sessions.discard(self)

    def greet(self):
        if self.server.greeting is not None:
            self.send(self.server.greeting)
            if self.server.ends_after_greeting:
                raise Closed
            return
        self.line(f'* OK [CAPABILITY {self.capabilities()}] scripted server')

    def capabilities(self):
        if self.logged_in:
            return self.server.login_capabilities or self.server.capabilities
        extra = ' AUTH=PLAIN AUTH=LOGIN'
        if self.server.tls == 'starttls' and not self.secure:
            extra += ' STARTTLS'
        return self.server.capabilities + extra

    def take(self, text):
        tag, _, command = text.partition(' ')
        shown = re.sub(r'^(LOGIN|AUTHENTICATE) .*', r'\1', command, flags=re.I)
        with self.server.lock:
            self.server.log.append((self.number, shown))
        action = self.server.match(command)
        if action:
            answer = action(self, tag, command)
            if answer is not None:
                self.send(answer)
                return
        self.usual(tag, command)

    def usual(self, tag, command):
        words = command.split(' ')
        name = words[0].upper()
        if name == 'UID':
            name = 'UID_' + words[1].upper()
        method = getattr(self, 'do_' + name.lower(), None)
        if not method:
            self.line(f'{tag} BAD unknown command')
            return
        if not self.logged_in and name not in (
                'CAPABILITY', 'NOOP', 'LOGOUT', 'LOGIN', 'AUTHENTICATE', 'STARTTLS', 'ID'):
            self.line(f'{tag} BAD not logged in')
            return
        method(tag, command)

    # ---- any state

    def do_capability(self, tag, command):
        self.line(f'* CAPABILITY {self.capabilities()}')
        self.line(f'{tag} OK done')

    def do_noop(self, tag, command):
        self.line(f'{tag} OK done')

    do_check = do_noop

    def do_id(self, tag, command):
        self.line('* ID NIL')
        self.line(f'{tag} OK done')

    def do_logout(self, tag, command):
        self.line('* BYE good bye')
        self.line(f'{tag} OK done')
        raise Closed

    def do_starttls(self, tag, command):
        if self.server.tls != 'starttls' or self.secure:
            self.line(f'{tag} BAD no TLS here')
            return
        self.line(f'{tag} OK begin')
        self.buffer = b''
        self.start_tls()

    def login(self, tag, user, password):
        if (user, password) != (self.server.user, self.server.password):
            self.line(f'{tag} NO [AUTHENTICATIONFAILED] wrong user or password')
            return
        self.logged_in = True
        self.line(f'{tag} OK [CAPABILITY {self.capabilities()}] logged in')

    def do_login(self, tag, command):
        user, password = arguments(command)[1:3]
        self.login(tag, user, password)

    def do_authenticate(self, tag, command):
        words = command.split(' ')
        mechanism = words[1].upper()
        if mechanism == 'LOGIN':
            self.line('+ VXNlcm5hbWU6')
            user = base64.b64decode(self.read_line()).decode()
            self.line('+ UGFzc3dvcmQ6')
            self.login(tag, user, base64.b64decode(self.read_line()).decode())
            return
        if mechanism != 'PLAIN':
            self.line(f'{tag} NO [CANNOT] not this one')
            return
        if len(words) > 2:
            text = words[2]
        else:
            self.line('+ ')
            text = self.read_line()
        _, user, password = base64.b64decode(text).decode().split('\0')
        self.login(tag, user, password)

    # ---- logged in

    def do_enable(self, tag, command):
        self.line('* ENABLED')
        self.line(f'{tag} OK done')

    def do_namespace(self, tag, command):
        self.line(f'* NAMESPACE {self.server.namespace}')
        self.line(f'{tag} OK done')

    def do_list(self, tag, command):
        if '""' in command.split(' ')[2:3]:     # LIST "" "": the delimiter
            self.line('* LIST (\\Noselect) "/" ""')
            self.line(f'{tag} OK done')
            return
        for folder in self.server.folders:
            delimiter = 'NIL' if not folder.delimiter else quoted(folder.delimiter)
            self.line(f'* LIST ({folder.attrs}) {delimiter} {quoted(folder.name)}')
            items = re.search(r'STATUS \(([^)]*)\)', command, re.I)
            if items and '\\noselect' not in folder.attrs.lower():
                self.status_line(folder, items[1])
        self.line(f'{tag} OK done')

    do_lsub = do_list

    def status_line(self, folder, items):
        values = {'MESSAGES': len(folder.messages), 'UIDNEXT': folder.uidnext,
                  'UIDVALIDITY': folder.uidvalidity, 'RECENT': 0,
                  'UNSEEN': sum('\\Seen' not in m.flags for m in folder.messages)}
        told = ' '.join(f'{item} {values[item]}' for item in items.upper().split()
                        if item in values)
        self.line(f'* STATUS {quoted(folder.name)} ({told})')

    def do_status(self, tag, command):
        folder = self.server.folder(arguments(command)[1])
        if not folder or '\\noselect' in folder.attrs.lower():
            self.line(f'{tag} NO [NONEXISTENT] no such mailbox')
            return
        self.status_line(folder, re.search(r'\(([^)]*)\)\s*$', command)[1])
        self.line(f'{tag} OK done')

    def do_examine(self, tag, command, mode='READ-ONLY'):
        folder = self.server.folder(arguments(command)[1])
        self.selected = None
        if not folder or '\\noselect' in folder.attrs.lower():
            self.line(f'{tag} NO [NONEXISTENT] no such mailbox')
            return
        self.selected = folder
        self.line('* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)')
        self.line('* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] some')
        self.line(f'* {len(folder.messages)} EXISTS')
        self.line('* 0 RECENT')
        self.line(f'* OK [UIDVALIDITY {folder.uidvalidity}] valid')
        self.line(f'* OK [UIDNEXT {folder.uidnext}] next')
        self.line(f'{tag} OK [{mode}] selected')

    def do_select(self, tag, command):
        self.do_examine(tag, command, 'READ-WRITE')

    def do_unselect(self, tag, command):
        self.selected = None
        self.line(f'{tag} OK done')

    do_close = do_unselect

    def do_getquotaroot(self, tag, command):
        self.line('* QUOTAROOT INBOX ""')
        self.quota_line()
        self.line(f'{tag} OK done')

    def do_getquota(self, tag, command):
        self.quota_line()
        self.line(f'{tag} OK done')

    def quota_line(self):
        if self.server.quota:
            self.line('* QUOTA "" (STORAGE %d %d)' % self.server.quota)

    def do_idle(self, tag, command):
        self.line('+ idling')
        while self.read_line().upper() != 'DONE':
            pass
        self.line(f'{tag} OK done')

    # ---- selected

    def do_uid_search(self, tag, command):
        folder = self.selected
        if not folder:
            self.line(f'{tag} BAD nothing selected')
            return
        uids = [str(message.uid) for message in folder.messages]
        if 'RETURN' in command.upper():
            found = f' ALL {",".join(uids)}' if uids else ''
            self.line(f'* ESEARCH (TAG "{tag}") UID{found}')
        else:
            self.line('* SEARCH ' + ' '.join(uids))
        self.line(f'{tag} OK done')

    def do_uid_fetch(self, tag, command):
        self.fetch(tag, command, by_uid=True)

    def do_fetch(self, tag, command):
        self.fetch(tag, command, by_uid=False)

    def fetch(self, tag, command, by_uid):
        if not self.selected:
            self.line(f'{tag} BAD nothing selected')
            return
        _, numbers, items = re.match(r'(?:UID )?(FETCH) (\S+) (.*)$', command, re.I).groups()
        wanted = number_set(numbers, by_uid, self.selected)
        for seq, message in enumerate(list(self.selected.messages), 1):
            if (message.uid if by_uid else seq) not in wanted:
                continue
            usual = fetch_response(seq, message, items)
            if message.respond:
                message.respond(self, seq, items, usual)
            else:
                self.send(usual)
        self.line(f'{tag} OK done')
