"""A loopback proxy for plain-text IMAP: writes down commands, counts, delays, freezes, cuts."""
import random
import re
import socket
import threading
import time

TO_CLIENT, TO_SERVER = 'to client', 'to server'


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
        self.upward_flowing = threading.Event()
        self.upward_flowing.set()
        self.delay = 0              # seconds that each piece waits, in both directions
        self.traps = {}             # direction -> [bytes left, action]
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
        self.heal()

    def heal(self):
        """Ends every fault but `refuse` and the connections that were cut."""
        with self.lock:
            self.traps.clear()
        self.delay = 0
        self.flowing.set()
        self.upward_flowing.set()

    def freeze(self):
        """Nothing passes either way, and nobody is told."""
        self.flowing.clear()
        self.upward_flowing.clear()

    def trap(self, direction, count, action=None):
        """When `count` more bytes have passed in a direction, on whatever connection: cuts that
        connection just there, and calls action() before anything more of it passes."""
        with self.lock:
            self.traps[direction] = [count, action]

    def spring(self, direction, data):
        """(what of the data may pass, whether the trap snaps behind it, its action)."""
        with self.lock:
            trap = self.traps.get(direction)
            if not trap:
                return data, False, None
            if trap[0] > len(data):
                trap[0] -= len(data)
                return data, False, None
            del self.traps[direction]
            return data[:trap[0]], True, trap[1]

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

    def cut_one(self, rng=random):
        with self.lock:
            pair = self.pairs.pop(rng.randrange(len(self.pairs))) if self.pairs else ()
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
            if not self.pass_on(TO_SERVER, server, data):
                break
        self.end(client, server)

    def downwards(self, client, server):
        tail = b''
        for data in pieces(server):
            with self.lock:
                self.bytes_down += len(data)
                joined = tail + data
                self.bodies += joined.count(b' BODY[]') + joined.count(b'(BODY[]')
                tail = joined[-6:]
            if not self.pass_on(TO_CLIENT, client, data):
                break
        self.end(client, server)

    def end(self, client, server):
        """The sockets are closed when nobody has them any more."""
        hang_up(client)
        hang_up(server)
        with self.lock:
            self.pairs = [pair for pair in self.pairs if pair[0] is not client]

    def pass_on(self, direction, end, data):
        """False: this connection is over."""
        if self.delay:
            time.sleep(self.delay)
        (self.flowing if direction == TO_CLIENT else self.upward_flowing).wait()
        data, snaps, action = self.spring(direction, data)
        try:
            end.sendall(data)
        except OSError:
            snaps = True
        if action:
            action()
        return not snaps


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


class Faults:
    """Breaks what passes through a proxy, at random, until it is healed.  `pause` is the mean time
    between two faults in seconds."""

    def __init__(self, proxy, seed, pause=0.7):
        self.proxy = proxy
        self.random = random.Random(seed)
        self.pause = pause
        self.count = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        kinds = [self.cut_all, self.cut_one, self.cut_at, self.freeze, self.slow, self.refuse]
        while not self.ended.wait(self.random.uniform(0, 2 * self.pause)):
            self.random.choice(kinds)()
            self.count += 1

    def heal(self):
        self.ended.set()
        self.thread.join()
        self.proxy.heal()
        self.proxy.refuse = False

    def cut_all(self):
        self.proxy.cut()

    def cut_one(self):
        self.proxy.cut_one(self.random)

    def cut_at(self):
        self.proxy.trap(self.random.choice([TO_CLIENT, TO_SERVER]), self.random.randint(1, 3000))

    def freeze(self):
        self.proxy.freeze()
        self.ended.wait(self.random.uniform(0.1, 1.5))
        self.proxy.flowing.set()
        self.proxy.upward_flowing.set()

    def slow(self):
        self.proxy.delay = self.random.choice([0, 0.005, 0.05])

    def refuse(self):
        self.proxy.refuse = True
        self.ended.wait(self.random.uniform(0.1, 1))
        self.proxy.refuse = False
