"""Follows a program that tells of events, such as inotifywait."""
import os
import queue
import subprocess
import threading

import mount as mounting

WITHIN = 60         # seconds; a hang limit


class Watcher:
    """A program that prints an event a line; `lines` collects them."""

    def __init__(self, command, ready=None, **options):
        self.process = subprocess.Popen([os.fspath(word) for word in command], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, bufsize=1, **options)
        self.lines = []
        self.errors = queue.Queue()
        threading.Thread(target=self.collect, daemon=True).start()
        threading.Thread(target=self.complain, daemon=True).start()
        while ready and ready not in (line := self.errors.get(timeout=30)):
            assert line, self.process.wait()

    def collect(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip('\n'))

    def complain(self):
        for line in self.process.stderr:
            self.errors.put(line)
        self.errors.put('')

    def wait_for(self, *words, timeout=WITHIN):
        """Waits for a line with all these words."""
        mounting.wait_until(lambda: any(all(w in line for w in words) for line in list(self.lines)),
                            timeout, 0.02, f'{words} in {self.lines}')

    def count(self, word):
        return sum(word in line for line in list(self.lines))

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
