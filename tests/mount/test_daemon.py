"""Usage, the configuration file, and daemons: ways to start and to end."""
import json
import os
import pathlib
import re
import stat
import subprocess

import compare
import mount as mounting
import pytest
import scripted as fake
from starting import plain, refused


# ---- usage

@pytest.mark.parametrize('option', [
    'connections=0', 'connections=11', 'connections=x', 'timeout=x', 'timeout=-1', 'cache_size=x',
    'cache_size=-5', 'cache_size=5Q', 'mtime=never', 'tls=maybe', 'auth=magic', 'folders=',
    'poll=x'])
def test_bad_option(mounts, scripted, option):
    server = scripted()
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none'])
    mount.options.append(option)
    refused(mount, 2, option.partition('=')[0], host=None)
    assert server.connections == 0


@pytest.mark.parametrize('words', [
    [], ['-x'], ['only-one'], ['-o'], ['a', 'b', 'c'], ['http://a@b', '/tmp'], ['imaps://', '/tmp'],
    ['imaps://a@b:99999', '/tmp'], ['imaps://a@b:port', '/tmp']])
def test_usage(mounts, words):
    mount = mounts.make('unused')
    result = mount.verb(*words)
    assert result.code == 2, result
    assert 1 <= len(result.err.splitlines()) <= 3
    assert result.out == ''


def test_unknown_account(mounts):
    mount = mounts.make('nobody-here')
    refused(mount, 6, 'nobody-here', host=None)


def test_help_and_version(mounts):
    mount = mounts.make('unused')
    result = mount.verb('--help')
    assert result.code == 0 and 'cafile' in result.out and result.err == ''
    result = mount.verb('--version')
    assert result.code == 0 and re.match(r'mailmount \d+\.', result.out) and result.err == ''


@pytest.mark.parametrize('kind', ['missing', 'file'])
def test_bad_mount_point(mounts, scripted, kind):
    server = scripted([fake.Folder('INBOX')])
    mount = plain(mounts, server)
    mount.path.rmdir()
    if kind == 'file':
        mount.path.write_text('x')
    refused(mount, (1, 2, 6), str(mount.path), host=None)


# ---- the configuration file

def test_account_of_the_configuration(mounts, scripted):
    server = scripted([fake.Folder('INBOX', [fake.sample_message(1)]), fake.Folder('Other')])
    home = mounts.home()
    secret = home.passfile('pw-alice')
    home.config(f'''# a comment
defaults {{
    timeout = 20
}}
account work {{
    url = "imap://alice@127.0.0.1:{server.port}"
    tls = none
    passfile = "{secret}"
    folders = "INBOX"
}}
''')
    mount = mounts.make('work', home=home, options=['passfile=x'])
    mount.options = []
    mount.start()
    assert os.listdir(mount.path) == ['INBOX']
    assert mount.status()['account'] == 'work'
    mount.stop()
    # the command line wins
    mount.options = ['folders=Other']
    mount.start()
    assert os.listdir(mount.path) == ['Other']


@pytest.mark.parametrize('text, line', [
    ('account work {\n    url = "imap://a@127.0.0.1"\n    nonsense = 1\n}\n', '3'),
    ('account work {\n    url = \n}\n', ''),
    ('account work {\n    url = "imap://a@127.0.0.1"\n    connections = 99\n}\n', ''),
    ('account work {\n', ''),
    ('account work {\n    timeout = 3\n}\n', ''),
])
def test_bad_configuration(mounts, text, line):
    home = mounts.home()
    home.config(text)
    mount = mounts.make('work', home=home, options=['passfile=x'])
    mount.options = []
    said = refused(mount, 2, host=None)
    assert line in said


# ---- daemons

def test_second_daemon(mounts, scripted):
    server = scripted([fake.Folder('INBOX')])
    home = mounts.home()
    mount = mounts.plain(server.port, home=home)
    second = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none'], home=home,
                         name='second')
    result = second.try_start()
    assert result.code == 8, result
    assert str(mount.path) in result.err and len(result.err.splitlines()) == 1
    assert mounting.mount_entry(mount.path) and not mounting.mount_entry(second.path)
    os.listdir(mount.path)
    mount.stop()
    second.start()


@pytest.mark.parametrize('how', ['fusermount', 'umount', 'verb', 'sigterm'])
def test_ways_to_end(mounts, scripted, how):
    server = scripted([fake.Folder('INBOX', [fake.sample_message(1)])])
    home = mounts.home()
    for _ in range(2):
        mount = mounts.plain(server.port, home=home)
        os.listdir(mount.path / 'INBOX')
        mount.stop(how)
        # nothing but what is meant to stay
        left = [path for path in home.base.glob('run/**/*') if stat.S_ISSOCK(path.stat().st_mode)]
        assert left == []


@pytest.mark.parametrize('how', ['fusermount', 'sigterm', 'sigint'])
def test_foreground(mounts, scripted, how):
    server = scripted([fake.Folder('INBOX', [fake.sample_message(1)])])
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none'])
    mount.start_foreground()
    assert mount.process.poll() is None
    assert len(os.listdir(mount.path / 'INBOX')) == 1
    mount.stop(how)


def test_foreground_refused(mounts, scripted):
    server = scripted(password='other')
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none'])
    mount.start_foreground(wait=False)
    assert mount.process.wait(20) == 3
    assert len(mount.foreground_output().splitlines()) >= 1
    mount.process = None


def test_debug_flag(mounts, scripted):
    """-d stays in the foreground and tells what it does."""
    server = scripted([fake.Folder('INBOX', [fake.sample_message(1)])])
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none'], flags=['-d'])
    mount.start_foreground()
    os.listdir(mount.path / 'INBOX')
    mount.stop('sigterm')
    assert len((mount.foreground_output() + mount.home.log()).splitlines()) > 10


def test_daemon_lets_go(mounts, scripted):
    """The command's pipes are closed when it returns, its directory and terminal let go."""
    server = scripted([fake.Folder('INBOX')])
    mount = mounts.plain(server.port)   # subprocess.run would hang on open pipes
    for pid in mount.pids():
        assert os.readlink(f'/proc/{pid}/cwd') == '/'
        assert os.getsid(pid) != os.getsid(0)
        for descriptor in (0, 1, 2):
            assert os.readlink(f'/proc/{pid}/fd/{descriptor}') == '/dev/null' or \
                os.readlink(f'/proc/{pid}/fd/{descriptor}').endswith('/log')


def test_kill_9_and_mount_again(mounts, scripted):
    server = scripted([fake.Folder('INBOX', [fake.sample_message(i) for i in range(10)])])
    home = mounts.home()
    mount = mounts.plain(server.port, home=home)
    for path in compare.folder_files(mount.path / 'INBOX'):
        pathlib.Path(path).read_bytes()
    names = sorted(os.listdir(mount.path / 'INBOX'))
    mount.kill()
    # a supervisor may have cleaned up; else the mount point says ENOTCONN now
    mount.start()
    assert sorted(os.listdir(mount.path / 'INBOX')) == names
    for path in compare.folder_files(mount.path / 'INBOX'):
        pathlib.Path(path).read_bytes()


FSTAB = ['_netdev', 'x-systemd.automount', 'noauto', 'nofail']


@pytest.mark.root
@pytest.mark.parametrize('how', ['mount', 'mount.fuse3'])
def test_mount_program(mounts, scripted, binary, how):
    """As root: mount -t fuse.mailmount, with what an fstab line adds.

    mount(8) empties the environment, so it finds only an installed mailmount by its name; here it
    is told the path.  mount.fuse3 is what it calls."""
    server = scripted([fake.Folder('INBOX', [fake.sample_message(1)])])
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none'])
    options = mount.options + FSTAB + [f'cache={mount.home.base}/cache/x',
                                       f'state={mount.home.base}/state/x']
    environment = mount.home.environment()
    if how == 'mount':
        command = ['mount', '-t', 'fuse', '-o', ','.join(options), f'{binary}#{mount.url}',
                   mount.path]
    else:
        environment['PATH'] = f'{binary.parent}:{environment["PATH"]}'
        command = ['/sbin/mount.fuse3', mount.url, mount.path, '-t', 'fuse.mailmount', '-o',
                   ','.join(options)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert mounting.mount_entry(mount.path)['fstype'] == 'fuse.mailmount'
    assert {'nosuid', 'nodev', 'noexec'} <= set(mounting.mount_entry(mount.path)['options'])
    assert len(os.listdir(mount.path / 'INBOX')) == 1
    mount.stop('umount')


@pytest.mark.root
def test_fuse_options_pass_through(mounts, scripted):
    server = scripted([fake.Folder('INBOX')])
    mount = mounts.plain(server.port, ['allow_other'])
    assert 'allow_other' in mounting.mount_entry(mount.path)['super']


def test_verbs_without_a_mount(mounts):
    mount = mounts.make('unused')
    assert mount.verb('unmount', mount.path).code == 6
    assert mount.verb('status', mount.path).code == 6
    assert mount.verb('status').code == 0
    assert isinstance(json.loads(mount.verb('status', '--json').out), (list, dict))


def test_modes_of_what_it_writes(mounts, scripted):
    """0700 and 0600, whatever the umask."""
    server = scripted([fake.Folder('INBOX', [fake.sample_message(1)])])
    old = os.umask(0)
    try:
        mount = mounts.plain(server.port)
    finally:
        os.umask(old)
    for path in compare.folder_files(mount.path / 'INBOX'):
        pathlib.Path(path).read_bytes()
    for name in ('cache', 'state', 'run'):
        for path in (mount.home.base / name).rglob('*'):
            assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path


def test_many_mounts_at_once(mounts, scripted):
    """Accounts do not see each other."""
    servers = [scripted([fake.Folder('INBOX', [fake.sample_message(i)])]) for i in range(3)]
    home = mounts.home()
    made = [mounts.plain(server.port, home=home, name=f'm{i}') for i, server in enumerate(servers)]
    assert len({os.listdir(mount.path / 'INBOX')[0] for mount in made}) == 3
    result = made[0].verb('status', '--json')
    assert result.code == 0
    everything = json.loads(result.out)     # other mounts of this user may be there too
    assert {str(mount.path) for mount in made} <= {one['mountpoint'] for one in everything}
    for mount in made:
        assert mount.status()['mountpoint'] == str(mount.path)


def test_offline_start(mounts, scripted):
    """With a cache the mount comes up although the server is away, and says so."""
    server = scripted([fake.Folder('INBOX', [fake.sample_message(i) for i in range(5)])])
    home = mounts.home()
    mount = mounts.plain(server.port, home=home)
    names = sorted(os.listdir(mount.path / 'INBOX'))
    path = compare.folder_files(mount.path / 'INBOX')[0]
    data = pathlib.Path(path).read_bytes()
    mount.stop()
    server.stop()
    result = mount.try_start()
    assert result.code == 0, result
    assert len(result.err.splitlines()) == 1 and 'offline' in result.err
    assert sorted(os.listdir(mount.path / 'INBOX')) == names
    assert pathlib.Path(path).read_bytes() == data
    assert mount.status()['state'] == 'offline'
    mount.stop()


def test_refused_login_with_a_cache(mounts, scripted):
    server = scripted([fake.Folder('INBOX')])
    home = mounts.home()
    mount = mounts.plain(server.port, home=home)
    os.listdir(mount.path / 'INBOX')
    mount.stop()
    server.password = 'changed'
    refused(mount, 3)
