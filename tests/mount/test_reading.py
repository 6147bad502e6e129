"""When bodies come over the wire and when not; the cache; tools that read whole trees."""
import json
import os
import pathlib
import subprocess
import tarfile

import compare
import mount as mounting
import pytest
import scripted as fake


def run(*command, **more):
    result = subprocess.run([os.fspath(word) for word in command], capture_output=True, **more)
    assert result.returncode == 0, (command, result.stderr)
    return result.stdout


def many(count, size=300):
    return [fake.sample_message(i, size=size) for i in range(count)]


@pytest.fixture
def two(mounts, scripted):
    server = scripted([fake.Folder('INBOX', many(60)), fake.Folder('Work/Old', many(30, 5000))])
    return mounts.plain(server.port), server


def by_uid(directory):
    return {int(compare.xattr(path, 'user.imap.uid')): path
            for path in compare.folder_files(directory)}


def test_listing_downloads_no_body(two):
    mount, server = two
    listed = run('ls', '-lR', mount.path).decode()
    assert listed.count('.eml') == 90
    found = run('find', mount.path, '-name', '*.eml', '-size', '+2k', '-newermt', '2000-01-01')
    assert found.count(b'\n') == 30
    run('du', '-s', '--apparent-size', mount.path)
    for path in compare.folder_files(mount.path / 'INBOX'):
        for name in os.listxattr(path):
            os.getxattr(path, name)
    assert server.body_fetches() == []
    assert mount.status()['bodies_fetched'] == 0


def test_listing_a_real_server_downloads_no_body(mounts, account, proxied):
    account.fill('INBOX', count=300)
    proxy = proxied(account.server.port)
    mount = mounts.plain(proxy.port, user=account.user, password=account.password)
    assert run('ls', '-lR', mount.path).count(b'.eml') == 300
    run('find', mount.path, '-size', '+1k')
    assert proxy.bodies == 0
    path = compare.folder_files(mount.path / 'INBOX')[0]
    open(path, 'rb').read()
    assert proxy.bodies == 1
    assert mount.status()['bodies_fetched'] == 1


def test_second_listing_costs_nothing(two):
    mount, server = two
    run('ls', '-lR', mount.path)
    server.clear_log()
    run('ls', '-lR', mount.path)
    assert server.commands('FETCH|EXAMINE') == []


def test_opening_one_reads_one(two):
    mount, server = two
    path = by_uid(mount.path / 'INBOX')[17]
    data = pathlib.Path(path).read_bytes()
    assert data == server.folder('INBOX').messages[16].data
    assert len(server.body_fetches()) == 1
    pathlib.Path(path).read_bytes()
    assert len(server.body_fetches()) == 1


def test_two_readers_fetch_once(two, job):
    """Two programs that open the same message at once wait for one download."""
    mount, server = two
    path = by_uid(mount.path / 'INBOX')[5]
    server.rule(r'UID FETCH .*BODY(\.PEEK)?\[\]', lambda s, t, c: s.stall(0.5))
    readers = [job('cat', path) for _ in range(6)]
    for reader in readers:
        code, out, err = reader.result()
        assert (code, out) == (0, server.folder('INBOX').messages[4].data), err
    assert len(server.body_fetches()) == 1


def test_counters(two):
    mount, server = two
    run('ls', '-lR', mount.path)
    before = mount.status()
    for path in compare.folder_files(mount.path / 'Work/Old'):
        open(path, 'rb').read()
    after = mount.status()
    assert after['bodies_fetched'] - before['bodies_fetched'] == 30
    assert after['bytes_down'] - before['bytes_down'] > 30 * 5000
    assert after['bytes_up'] > before['bytes_up']
    assert after['commands'] > before['commands']
    folder = mount.folder_status('Work/Old')
    assert (folder['messages'], folder['cached'], folder['listed']) == (30, 30, True)


# ---- the cache

def test_cached_read_needs_no_network(two):
    mount, server = two
    path = by_uid(mount.path / 'INBOX')[3]
    data = pathlib.Path(path).read_bytes()
    server.stop()
    run('dd', f'if={path}', 'of=/dev/null', 'iflag=nocache')
    assert pathlib.Path(path).read_bytes() == data
    assert len(os.listdir(mount.path / 'INBOX')) == 60


def test_remount_reads_from_the_cache(mounts, scripted):
    server = scripted([fake.Folder('INBOX', many(40))])
    home = mounts.home()
    mount = mounts.plain(server.port, home=home)
    contents = {path: pathlib.Path(path).read_bytes()
                for path in compare.folder_files(mount.path / 'INBOX')}
    mount.stop()
    server.clear_log()
    mount = mounts.plain(server.port, home=home)
    assert {path: pathlib.Path(path).read_bytes()
            for path in compare.folder_files(mount.path / 'INBOX')} == contents
    assert server.body_fetches() == []
    assert mount.folder_status('INBOX')['cached'] == 40


def test_a_lost_cache_is_rebuilt(mounts, scripted):
    server = scripted([fake.Folder('INBOX', many(40))])
    home = mounts.home()
    mount = mounts.plain(server.port, home=home)
    names = sorted(os.listdir(mount.path / 'INBOX'))
    mount.stop()
    run('rm', '-rf', home.base / 'cache')
    (home.base / 'cache').mkdir(mode=0o700)
    mount = mounts.plain(server.port, home=home)
    assert sorted(os.listdir(mount.path / 'INBOX')) == names


@pytest.mark.parametrize('damage', ['zeros', 'cut', 'garbage'])
def test_a_damaged_cache_is_rebuilt(mounts, scripted, damage):
    server = scripted([fake.Folder('INBOX', many(40))])
    home = mounts.home()
    mount = mounts.plain(server.port, home=home)
    messages = {message.uid: message.data for message in server.folder('INBOX').messages}
    for path in compare.folder_files(mount.path / 'INBOX'):
        pathlib.Path(path).read_bytes()
    mount.stop()
    files = [path for path in home.base.glob('cache/**/*') if path.is_file()]
    assert files
    for path in files:
        data = bytearray(path.read_bytes())
        if damage == 'zeros':
            data[100:] = bytes(len(data) - 100)
        elif damage == 'cut':
            data = data[:len(data) // 3]
        else:
            data[200:] = os.urandom(max(0, len(data) - 200))
        path.write_bytes(data)
    mount = mounts.plain(server.port, home=home)
    got = {uid: pathlib.Path(path).read_bytes()
           for uid, path in by_uid(mount.path / 'INBOX').items()}
    assert got == messages


def disk_use(path):
    return int(run('du', '-s', '-B1', path).split()[0])


def test_cache_size_is_kept(mounts, scripted):
    """30 MB read through a cache of 4 MB."""
    server = scripted([fake.Folder('INBOX', many(60, 500000))])
    mount = mounts.plain(server.port, ['cache_size=4M'])
    before = disk_use(mount.home.base / 'cache')
    peak = 0
    for uid, path in sorted(by_uid(mount.path / 'INBOX').items()):
        assert pathlib.Path(path).read_bytes() == server.folder('INBOX').messages[uid - 1].data
        peak = max(peak, disk_use(mount.home.base / 'cache'))
    # one message beside those that are kept is allowed for: it is being read
    assert peak - before < (4 << 20) + (1 << 20)
    assert 0 < mount.folder_status('INBOX')['cached'] < 10
    # what has been thrown away is read again
    for uid in (1, 30, 60):
        path = by_uid(mount.path / 'INBOX')[uid]
        assert pathlib.Path(path).read_bytes() == server.folder('INBOX').messages[uid - 1].data


def test_open_files_survive_eviction(mounts, scripted):
    server = scripted([fake.Folder('INBOX', many(30, 500000))])
    mount = mounts.plain(server.port, ['cache_size=2M'])
    paths = by_uid(mount.path / 'INBOX')
    with open(paths[1], 'rb', buffering=0) as file:
        begin = file.read(1000)
        for uid in range(2, 31):
            run('cat', paths[uid])
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        rest = b''
        while True:
            piece = file.read(65536)
            if not piece:
                break
            rest += piece
    assert begin + rest == server.folder('INBOX').messages[0].data


def test_message_larger_than_the_cache(mounts, scripted):
    server = scripted([fake.Folder('INBOX', many(2, 3000000))])
    mount = mounts.plain(server.port, ['cache_size=1M'])
    for uid, path in by_uid(mount.path / 'INBOX').items():
        assert pathlib.Path(path).read_bytes() == server.folder('INBOX').messages[uid - 1].data


def test_large_message_in_constant_memory(mounts, account, sanitized):
    """50 MB; the daemon's peak hardly moves."""
    imap = account.client()
    line = b'0123456789abcdefghijklmnopqrstuvwxyz' * 2 + b'\r\n'
    data = fake.sample_message(1) + line * (50_000_000 // len(line))
    imap.append('INBOX', fake.sample_message(0))
    imap.append('INBOX', data)
    imap.close()
    mount = mounts.account(account)
    paths = by_uid(mount.path / 'INBOX')
    assert pathlib.Path(paths[1]).stat().st_size < 1000
    pathlib.Path(paths[1]).read_bytes()
    before = mount.peak_memory()
    assert pathlib.Path(paths[2]).read_bytes() == data
    if not sanitized:
        assert mount.peak_memory() - before < 16 << 20
        assert mount.peak_memory() < 64 << 20


@pytest.mark.root
def test_disk_full_in_the_cache(mounts, scripted):
    """Reads go on uncached when the cache's disk is full."""
    server = scripted([fake.Folder('INBOX', many(20, 400000))])
    home = mounts.home()
    small = home.base / 'small'
    small.mkdir()
    run('mount', '-t', 'tmpfs', '-o', 'size=3m', 'none', small)
    try:
        mount = mounts.plain(server.port, [f'cache={small}/c'], home=home)
        for uid, path in sorted(by_uid(mount.path / 'INBOX').items()):
            assert pathlib.Path(path).read_bytes() == server.folder('INBOX').messages[uid - 1].data
        mount.stop()
    finally:
        run('umount', '-l', small)


# ---- random access

def test_parts_of_a_message(two):
    mount, server = two
    data = server.folder('Work/Old').messages[0].data
    path = by_uid(mount.path / 'Work/Old')[1]
    assert run('head', '-c', '100', path) == data[:100]
    assert run('tail', '-c', '100', path) == data[-100:]
    with open(path, 'rb', buffering=0) as file:
        for offset in (0, 1, 4095, 4096, len(data) - 1, len(data), len(data) + 5000):
            assert os.pread(file.fileno(), 777, offset) == data[offset:offset + 777]
    code = ('import mmap,sys;f=open(sys.argv[1],"rb");'
            'm=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ);sys.stdout.buffer.write(m[:])')
    assert run('/usr/bin/python3', '-c', code, path) == data


# ---- programs

@pytest.fixture
def filled(mounts, account):
    account.fill('INBOX', 'Work', 'Work/Old', count=60)
    imap = account.client()
    contents = {}
    for raw in ('INBOX', 'Work', 'Work/Old'):
        names = compare.expected_names(messages := imap.messages(raw))
        contents.update({f'{raw}/{names[uid]}': m for uid, m in messages.items()})
    imap.close()
    return mounts.account(account), contents


def equal_copy(directory, contents, times=True):
    copied = {os.path.relpath(os.path.join(top, name), directory): os.path.join(top, name)
              for top, _, files in os.walk(directory) for name in files}
    assert sorted(copied) == sorted(contents)
    for name, path in copied.items():
        assert pathlib.Path(path).read_bytes() == contents[name].data
        if times:
            assert int(os.stat(path).st_mtime) == contents[name].internaldate


def test_cp(filled, tmp_path):
    mount, contents = filled
    run('cp', '-a', mount.path / '.', tmp_path / 'copy')
    equal_copy(tmp_path / 'copy', contents)


def test_tar(filled, tmp_path):
    mount, contents = filled
    run('tar', '-C', mount.path, '-cf', tmp_path / 'mail.tar', '.')
    with tarfile.open(tmp_path / 'mail.tar') as archive:
        files = {m.name[2:]: m for m in archive.getmembers() if m.isfile()}
        assert sorted(files) == sorted(contents)
        for name, member in files.items():
            assert archive.extractfile(member).read() == contents[name].data
            assert int(member.mtime) == contents[name].internaldate


def test_rsync(filled, tmp_path, need_tool):
    need_tool('rsync')
    mount, contents = filled
    run('rsync', '-a', f'{mount.path}/', tmp_path / 'copy')
    equal_copy(tmp_path / 'copy', contents)
    again = run('rsync', '-ai', '--checksum', f'{mount.path}/', tmp_path / 'copy')
    assert b'.eml' not in again


def test_grep(filled, need_tool):
    need_tool('rg')
    mount, contents = filled
    word = b'Person 17 '
    expected = sorted(name for name, m in contents.items() if word in m.data)
    assert expected
    for command in (['grep', '-rl'], ['rg', '-l', '--no-ignore']):
        out = run(*command, word.decode(), '.', cwd=mount.path).decode().splitlines()
        assert sorted(line.removeprefix('./') for line in out) == expected
    out = run('grep', '-rl', '--include=*.eml', 'From', mount.path)
    assert out.count(b'\n') == len(contents)


def test_find_exec(filled):
    mount, contents = filled
    out = run('find', mount.path, '-type', 'f', '-exec', 'sha256sum', '{}', '+')
    assert out.count(b'\n') == len(contents)
    out = run('find', mount.path, '-type', 'f', '-links', '1', '-readable', '-not', '-writable')
    # root may write everywhere as far as access() knows, but the file system is read-only
    assert out.count(b'\n') in (0, len(contents))


def test_status_text(filled):
    mount, contents = filled
    for words in (['status'], ['status', mount.path]):
        result = mount.verb(*words)
        assert result.code == 0, result.err
        assert 'online' in result.out
        for path in ('INBOX', 'Work', 'Work/Old'):
            assert path in result.out
        assert str(mount.path) in result.out
    data = json.loads(mount.verb('status', '--json', mount.path).out)
    account = mounting.one_account(data)
    for key in ('account', 'mountpoint', 'state', 'connections', 'bytes_down', 'bytes_up',
                'commands', 'bodies_fetched', 'folders'):
        assert key in account, key
    assert account['mountpoint'] == str(mount.path)
