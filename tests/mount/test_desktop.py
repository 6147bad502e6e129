"""File managers over a large folder: what they download, counted."""
import os
import pathlib
import subprocess
import time

import compare
import mount as mounting
import pytest

COUNT = 10000

# A file manager may sniff a few files although .eml decides; more than this is a regression.
SNIFF_CAP = 5


@pytest.fixture
def large(mounts, account, proxied):
    account.fill('INBOX', count=COUNT, size=300)
    proxy = proxied(account.server.port)
    mount = mounts.plain(proxy.port, user=account.user, password=account.password)
    return mount, proxy


def quiet(mount, proxy, seconds=3, limit=120):
    """Waits until neither commands nor bytes have come for so long."""
    last, since, end = None, time.monotonic(), time.monotonic() + limit
    while time.monotonic() < end:
        now = (len(proxy.seen()), proxy.bytes_down)
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > seconds:
            return
        time.sleep(0.2)
    raise AssertionError('never quiet')


def test_gio_list(large, need_tool):
    need_tool('gio', 'dbus-run-session')
    mount, proxy = large
    run = subprocess.run(
        ['dbus-run-session', '--', 'gio', 'list', '-l', '-a', 'standard::*,time::*,access::*',
         mount.path / 'INBOX'], capture_output=True, text=True, timeout=120,
        env=mount.home.environment())
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) == COUNT
    assert proxy.bodies == 0
    assert mount.status()['bodies_fetched'] == 0
    assert all('standard::content-type=message/rfc822' in line for line in lines[:50]), lines[0]
    # one opened is one read
    path = compare.folder_files(mount.path / 'INBOX')[5]
    run = subprocess.run(['gio', 'cat', path], capture_output=True, timeout=60,
                         env=mount.home.environment())
    assert run.returncode == 0 and run.stdout == pathlib.Path(path).read_bytes()
    assert proxy.bodies == 1


@pytest.fixture
def display(need_tool, job):
    need_tool('Xvfb', 'xdotool', 'dbus-run-session')
    reader, writer = os.pipe()
    server = job('Xvfb', '-displayfd', str(writer), '-screen', '0', '1280x1000x24', '-nolisten',
                 'tcp', pass_fds=(writer,))
    os.close(writer)
    number = b''
    while not number.endswith(b'\n'):
        piece = os.read(reader, 10)
        assert piece, server.result()
        number += piece
    os.close(reader)
    return f':{number.decode().strip()}'


def windows(environment, title):
    run = subprocess.run(['xdotool', 'search', '--name', title], capture_output=True, text=True,
                         env=environment)
    return run.stdout.split()


def test_thunar(large, display, job, need_tool):
    """Names, sizes, dates and icons of 10,000 messages on the screen."""
    need_tool('thunar')
    mount, proxy = large
    environment = dict(mount.home.environment(), DISPLAY=display, NO_AT_BRIDGE='1',
                       GTK_A11Y='none')
    thunar = job('dbus-run-session', '--', 'thunar', mount.path / 'INBOX', env=environment,
                 start_new_session=True)
    try:
        mounting.wait_until(lambda: windows(environment, 'INBOX'), 60, 0.3, 'the window')
        quiet(mount, proxy)
        assert mount.folder_status('INBOX')['messages'] == COUNT
        window = windows(environment, 'INBOX')[0]
        for key in ('ctrl+2', 'End', 'Home', 'Page_Down', 'Page_Down', 'ctrl+1', 'End'):
            subprocess.run(['xdotool', 'windowfocus', window, 'key', key], env=environment,
                           stderr=subprocess.DEVNULL)
            time.sleep(0.5)
        quiet(mount, proxy)
        bodies = proxy.bodies
        print(f'thunar read {bodies} bodies for a listing of {COUNT}')
        assert bodies <= SNIFF_CAP
        assert mount.status()['bodies_fetched'] == bodies
    finally:
        end_session(thunar)
    assert thunar.process.poll() is not None


def end_session(job):
    """Everything that the program started in its own session, by their ids."""
    session = job.process.pid
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                if os.getsid(int(entry)) == session:
                    mounting.kill_quietly(int(entry), 9)
            except ProcessLookupError:
                pass
    job.result(20)
