"""As an ordinary user, and started by root for one.  Root itself may not look in."""
import os
import subprocess

import mount as mounting
import pytest
import scripted as fake

pytestmark = pytest.mark.root
NOBODY = 65534
AS_NOBODY = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups']


def as_nobody(*command):
    return subprocess.run([*AS_NOBODY, *map(os.fspath, command)], capture_output=True, text=True,
                          timeout=30)


def give_away(home):
    home.base.chmod(0o755)
    for path in [home.base, *home.base.rglob('*')]:
        os.chown(path, NOBODY, NOBODY)


@pytest.fixture
def server(scripted):
    return scripted([fake.Folder('INBOX', [fake.sample_message(i) for i in range(5)])])


def check(mount, server):
    out = as_nobody('ls', '-ln', mount.path / 'INBOX')
    assert out.returncode == 0, out.stderr
    lines = out.stdout.splitlines()[1:]
    assert len(lines) == 5
    assert all(line.split()[2:4] == [str(NOBODY), str(NOBODY)] for line in lines)
    out = as_nobody('cat', mount.path / 'INBOX' / lines[2].split()[-1])
    assert out.stdout.encode() in [m.data.replace(b'\r\n', b'\n')
                                   for m in server.folder('INBOX').messages]
    with pytest.raises(PermissionError):
        os.listdir(mount.path)
    for command in (['touch', mount.path / 'INBOX/new'], ['mkdir', mount.path / 'new'],
                    ['rm', mount.path / 'INBOX' / lines[2].split()[-1]],
                    ['cp', '/etc/passwd', mount.path / 'INBOX' / lines[2].split()[-1]]):
        out = as_nobody(*command)
        assert out.returncode != 0 and 'Read-only file system' in out.stderr, out


@pytest.mark.parametrize('how', ['fusermount', 'verb', 'sigterm'])
def test_ordinary_user(mounts, server, how):
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none'],
                        prefix=AS_NOBODY)
    give_away(mount.home)
    result = mount.try_start()
    assert result.code == 0, result
    check(mount, server)
    if how == 'fusermount':
        out = as_nobody('fusermount3', '-u', mount.path)
        assert out.returncode == 0, out.stderr
    elif how == 'verb':
        run = subprocess.run([*AS_NOBODY, mount.binary, 'unmount', mount.path], text=True,
                             env=mount.home.environment(), capture_output=True, timeout=30)
        assert run.returncode == 0, run.stderr
    else:
        for pid in mount.pids():
            mounting.kill_quietly(pid, 15)
    mount.check_gone()


def test_kill_9_and_mount_again(mounts, server):
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none'],
                        prefix=AS_NOBODY)
    give_away(mount.home)
    assert mount.try_start().code == 0
    check(mount, server)
    mount.kill()
    result = mount.try_start()
    assert result.code == 0, result
    check(mount, server)


def test_setuid(mounts, server):
    """As in /etc/fstab: root mounts for a user."""
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}',
                        options=['tls=none', 'setuid=nobody'])
    mount.options += [f'cache={mount.home.base}/c', f'state={mount.home.base}/s']
    give_away(mount.home)
    result = mount.try_start()
    assert result.code == 0, result
    for pid in mount.pids():
        assert os.stat(f'/proc/{pid}').st_uid in (0, NOBODY)    # 0 where it may not be dumped
        assert mounting.status_field(pid, 'Uid') == NOBODY
    check(mount, server)
    mount.stop('umount')


def test_foreign_passfile(mounts, server):
    """One that belongs to somebody else is refused."""
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none'],
                        prefix=AS_NOBODY)
    give_away(mount.home)
    secret = mount.home.base / 'password'
    os.chown(secret, 1, NOBODY)
    secret.chmod(0o640)
    result = mount.try_start()
    assert result.code in (2, 3), result
    mount.check_gone()


def test_foreign_cache(mounts, server):
    """A cache directory of somebody else is not used."""
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none'],
                        prefix=AS_NOBODY)
    give_away(mount.home)
    strange = mount.home.base / 'strange'
    strange.mkdir(mode=0o777)
    strange.chmod(0o777)
    mount.options.append(f'cache={strange}')
    result = mount.try_start()
    assert result.code not in (0, None), result
    assert len(result.err.splitlines()) == 1
    mount.check_gone()
