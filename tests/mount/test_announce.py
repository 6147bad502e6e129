"""Other clients' changes as inotify watchers see them: announced through the mount by a helper."""
import errno
import os
import pathlib
import signal
import subprocess
import time

import compare
import mount as mounting
import pytest
import samples
import scripted as fake
import test_user
from test_desktop import display, end_session, windows      # noqa: F401 (a fixture)
from watcher import Watcher

WITHIN = 60      # a hang limit
BASIC = 'IMAP4rev1 LITERAL+ NAMESPACE UIDPLUS MOVE UNSELECT ESEARCH LIST-STATUS LIST-EXTENDED ENABLE'


@pytest.fixture
def inotifywait(need_tool):
    need_tool('inotifywait')
    watchers = []

    def start(*paths, flags=(), prefix=()):
        watcher = Watcher([*prefix, 'inotifywait', '-m', '--format', '%e|%w%f', *flags, '-e',
                           'create,delete,move,attrib', *paths], 'Watches established')
        watchers.append(watcher)
        return watcher
    yield start
    for watcher in watchers:
        watcher.stop()


def names(directory):
    return sorted(os.listdir(directory))


def message(seed=0):
    return fake.sample_message(1000 + seed)


def append(imap, folder, seed=0):
    imap.append(folder, message(seed), '', samples.DATE + seed)


def arrive(mount, imap, folder, seed=0):
    """A new message of another client; its path when it is visible."""
    directory = mount.path / folder
    before = set(names(directory))
    append(imap, folder, seed)
    mounting.wait_until(lambda: set(names(directory)) - before, WITHIN, 0.02, 'new mail')
    return directory / (set(names(directory)) - before).pop()


def figures(mount):
    return mount.status()['announcements']


def helper_of(mount):
    """The process ID of the helper, once there is one."""
    def find():
        for pid in mount.pids():
            if b'--announcer' in pathlib.Path('/proc', str(pid), 'cmdline').read_bytes():
                return pid
        return None
    return mounting.wait_until(find, WITHIN, 0.05, 'the helper')


@pytest.fixture
def watched(mounts, account):
    """A mount on Dovecot that hears by NOTIFY only, and another client."""
    account.fill('INBOX', 'Work/2026', count=5)
    mount = mounts.account(account, ['announce=yes', 'poll=86400'])
    for folder in ('INBOX', 'Work/2026'):
        assert len(names(mount.path / folder)) == 5
    mounting.wait_until(lambda: mount.status()['state'] == 'online', WITHIN)
    imap = account.client()
    yield mount, imap
    imap.close()


def move(imap, source, uid, target):
    imap.ok(imap.imap.select(f'"{source}"'))
    imap.ok(imap.imap.uid('MOVE', uid, f'"{target}"'))
    imap.ok(imap.imap.unselect())


def test_new_moved_and_expunged(watched, inotifywait):
    mount, imap = watched
    watcher = inotifywait(mount.path / 'INBOX', mount.path / 'Work/2026')
    new = arrive(mount, imap, 'INBOX')
    watcher.wait_for('CREATE|', str(new))
    assert new.read_bytes() == message()
    uid = compare.xattr(new, 'user.imap.uid')
    move(imap, 'INBOX', uid, 'Work/2026')
    watcher.wait_for('DELETE|', str(new))
    mounting.wait_until(lambda: len(names(mount.path / 'Work/2026')) == 6, WITHIN)
    watcher.wait_for('CREATE|', str(mount.path / 'Work/2026'))
    moved = pathlib.Path(next(line for line in watcher.lines if 'CREATE|' in line
                              and 'Work/2026' in line).partition('|')[2])
    assert moved.read_bytes() == message()
    imap.expunge('Work/2026', compare.xattr(moved, 'user.imap.uid'))
    watcher.wait_for('DELETE|', str(moved))
    assert not moved.exists() and not new.exists()
    assert len(watcher.lines) == 4, watcher.lines
    said = figures(mount)
    assert said['state'] == 'running' and said['announced'] >= 4 and said['failed'] == 0
    assert len(names(mount.path / 'INBOX')) == len(names(mount.path / 'Work/2026')) == 5


def test_folders(watched, inotifywait):
    mount, imap = watched
    watcher = inotifywait(mount.path, mount.path / 'Work')
    imap.create('Fresh')
    watcher.wait_for('CREATE,ISDIR|', str(mount.path / 'Fresh'))
    assert names(mount.path / 'Fresh') == []
    imap.create('Work/Fresh')
    watcher.wait_for('CREATE,ISDIR|', str(mount.path / 'Work/Fresh'))
    for raw in ('Work/Fresh', 'Fresh'):
        imap.ok(imap.imap.delete(f'"{raw}"'))
        watcher.wait_for('DELETE,ISDIR|', str(mount.path / raw))
        assert not (mount.path / raw).exists()


def test_gio_monitor(watched, need_tool):
    need_tool('gio', 'dbus-run-session')
    mount, imap = watched
    watcher = Watcher(['stdbuf', '-oL', 'gio', 'monitor', '-d', mount.path / 'INBOX'],
                      env=dict(mount.home.environment(), GIO_USE_VFS='local'))
    try:
        mounting.wait_until(lambda: has_watch(watcher.process.pid), WITHIN, 0.05, 'its watch')
        new = arrive(mount, imap, 'INBOX')
        watcher.wait_for(new.name, 'created')
        imap.expunge('INBOX', compare.xattr(new, 'user.imap.uid'))
        watcher.wait_for(new.name, 'deleted')
    finally:
        watcher.stop()


def has_watch(pid):
    """Whether the process, or one of its threads' files, has an inotify watch."""
    for info in pathlib.Path('/proc', str(pid), 'fdinfo').iterdir():
        try:
            if 'inotify wd:' in info.read_text():
                return True
        except OSError:
            pass
    return False


def test_switched_off(mounts, account, inotifywait):
    """The control: without the helper there is no event, and everything else is as ever."""
    account.fill('INBOX', count=5)
    for options in (['announce=no'], ['announce=yes', 'ro']):
        mount = mounts.account(account, ['poll=86400', *options])
        assert len(names(mount.path / 'INBOX')) == 5
        watcher = inotifywait(mount.path / 'INBOX')
        imap = account.client()
        new = arrive(mount, imap, 'INBOX')
        imap.expunge('INBOX', compare.xattr(new, 'user.imap.uid'))
        mounting.wait_until(lambda: not new.exists(), WITHIN)       # noqa: B023
        time.sleep(0.5)
        assert watcher.lines == []
        assert figures(mount)['state'] == 'off'
        assert len(mount.pids()) == 1
        imap.close()
        watcher.stop()
        mount.stop()


def test_no_watch_no_helper(mounts, account):
    """Where nobody has looked there is nobody to tell."""
    account.fill('INBOX', 'Work', count=2)
    mount = mounts.account(account, ['announce=yes', 'poll=86400'])
    assert len(names(mount.path / 'INBOX')) == 2
    imap = account.client()
    # the kernel never heard of this folder; the listing of it is ordered by the daemon alone
    append(imap, 'Work')
    time.sleep(0.5)
    assert figures(mount)['announced'] == 0
    imap.close()


# ---- what must not happen

OBSERVER = """
import os, sys
directory, told = sys.argv[1], {}
def note(how, name, there):
    was = told.setdefault((how, name), [])
    if bool(was and was[-1] == '+') != there:
        was.append('+' if there else '-')
print('ready', flush=True)
ended = False
while not ended:
    ended = os.path.exists(sys.argv[2])     # then once more: what went is to be seen as gone
    listed = set(os.listdir(directory))
    for name in listed | {n for h, n in told}:
        note('list', name, name in listed)
        for how, call in (('stat', os.stat), ('open', lambda p: os.close(os.open(p, os.O_PATH)))):
            try:
                call(directory + '/' + name)
                note(how, name, True)
            except FileNotFoundError:
                note(how, name, False)
told = {key: was for key, was in told.items() if was}   # gone before it was looked at
for (how, name), was in told.items():
    print(how, name, ''.join(was))
"""


def test_deleted_and_delivered_again(watched, inotifywait):
    """The announced deletion of a name is not that of the message that has it now."""
    mount, imap = watched
    new = arrive(mount, imap, 'INBOX')
    inode = new.stat().st_ino
    uid = compare.xattr(new, 'user.imap.uid')
    mounting.wait_until(lambda: figures(mount)['announced'] >= 1, WITHIN, 0.02)
    watcher = inotifywait(mount.path / 'INBOX')
    helper = helper_of(mount)
    os.kill(helper, signal.SIGSTOP)
    try:
        imap.expunge('INBOX', uid)
        mounting.wait_until(lambda: not new.exists(), WITHIN)
        append(imap, 'INBOX')
        mounting.wait_until(lambda: new.exists() and new.stat().st_ino != inode, WITHIN)
        again = new.stat()
        assert not watcher.lines
    finally:
        os.kill(helper, signal.SIGCONT)
    with open(new, 'rb') as kept:
        watcher.wait_for('DELETE|', str(new))
        watcher.wait_for('CREATE|', str(new))
        assert kept.read() == message()
        assert os.fstat(kept.fileno()).st_nlink == 1
    assert [line.partition('|')[0] for line in watcher.lines] == ['DELETE', 'CREATE']
    assert new.stat() == again and new.read_bytes() == message()
    assert new.name in names(mount.path / 'INBOX')


def test_no_command(mounts, account, proxied, inotifywait):
    """All that is announced is known already: nothing is sent."""
    account.fill('INBOX', 'Work', count=5)
    proxy = proxied(account.server.port)
    mount = mounts.plain(proxy.port, ['announce=yes', 'poll=86400'], user=account.user, password=account.password)
    assert len(names(mount.path / 'INBOX')) == len(names(mount.path / 'Work')) == 5
    imap = account.client()
    watcher = inotifywait(mount.path, mount.path / 'INBOX', mount.path / 'Work')
    new = arrive(mount, imap, 'INBOX')
    watcher.wait_for('CREATE|', str(new))
    os.kill(helper_of(mount), signal.SIGSTOP)
    uid = compare.xattr(new, 'user.imap.uid')
    imap.expunge('INBOX', uid)
    mounting.wait_until(lambda: not new.exists(), WITHIN)
    paths = [arrive(mount, imap, 'Work', seed) for seed in range(3)]
    imap.create('Fresh')
    mounting.wait_until(lambda: (mount.path / 'Fresh').exists(), WITHIN)
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 1:
        if proxy.seen():
            proxy.reset()
            quiet_since = time.monotonic()
        time.sleep(0.05)
    os.kill(helper_of(mount), signal.SIGCONT)
    watcher.wait_for('DELETE|', str(new))
    for path in paths:
        watcher.wait_for('CREATE|', str(path))
    watcher.wait_for('CREATE,ISDIR|', str(mount.path / 'Fresh'))
    time.sleep(0.3)
    assert proxy.seen() == []
    imap.close()


# ---- the helper's life

def test_helper_killed(watched, inotifywait):
    mount, imap = watched
    watcher = inotifywait(mount.path / 'INBOX')
    watcher.wait_for('CREATE|', str(arrive(mount, imap, 'INBOX')))
    first = helper_of(mount)
    status = pathlib.Path('/proc', str(first), 'status').read_text()
    assert 'mm-announcer' in status
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(first, number)
    watcher.wait_for('CREATE|', str(arrive(mount, imap, 'INBOX', 1)))
    assert helper_of(mount) == first
    os.kill(first, signal.SIGKILL)
    mounting.wait_until(lambda: figures(mount)['state'] == 'idle', WITHIN)
    assert mounting.process_state(first) is None       # waited for
    watcher.wait_for('CREATE|', str(arrive(mount, imap, 'INBOX', 2)))
    second = helper_of(mount)
    assert second != first and figures(mount)['helper_starts'] == 2
    # in the middle of its work
    os.kill(second, signal.SIGSTOP)
    lost = arrive(mount, imap, 'INBOX', 3)
    os.kill(second, signal.SIGKILL)
    watcher.wait_for('CREATE|', str(arrive(mount, imap, 'INBOX', 4)))
    assert watcher.count(lost.name) <= 1
    assert 'ended' in mount.home.log()


def test_helper_holds_nothing(watched, inotifywait):
    """Between events it has no file of the mount, and nothing else of the daemon's."""
    mount, imap = watched
    watcher = inotifywait(mount.path / 'INBOX')
    watcher.wait_for('CREATE|', str(arrive(mount, imap, 'INBOX')))
    watcher.stop()
    proc = pathlib.Path('/proc', str(helper_of(mount)))
    files = {entry.name: os.readlink(entry) for entry in (proc / 'fd').iterdir()}
    assert sorted(files) == ['0', '1', '2'], files
    assert files['0'].startswith('socket:') and files['1'] == files['2'] == '/dev/null'
    assert os.readlink(proc / 'cwd') == '/'
    assert b'--announcer' in (proc / 'cmdline').read_bytes()
    assert account_secret(mount) not in (proc / 'environ').read_bytes()
    mount.stop()


def account_secret(mount):
    return (mount.home.base / 'password').read_bytes().strip()


def test_stopped_helper_stops_nothing(watched, inotifywait):
    """A helper that does not answer costs only its announcements; the mount ends with it."""
    mount, imap = watched
    watcher = inotifywait(mount.path / 'INBOX')
    watcher.wait_for('CREATE|', str(arrive(mount, imap, 'INBOX')))
    os.kill(helper_of(mount), signal.SIGSTOP)
    for seed in range(1, 4):
        new = arrive(mount, imap, 'INBOX', seed)
        assert new.read_bytes() == message(seed)
        imap.expunge('INBOX', compare.xattr(new, 'user.imap.uid'))
        mounting.wait_until(lambda: not new.exists(), WITHIN)      # noqa: B023
    assert len(watcher.lines) == 1
    watcher.stop()
    mount.stop('sigterm')


@pytest.mark.root
@pytest.mark.parametrize('how', ['user', 'setuid'])
def test_ordinary_user(mounts, scripted, inotifywait, how):
    """The kernel lets the helper do it, which is that user, too."""
    server = scripted([fake.Folder('INBOX', [fake.sample_message(i) for i in range(3)])])
    options = ['announce=yes', 'tls=none', 'poll=1']
    if how == 'setuid':
        mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}',
                            options=[*options, 'setuid=nobody'])
        mount.options += [f'cache={mount.home.base}/c', f'state={mount.home.base}/s']
    else:
        mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=options,
                            prefix=test_user.AS_NOBODY)
    test_user.give_away(mount.home)
    result = mount.try_start()
    assert result.code == 0, result
    out = test_user.as_nobody('ls', mount.path / 'INBOX')
    assert len(out.stdout.splitlines()) == 3
    watcher = inotifywait(mount.path / 'INBOX', prefix=test_user.AS_NOBODY)
    server.folder('INBOX').add(fake.sample_message(77))
    watcher.wait_for('CREATE|', 'message-77')
    pid = helper_of(mount)
    assert mounting.status_field(pid, 'Uid') == test_user.NOBODY
    del server.folder('INBOX').messages[-1]
    watcher.wait_for('DELETE|', 'message-77')
    watcher.stop()
    out = test_user.as_nobody('ls', mount.path / 'INBOX')
    assert len(out.stdout.splitlines()) == 3


def test_url_folder(mounts, account, inotifywait):
    """The root is a folder, and there are folders below it."""
    account.fill('Work', 'Work/Sub', count=2)
    mount = mounts.make(account.url() + '/Work', account.password, ['announce=yes', 'poll=86400']).start()
    assert len(names(mount.path)) == 3 and len(names(mount.path / 'Sub')) == 2
    imap = account.client()
    watcher = inotifywait(mount.path, mount.path / 'Sub')
    append(imap, 'Work')
    watcher.wait_for('CREATE|' + str(mount.path) + '/2', 'message-1000')
    append(imap, 'Work/Sub', 1)
    watcher.wait_for('CREATE|' + str(mount.path / 'Sub') + '/2', 'message-1001')
    imap.close()


@pytest.mark.root
def test_other_mount_in_the_way(watched, inotifywait, tmp_path):
    """Where something else is mounted over the directory, nothing is done in it."""
    mount, imap = watched
    inbox = mount.path / 'INBOX'
    watcher = inotifywait(inbox)
    watcher.wait_for('CREATE|', str(arrive(mount, imap, 'INBOX')))
    subprocess.run(['mount', '--bind', tmp_path, inbox], check=True)
    try:
        append(imap, 'INBOX', 1)
        mounting.wait_until(lambda: figures(mount)['failed'] == 1, WITHIN, 0.05)
        assert names(tmp_path) == []
    finally:
        subprocess.run(['umount', inbox], check=True)
    assert 'could not be announced' in mount.home.log()
    watcher.wait_for('CREATE|', str(arrive(mount, imap, 'INBOX', 2)))


def test_not_for_users(binary):
    run = subprocess.run([binary, '--announcer', '/tmp'], capture_output=True, text=True,
                         stdin=subprocess.DEVNULL, timeout=30)
    assert run.returncode == 1 and 'mailmount itself' in run.stderr


# ---- many

def test_more_than_the_burst(watched, inotifywait):
    """Slower after a while, and all of them, in order."""
    mount, imap = watched
    watcher = inotifywait(mount.path / 'INBOX')
    for seed in range(260):
        append(imap, 'INBOX', seed)
    mounting.wait_until(lambda: watcher.count('CREATE|') == 260, 60, 0.1,
                        lambda: watcher.count('CREATE|'))
    assert {line.partition('|')[2] for line in watcher.lines} <= {
        str(mount.path / 'INBOX' / name) for name in names(mount.path / 'INBOX')}
    assert figures(mount)['dropped'] == 0


@pytest.mark.long
def test_ten_thousand_at_once(mounts, account, inotifywait):
    """What is too much is left out and counted; in the end the directory is told of."""
    account.fill('INBOX', 'Work', count=5)
    mount = mounts.account(account, ['announce=yes', 'poll=86400'])
    assert len(names(mount.path / 'INBOX')) == len(names(mount.path / 'Work')) == 5
    imap = account.client()
    watcher = inotifywait(mount.path / 'INBOX', mount.path / 'Work')
    watcher.wait_for('CREATE|', str(arrive(mount, imap, 'Work')))
    helper = helper_of(mount)
    os.kill(helper, signal.SIGSTOP)
    account.fill('INBOX', count=10000, size=300)
    mounting.wait_until(lambda: len(names(mount.path / 'INBOX')) == 10005, 120, 0.5)
    os.kill(helper, signal.SIGCONT)
    # another directory does not stand behind it
    watcher.wait_for('CREATE|', str(arrive(mount, imap, 'Work', 1)), timeout=10)
    assert watcher.count('INBOX') < 4000
    watcher.wait_for('ATTRIB,ISDIR|', str(mount.path / 'INBOX'), timeout=120)
    said = figures(mount)
    assert said['dropped'] > 5000
    assert watcher.count('INBOX') - 1 == 10000 - said['dropped']
    assert 'left out' in mount.home.log()
    imap.close()


# ---- a directory that is locked

def test_thunar_window(watched, display, need_tool, job):   # noqa: F811
    """An open window shows what arrives: the file can be selected in it, and asked about."""
    need_tool('thunar')
    mount, imap = watched
    environment = dict(mount.home.environment(), DISPLAY=display, NO_AT_BRIDGE='1',
                       GTK_A11Y='none')
    thunar = job('dbus-run-session', '--', 'thunar', mount.path / 'INBOX', env=environment,
                 start_new_session=True)
    try:
        window = mounting.wait_until(lambda: windows(environment, 'INBOX'), 60, 0.3, 'a window')[0]
        mounting.wait_until(lambda: any(has_watch(pid) for pid in session_of(thunar)), 30, 0.1,
                            'its watch')
        time.sleep(1)
        new = arrive(mount, imap, 'INBOX')

        def properties():
            return windows(environment, f'{new.name[:20]}.*Properties')

        def ask():
            """Types the beginning of the name, which selects the file, then asks for it."""
            for words in (['key', 'Escape'], ['type', new.name[:15]], ['key', 'Escape'],
                          ['key', 'alt+Return']):
                subprocess.run(['xdotool', 'windowfocus', window, *words], env=environment,
                               stderr=subprocess.DEVNULL)
            time.sleep(1)
            return properties()
        mounting.wait_until(ask, 30, 0.3, 'the file in the window')
        imap.expunge('INBOX', compare.xattr(new, 'user.imap.uid'))
        mounting.wait_until(lambda: not properties(), WITHIN, 0.3, 'its end')
    finally:
        end_session(thunar)


def session_of(job):
    pids = []
    for entry in os.listdir('/proc'):
        try:
            if entry.isdigit() and os.getsid(int(entry)) == job.process.pid:
                pids.append(int(entry))
        except ProcessLookupError:
            pass
    return pids
