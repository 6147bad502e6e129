"""A server that stalls holds up only those who wait for it, and they can be interrupted."""
import errno
import os
import pathlib
import signal
import subprocess
import time

import compare
import mount as mounting
import pytest
import scripted as fake

SOON = 5        # hang limit for what must not wait


def messages(count, size=300):
    return [fake.sample_message(i, size=size) for i in range(count)]


def stalls(session, tag, command):
    session.stall()


BODY = r'UID FETCH .*BODY(\.PEEK)?\[\]'
LIBC_OPEN = '''
import ctypes, os, signal, sys
for number in (signal.SIGINT, signal.SIGWINCH, signal.SIGCHLD, signal.SIGUSR1):
    signal.signal(number, lambda *args: None)
    signal.siginterrupt(number, True)
libc = ctypes.CDLL(None, use_errno=True)
flags = os.O_RDONLY | (os.O_DIRECTORY if len(sys.argv) > 2 else 0)
print("ready", flush=True)
fd = libc.open(os.fsencode(sys.argv[1]), flags)
print("fd" if fd >= 0 else os.strerror(ctypes.get_errno()), flush=True)
'''


@pytest.fixture
def slow(mounts, scripted):
    """INBOX is listed and one message cached; `Slow` and every body stall."""
    server = scripted([fake.Folder('INBOX', messages(30)), fake.Folder('Slow', messages(5)),
                       fake.Folder('Other', messages(5))])
    mount = mounts.plain(server.port)
    files = {int(compare.xattr(path, 'user.imap.uid')): path
             for path in compare.folder_files(mount.path / 'INBOX')}
    pathlib.Path(files[1]).read_bytes()
    server.rule('EXAMINE "?Slow', stalls)
    server.rule(BODY, stalls)
    return mount, server, files


def works(mount, job, files):
    """What must not wait for the stalled."""
    assert job('ls', '-l', mount.path).result(SOON)[0] == 0
    assert job('ls', '-lR', mount.path / 'INBOX').result(SOON)[0] == 0
    assert job('cat', files[1]).result(SOON)[0] == 0
    assert job('df', mount.path).result(SOON)[0] == 0
    assert job('cat', mount.path / '.mailmount/status.json').result(SOON)[0] == 0


def test_opendir_waits_alone(slow, job):
    mount, server, files = slow
    waiting = job('ls', mount.path / 'Slow')
    assert waiting.waits()
    works(mount, job, files)
    code, out, err = job('ls', mount.path / 'Other').result(SOON)
    assert (code, len(out.split())) == (0, 5), err
    assert waiting.waits(0.1)
    server.release.set()
    code, out, _ = waiting.result(SOON)
    assert (code, len(out.split())) == (0, 5)


def test_lookup_waits_alone(slow, job):
    mount, server, files = slow
    waiting = job('stat', mount.path / 'Slow/some.eml')
    assert waiting.waits()
    works(mount, job, files)
    server.release.set()
    code, _, err = waiting.result(SOON)
    assert code == 1 and 'No such file' in err


def test_open_waits_alone(slow, job):
    mount, server, files = slow
    waiting = job('cat', files[2])
    assert waiting.waits()
    works(mount, job, files)
    server.release.set()
    assert waiting.result(SOON)[:2] == (0, server.folder('INBOX').messages[1].data)


def test_twenty_readers_freeze_nothing(slow, job):
    mount, server, files = slow
    readers = {uid: job('cat', files[uid]) for uid in range(2, 22)}
    assert all(reader.waits(0.05) for reader in readers.values())
    works(mount, job, files)
    server.release.set()
    for uid, reader in readers.items():
        assert reader.result(SOON)[:2] == (0, server.folder('INBOX').messages[uid - 1].data)


def test_forty_waiting_for_a_folder(slow, job):
    mount, server, files = slow
    waiting = [job('ls', mount.path / 'Slow') for _ in range(20)]
    waiting += [job('stat', mount.path / f'Slow/{i}.eml') for i in range(20)]
    assert all(one.waits(0.02) for one in waiting)
    works(mount, job, files)
    server.release.set()
    assert {one.result(SOON)[0] for one in waiting[:20]} == {0}
    assert {one.result(SOON)[0] for one in waiting[20:]} == {1}
    assert len(server.commands('EXAMINE "?Slow')) == 1


TARGETS = ['opendir', 'lookup', 'open']


def waiting_job(slow, job, target):
    mount, _, files = slow
    command = {'opendir': ['ls', mount.path / 'Slow'],
               'lookup': ['stat', mount.path / 'Slow/x.eml'],
               'open': ['cat', files[2]]}[target]
    waiting = job(*command)
    assert waiting.waits()
    return waiting


@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT,
                                    signal.SIGKILL], ids=lambda n: n.name)
def test_signals_end_a_wait(slow, job, target, number):
    waiting = waiting_job(slow, job, target)
    waiting.signal(number)
    assert waiting.result(2)[0] == -number
    works(slow[0], job, slow[2])


def caught(slow, job, target):
    mount, _, files = slow
    path, kind = {'opendir': (mount.path / 'Slow', ['dir']), 'open': (files[2], []),
                  'lookup': (mount.path / 'Slow/x.eml', [])}[target]
    waiting = job('/usr/bin/python3', '-c', LIBC_OPEN, path, *kind)
    assert waiting.process.stdout.readline() == b'ready\n'
    assert waiting.waits()
    return waiting


@pytest.mark.parametrize('target', TARGETS)
def test_caught_interrupt(slow, job, target):
    """Ctrl-C also ends the system call where the program catches it."""
    waiting = caught(slow, job, target)
    waiting.signal(signal.SIGINT)
    assert waiting.result(2)[1].decode().strip() == os.strerror(errno.EINTR)


@pytest.mark.parametrize('target', TARGETS)
def test_other_signals_do_not_interrupt(slow, job, target):
    mount, server, _ = slow
    waiting = caught(slow, job, target)
    for number in (signal.SIGWINCH, signal.SIGCHLD, signal.SIGUSR1):
        waiting.signal(number)
        assert waiting.waits(0.2), number
    server.release.set()
    expected = os.strerror(errno.ENOENT) if target == 'lookup' else 'fd'
    assert waiting.result(SOON)[1].decode().strip() == expected


@pytest.mark.parametrize('target', TARGETS)
def test_ignored_signal_then_interrupt(slow, job, target):
    """A signal that does not end the wait does not make it unkillable either."""
    waiting = caught(slow, job, target)
    waiting.signal(signal.SIGWINCH)
    assert waiting.waits(0.3)
    waiting.signal(signal.SIGKILL)
    assert waiting.result(2)[0] == -signal.SIGKILL


def test_wait_again_after_interrupt(slow, job):
    """What was interrupted can be asked for again, and others who wait get theirs."""
    mount, server, files = slow
    first, second = job('cat', files[2]), job('cat', files[2])
    assert first.waits() and second.waits(0.1)
    first.signal(signal.SIGINT)
    assert first.result(2)[0] == -signal.SIGINT
    third = job('cat', files[2])
    assert third.waits() and second.waits(0.1)
    server.release.set()
    data = server.folder('INBOX').messages[1].data
    assert second.result(SOON)[:2] == (0, data)
    assert third.result(SOON)[:2] == (0, data)


# ---- time-outs

def failure(path, directory=False):
    """errno name of opening something, and the seconds it took."""
    begin = time.monotonic()
    try:
        if directory:
            os.listdir(path)
        else:
            pathlib.Path(path).read_bytes()
    except OSError as error:
        return errno.errorcode[error.errno], time.monotonic() - begin
    return 'OK', time.monotonic() - begin


def test_timeout(mounts, scripted):
    server = scripted([fake.Folder('INBOX', messages(5)), fake.Folder('Slow', messages(5))])
    mount = mounts.plain(server.port, ['timeout=2'])
    path = compare.folder_files(mount.path / 'INBOX')[0]
    server.rule('EXAMINE "?Slow', stalls)
    server.rule(BODY, stalls)
    for target, directory in ((path, False), (mount.path / 'Slow', True)):
        name, seconds = failure(target, directory)
        assert name == 'ETIMEDOUT'
        assert 1 < seconds < 60
    assert len(os.listdir(mount.path / 'INBOX')) == 5
    # and it recovers by itself
    server.release.set()
    mounting.wait_until(lambda: failure(path)[0] == 'OK', 60, 0.3, 'read after the stall')
    mounting.wait_until(lambda: failure(mount.path / 'Slow', True)[0] == 'OK', 60, 0.3,
                        'list after the stall')


def test_slow_progress_is_no_timeout(mounts, scripted):
    """timeout is the longest time without any progress, not the time of the whole."""
    def dribble(session, seq, items, usual):
        if '[]' not in items:
            session.send(usual)
            return
        for at in range(0, len(usual), len(usual) // 8 + 1):
            session.send(usual[at:at + len(usual) // 8 + 1])
            time.sleep(0.5)
    message = fake.Message(fake.sample_message(1, size=20000), respond=dribble)
    server = scripted([fake.Folder('INBOX', [message])])
    mount = mounts.plain(server.port, ['timeout=2'])
    path, = compare.folder_files(mount.path / 'INBOX')
    assert pathlib.Path(path).read_bytes() == message.data


# ---- the connection goes and comes back

def test_offline_and_back(mounts, account, proxied):
    account.fill('INBOX', 'Work', count=10)
    proxy = proxied(account.server.port)
    mount = mounts.plain(proxy.port, user=account.user, password=account.password)
    paths = compare.folder_files(mount.path / 'INBOX')
    data = pathlib.Path(paths[0]).read_bytes()
    proxy.go_offline()
    assert failure(paths[1])[0] == 'ENETUNREACH'
    assert failure(mount.path / 'Work', True)[0] == 'ENETUNREACH'
    mounting.wait_until(lambda: mount.status()['state'] == 'offline', 30, what='state')
    assert pathlib.Path(paths[0]).read_bytes() == data
    assert len(os.listdir(mount.path / 'INBOX')) == 10
    proxy.go_online()
    mounting.wait_until(lambda: failure(paths[1])[0] == 'OK', 60, 0.2, 'online again')
    mounting.wait_until(lambda: failure(mount.path / 'Work', True)[0] == 'OK', 30, 0.2, 'listing')
    mounting.wait_until(lambda: mount.status()['state'] == 'online', 30, what='state')


def test_cut_connections_are_made_again(mounts, account, proxied):
    """A server that closes idle connections is no error for anybody."""
    account.fill('INBOX', count=10)
    proxy = proxied(account.server.port)
    mount = mounts.plain(proxy.port, user=account.user, password=account.password)
    paths = compare.folder_files(mount.path / 'INBOX')
    for path in paths[:4]:
        proxy.cut()
        time.sleep(0.1)
        mounting.wait_until(lambda: failure(path)[0] == 'OK', 30, 0.2, 'reconnected')


def test_password_changed_meanwhile(mounts, scripted):
    """A credential refused later: EKEYEXPIRED, and no hammering."""
    server = scripted([fake.Folder('INBOX', messages(3))])
    mount = mounts.plain(server.port)
    paths = compare.folder_files(mount.path / 'INBOX')
    server.password = 'another'
    server.cut()
    mounting.wait_until(lambda: failure(paths[0])[0] == 'EKEYEXPIRED', 40, 0.3, 'EKEYEXPIRED')
    logins = len(server.commands('LOGIN|AUTHENTICATE'))
    for path in paths:
        assert failure(path)[0] == 'EKEYEXPIRED'
    assert len(server.commands('LOGIN|AUTHENTICATE')) - logins <= 1
    assert len(os.listdir(mount.path / 'INBOX')) == 3


# ---- ends while requests are parked

@pytest.mark.parametrize('foreground', [False, True], ids=['daemon', 'foreground'])
def test_sigterm_while_parked(mounts, scripted, job, foreground):
    server = scripted([fake.Folder('INBOX', messages(5)), fake.Folder('Slow', messages(5))])
    if foreground:
        mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none'])
        mount.start_foreground()
    else:
        mount = mounts.plain(server.port)
    path = compare.folder_files(mount.path / 'INBOX')[0]
    server.rule('EXAMINE "?Slow', stalls)
    server.rule(BODY, stalls)
    waiting = [job('ls', mount.path / 'Slow'), job('cat', path),
               job('stat', mount.path / 'Slow/x.eml')]
    assert all(one.waits(0.3) for one in waiting)
    mount.stop('sigterm')
    for one in waiting:
        assert one.result(SOON)[0] != 0


def test_lazy_unmount_while_parked(slow, job):
    mount, _, files = slow
    waiting = job('cat', files[2])
    assert waiting.waits()
    subprocess.run(['fusermount3', '-u', '-z', mount.path], check=True)
    assert not mounting.mount_entry(mount.path)
    waiting.signal(signal.SIGINT)
    assert waiting.result(SOON)[0] == -signal.SIGINT
    mount.check_gone()


def test_verb_unmount_while_parked(slow, job):
    """It ends the mount, or says that it is busy and changes nothing."""
    mount, _, files = slow
    waiting = job('cat', files[2])
    assert waiting.waits()
    result = mount.verb('unmount', mount.path)
    if result.code == 0:
        mount.check_gone()
        assert waiting.result(SOON)[0] != 0
    else:
        assert len(result.err.splitlines()) == 1
        works(mount, job, files)
        waiting.signal(signal.SIGINT)
        waiting.result(SOON)


def test_interrupted_start(mounts, scripted, job):
    """Ctrl-C while the command still waits for the server: nothing stays mounted."""
    server = scripted([fake.Folder('INBOX')])
    server.rule('LIST', stalls)
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none'])
    starting = job(*mount.command(), env=mount.home.environment(), start_new_session=True)
    mounting.wait_until(lambda: server.commands('LIST'), what='LIST')
    os.killpg(starting.process.pid, signal.SIGINT)
    assert starting.result(SOON)[0] != 0
    mount.check_gone()
