"""What stat, statfs, xattrs and mountinfo say; writing is refused; names that desktops probe."""
import ctypes
import errno
import json
import os
import stat
import subprocess

import compare
import mount as mounting
import pytest
import scripted as fake

TIB = 1 << 40


@pytest.fixture
def small(request, mounts, scripted):
    """A mount of two folders and ten messages, and its server."""
    options = getattr(request, 'param', [])
    unread = [fake.Message(fake.sample_message(i), flags='\\Flagged') for i in range(10)]
    server = scripted([fake.Folder('INBOX', unread),
                       fake.Folder('Work', [fake.sample_message(99)])])
    return mounts.plain(server.port, options), server


# The kernel refuses every change where the mount is `ro`, else the daemon does.
both_ways = pytest.mark.parametrize('small', [[], ['ro']], ids=['rw', 'ro'], indirect=True)


def a_message(mount):
    return sorted(compare.folder_files(mount.path / 'INBOX'))[0]


def errno_of(call, *arguments, **more):
    try:
        call(*arguments, **more)
    except OSError as error:
        return errno.errorcode[error.errno]
    return 'OK'


# ---- stat

@both_ways
def test_modes(small):
    mount, _ = small
    read_only = 'ro' in mount.options
    assert ('ro' in mounting.mount_entry(mount.path)['options']) == read_only
    for path in (mount.path, mount.path / 'INBOX'):
        info = os.stat(path)
        assert stat.S_ISDIR(info.st_mode)
        assert stat.S_IMODE(info.st_mode) == (0o500 if read_only else 0o700)
        assert (info.st_uid, info.st_gid) == (os.getuid(), os.getgid())
    info = os.stat(a_message(mount))
    assert stat.S_ISREG(info.st_mode)
    assert stat.S_IMODE(info.st_mode) == (0o400 if read_only else 0o600)
    assert info.st_nlink == 1
    assert (info.st_uid, info.st_gid) == (os.getuid(), os.getgid())
    assert info.st_blocks > 0


def test_inodes_are_distinct(small):
    mount, _ = small
    inodes = []
    for top, directories, files in os.walk(mount.path):
        inodes += [os.lstat(os.path.join(top, name)).st_ino for name in directories + files]
    assert len(inodes) == len(set(inodes)) == 13
    for entry in os.scandir(mount.path / 'INBOX'):
        assert entry.inode() == os.stat(entry.path).st_ino


def test_inodes_outlive_a_remount(mounts, scripted):
    server = scripted([fake.Folder('INBOX', [fake.sample_message(i) for i in range(20)])])
    home = mounts.home()

    def numbers():
        mount = mounts.plain(server.port, home=home)
        found = {path: os.stat(path).st_ino for path in compare.folder_files(mount.path / 'INBOX')}
        found['dir'] = os.stat(mount.path / 'INBOX').st_ino
        mount.stop()
        return found
    assert numbers() == numbers()


def test_new_cache_never_uses_a_number_again(mounts, scripted):
    server = scripted([fake.Folder('INBOX', [fake.sample_message(i) for i in range(20)])])
    home = mounts.home()
    seen = set()
    for round_number in range(3):
        mount = mounts.plain(server.port, [f'cache={home.base}/cache{round_number}'], home=home)
        numbers = {os.stat(path).st_ino for path in compare.folder_files(mount.path / 'INBOX')}
        assert len(numbers) == 20
        assert not numbers & seen
        seen |= numbers
        mount.stop()


def test_directory_mtime_and_listing_agree(small):
    mount, _ = small
    first = os.stat(mount.path / 'INBOX')
    assert sorted(os.listdir(mount.path / 'INBOX')) == sorted(os.listdir(mount.path / 'INBOX'))
    assert os.stat(mount.path / 'INBOX').st_mtime_ns == first.st_mtime_ns
    assert os.stat(mount.path / 'INBOX').st_nlink >= 1


def test_seekdir(small):
    """A directory read in small pieces and rewound gives every name once."""
    mount, _ = small
    run = subprocess.run(['/usr/bin/python3', '-c', SMALL_READS, mount.path / 'INBOX'],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ['10', '10']


SMALL_READS = '''
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
buffer = ctypes.create_string_buffer(400)
def names():
    found = []
    while True:
        size = libc.syscall(217, fd, buffer, 400)
        assert size >= 0, ctypes.get_errno()
        if size == 0:
            return [n for n in found if n not in (b".", b"..")]
        at = 0
        while at < size:
            length = struct.unpack_from("H", buffer.raw, at + 16)[0]
            found.append(buffer.raw[at + 19:at + length].split(b"\\0")[0])
            at += length
for _ in range(2):
    found = names()
    assert len(found) == len(set(found)), found
    print(len(found))
    os.lseek(fd, 0, os.SEEK_SET)
'''


# ---- statfs and mountinfo

@pytest.mark.parametrize('quota', [None, (1000, 5000)])
def test_statfs(mounts, scripted, quota):
    server = scripted([fake.Folder('INBOX')])
    if quota:
        server.quota = quota
    else:
        server.capabilities = server.capabilities.replace(' QUOTA', '')
    mount = mounts.plain(server.port)

    def free():
        info = os.statvfs(mount.path)
        return info.f_bavail * info.f_frsize, info.f_blocks * info.f_frsize
    if quota:
        mounting.wait_until(lambda: free() == (4000 * 1024, 5000 * 1024), what=f'quota, {free()}')
    else:
        assert free()[0] == TIB
    assert os.statvfs(mount.path).f_namemax == 255


def test_statfs_of_a_real_quota(mounts, dovecot_with):
    """The server's quota of 64 KiB."""
    account = dovecot_with().account('quota')
    mount = mounts.account(account)
    mounting.wait_until(
        lambda: os.statvfs(mount.path).f_blocks * os.statvfs(mount.path).f_frsize == 65536,
        what='quota of 64 KiB')


def test_mountinfo(small):
    mount, server = small
    entry = mounting.mount_entry(mount.path)
    assert entry['fstype'] == 'fuse.mailmount'
    assert entry['source'] == f'imap://alice@127.0.0.1:{server.port}' or \
        entry['source'].startswith('imap://alice@127.0.0.1')
    assert {'nosuid', 'nodev', 'noexec'} <= set(entry['options'])
    assert 'default_permissions' in entry['super']
    df = subprocess.run(['df', '--output=fstype,source,target', mount.path], capture_output=True,
                        text=True, check=True).stdout
    assert 'fuse.mailmount' in df and 'imap://alice@' in df and str(mount.path) in df


# ---- xattrs

def test_xattr_list(small):
    mount, _ = small
    names = set(os.listxattr(a_message(mount)))
    assert {'user.imap.flags', 'user.imap.uid', 'user.imap.uidvalidity', 'user.imap.internaldate',
            'user.imap.message-id', 'user.imap.mailbox', 'user.xdg.tags', 'user.mailmount.state',
            'user.mailmount.cached'} == names
    for name in names:
        os.getxattr(a_message(mount), name)


def test_xattr_errors(small):
    mount, server = small
    path = a_message(mount)
    os.stat(path)
    server.clear_log()
    for name in ('security.selinux', 'security.capability', 'system.posix_acl_access',
                 'trusted.overlay'):
        assert errno_of(os.getxattr, path, name) in ('EOPNOTSUPP', 'ENOTSUP'), name
    assert errno_of(os.getxattr, path, 'user.nothing') == 'ENODATA'
    assert errno_of(os.getxattr, mount.path / 'INBOX', 'user.nothing') == 'ENODATA'
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(1)
    encoded = os.fsencode(path)
    assert libc.getxattr(encoded, b'user.imap.mailbox', buffer, 1) == -1
    assert ctypes.get_errno() == errno.ERANGE
    assert libc.listxattr(encoded, buffer, 1) == -1
    assert ctypes.get_errno() == errno.ERANGE
    assert libc.getxattr(encoded, b'user.imap.mailbox', None, 0) == len('INBOX')
    assert server.commands() == []


def test_cached_xattr(small):
    mount, _ = small
    path = a_message(mount)
    assert compare.xattr(path, 'user.mailmount.cached') == 'none'
    open(path, 'rb').read()
    assert compare.xattr(path, 'user.mailmount.cached') == 'full'


# ---- writing

@both_ways
def test_everything_is_read_only(small):
    mount, server = small
    path = a_message(mount)
    inbox = mount.path / 'INBOX'
    here = str(inbox / 'new.eml')
    calls = {
        'open for writing': (os.open, path, os.O_WRONLY),
        'open for both': (os.open, path, os.O_RDWR),
        'open, cutting': (os.open, path, os.O_WRONLY | os.O_TRUNC),
        'open for reading, cutting': (os.open, path, os.O_RDONLY | os.O_TRUNC),
        'open, appending': (os.open, path, os.O_WRONLY | os.O_APPEND),
        'create': (os.open, here, os.O_CREAT | os.O_WRONLY, 0o600),
        'create exclusively': (os.open, here, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600),
        'unlink': (os.unlink, path),
        'rename': (os.rename, path, here),
        'rename over': (os.rename, path, compare.folder_files(mount.path / 'Work')[0]),
        'rename folder': (os.rename, mount.path / 'Work', mount.path / 'Play'),
        'mkdir': (os.mkdir, mount.path / 'Play'),
        'rmdir': (os.rmdir, mount.path / 'Work'),
        'truncate': (os.truncate, path, 0),
        'chmod': (os.chmod, path, 0o644),
        'chmod folder': (os.chmod, inbox, 0o755),
        'chown': (os.chown, path, 1, 1),
        'utime': (os.utime, path, (0, 0)),
        'link': (os.link, path, here),
        'symlink': (os.symlink, path, here),
        'mkfifo': (os.mkfifo, here),
        'mknod': (os.mknod, here),
        'setxattr flags': (os.setxattr, path, 'user.imap.flags', b'+\\Flagged'),
        'setxattr tags': (os.setxattr, path, 'user.xdg.tags', b'flagged'),
        'removexattr': (os.removexattr, path, 'user.xdg.tags'),
        'setxattr other': (os.setxattr, path, 'user.other', b'x'),
    }
    os.listdir(inbox)
    before = sorted(os.listdir(inbox)), os.stat(path)
    server.clear_log()
    wrong = {name: errno_of(*call) for name, call in calls.items()}
    wrong = {name: got for name, got in wrong.items() if got != 'EROFS'}
    assert wrong == {}
    assert (sorted(os.listdir(inbox)), os.stat(path)) == before
    assert not server.commands('STORE|APPEND|CREATE|DELETE|RENAME|COPY|MOVE|EXPUNGE|SELECT ')


TOOLS = {
    'cp': 'cp /etc/passwd new',
    'cp over': 'cp /etc/passwd "$message"',
    'mv': 'mv "$message" new.eml',
    'mv away': 'mv "$message" /tmp',
    'rm': 'rm "$message"',
    'rm -f': 'rm -f "$message"',
    'touch': 'touch new',
    'touch old': 'touch "$message"',
    'mkdir': 'mkdir new',
    'rmdir': 'rmdir ../Work',
    'append': 'echo x >>"$message"',
    'tee': 'echo x | tee "$message"',
    'sed': 'sed -i s/a/b/ "$message"',
    'ln': 'ln "$message" new',
    'ln -s': 'ln -s "$message" new',
    'chmod': 'chmod 777 "$message"',
    'truncate': 'truncate -s 0 "$message"',
    'dd': 'dd if=/dev/zero of="$message" bs=1 count=1 conv=notrunc',
    'setfattr': 'setfattr -n user.imap.flags -v x "$message"',
    'rsync': 'rsync /etc/passwd ./',
}


@both_ways
def test_tools_say_so(small):
    mount, _ = small
    inbox = mount.path / 'INBOX'
    environment = dict(os.environ, message=a_message(mount), LC_ALL='C')
    before = sorted(os.listdir(inbox)), open(a_message(mount), 'rb').read()
    wrong = {}
    for name, script in TOOLS.items():
        run = subprocess.run(['sh', '-c', script], cwd=inbox, env=environment, text=True,
                             capture_output=True, timeout=30)
        if run.returncode == 0 or 'Read-only file system' not in run.stderr:
            wrong[name] = run.returncode, run.stderr
    assert wrong == {}
    assert (sorted(os.listdir(inbox)), open(a_message(mount), 'rb').read()) == before


def test_access(small):
    mount, _ = small
    path = a_message(mount)
    assert os.access(path, os.R_OK)
    assert not os.access(path, os.X_OK)
    assert errno_of(os.execv, path, ['x']) in ('EACCES', 'EPERM')


# ---- names that desktops probe

PROBES = ['.Trash-1000', '.Trash', '.directory', '.hidden', '.git', '.gitignore', '.DS_Store',
          'desktop.ini', 'Thumbs.db', 'autorun.inf', '.xdg-volume-info', '.comments', '.bzr']


def test_probes_cost_nothing(small):
    mount, server = small
    os.listdir(mount.path / 'INBOX')
    os.listdir(mount.path / 'Work')
    server.clear_log()
    for directory in (mount.path, mount.path / 'INBOX', mount.path / 'Work'):
        for name in PROBES:
            assert errno_of(os.stat, directory / name) == 'ENOENT', name
    assert server.commands() == []


def test_probes_before_any_listing(mounts, scripted):
    """Not even in a folder that was never listed, on a server that has fallen silent."""
    server = scripted([fake.Folder('INBOX', [fake.sample_message(1)]),
                       fake.Folder('Quiet', [fake.sample_message(2)])])
    mount = mounts.plain(server.port)
    server.rule('EXAMINE "?Quiet', lambda session, tag, command: session.stall())
    server.clear_log()
    for name in PROBES:
        assert errno_of(os.stat, mount.path / 'Quiet' / name) == 'ENOENT', name
    assert server.commands('Quiet') == []


def test_dot_mailmount(small):
    mount, _ = small
    assert '.mailmount' not in os.listdir(mount.path)
    hidden = mount.path / '.mailmount'
    assert hidden.is_dir()
    assert len((hidden / 'README').read_text()) > 100
    for _ in range(2):
        text = (hidden / 'status.json').read_text()
        status = mounting.one_account(json.loads(text))
    assert status['state'] == 'online'
    assert {f['path'] for f in status['folders']} == {'INBOX', 'Work'}
    assert sorted(os.listdir(hidden)) == ['README', 'status.json']
    assert errno_of(os.stat, hidden / 'other') == 'ENOENT'
    assert errno_of(os.stat, mount.path / 'INBOX/.mailmount') == 'ENOENT'
    assert errno_of(open, hidden / 'README', 'a') == 'EROFS'
    assert errno_of(os.unlink, hidden / 'status.json') == 'EROFS'
    # the size holds for programs that believe it
    size = os.stat(hidden / 'README').st_size
    assert size == len((hidden / 'README').read_bytes())
    found = subprocess.run(['find', mount.path, '-name', '.mailmount', '-o', '-name', 'README'],
                           capture_output=True, text=True).stdout
    assert found == ''


def test_status_json_lives(small):
    """It is new at each open, also for programs that read the size first."""
    mount, _ = small
    path = mount.path / '.mailmount/status.json'

    def cached():
        return {f['path']: f['cached'] for f in
                mounting.one_account(json.loads(path.read_text()))['folders']}['INBOX']
    assert cached() == 0
    for number, message in enumerate(compare.folder_files(mount.path / 'INBOX'), 1):
        open(message, 'rb').read()
        assert cached() == number
    run = subprocess.run(['cat', path], capture_output=True, check=True)
    json.loads(run.stdout)
