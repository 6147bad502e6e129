"""A loopback proxy for plain-text IMAP: writes down commands, counts, freezes, cuts."""
import re
import socket
import threading


class Proxy:
    def __init__(self, target):
        self.target = target
        self.commands = []          # command lines without tags; credentials left out
        self.bodies = 0             # FETCH responses with a whole body
        self.bytes_down = 0
        self.connections = 0
        self.refuse = False         # hang up on new connections
        self.flowing = threading.Event()    # cleared: nothing passes to the client
        self.flowing.set()
        self.lock = threading.Lock()
        self.pairs = []
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        self.refuse = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.cut()
        self.flowing.set()

    def go_offline(self):
        self.refuse = True
        self.cut()

    def go_online(self):
        self.refuse = False

    def cut(self):
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                hang_up(end)

    def reset(self):
        with self.lock:
            self.commands.clear()
            self.bodies = self.bytes_down = 0

    def seen(self, pattern=''):
        with self.lock:
            return [line for line in self.commands if re.search(pattern, line, re.I)]

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            self.connections += 1
            try:
                server = socket.create_connection(('127.0.0.1', self.target))
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.pairs.append((client, server))
            threading.Thread(target=self.upwards, args=(client, server), daemon=True).start()
            threading.Thread(target=self.downwards, args=(client, server), daemon=True).start()

    def upwards(self, client, server):
        rest = b''
        for data in pieces(client):
            *lines, rest = (rest + data).split(b'\r\n')
            with self.lock:
                self.commands += [shown(line) for line in lines]
            try:
                server.sendall(data)
            except OSError:
                break
        hang_up(server)
        hang_up(client)

    def downwards(self, client, server):
        tail = b''
        for data in pieces(server):
            self.flowing.wait()
            with self.lock:
                self.bytes_down += len(data)
                joined = tail + data
                self.bodies += joined.count(b' BODY[]') + joined.count(b'(BODY[]')
                tail = joined[-6:]
            try:
                client.sendall(data)
            except OSError:
                break
        hang_up(client)
        hang_up(server)


def shown(line):
    text = line.decode('utf-8', 'replace').partition(' ')[2]
    return re.sub(r'^(LOGIN|AUTHENTICATE) .*', r'\1', text, flags=re.I)


def pieces(source):
    while True:
        try:
            data = source.recv(262144)
        except OSError:
            return
        if not data:
            return
        yield data


def hang_up(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
