"""Starting: exit codes, one clear line, nothing left; ways to start and to end."""
import json
import os
import pathlib
import re
import socket
import stat
import subprocess

import compare
import mount as mounting
import pytest
import scripted as fake


def refused(mount, code, *words, host='127.0.0.1'):
    """The command fails with this code, says why in one line, and leaves nothing."""
    result = mount.try_start()
    codes = code if isinstance(code, tuple) else (code,)
    assert result.code in codes, result
    lines = result.err.splitlines()
    assert len(lines) == 1, result.err
    assert result.out == ''
    if host:
        assert host in lines[0], lines[0]
    for word in words:
        assert re.search(word, lines[0], re.I), lines[0]
    assert 'pw-' not in lines[0]
    mount.check_gone()
    return lines[0]


def plain(mounts, server, options=(), password='pw-alice', **more):
    port = server if isinstance(server, int) else server.port
    return mounts.make(f'imap://alice@127.0.0.1:{port}', password, ['tls=none', *options], **more)


# ---- credentials

def test_wrong_password(mounts, backend):
    mount = mounts.make(f'imaps://alice@localhost:{backend.port + 1}', 'not-it')
    refused(mount, 3, 'login|password|auth', host='localhost')


def test_wrong_password_without_code(mounts, scripted):
    server = scripted()
    server.rule('LOGIN|AUTHENTICATE', lambda s, tag, c: f'{tag} NO no\r\n')
    refused(plain(mounts, server), 3)


def test_no_credential(mounts, scripted):
    server = scripted()
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', options=['tls=none', 'passcmd=x'])
    mount.options = ['tls=none']
    refused(mount, 3, 'password|credential', host=None)


def test_passcmd(mounts, scripted):
    """Split by shell quoting, without a shell; a comma is \\, inside -o."""
    server = scripted([fake.Folder('INBOX')], password='a b,c"d')
    home = mounts.home()
    secret = home.base / 'my secret, really'
    secret.write_text('a b,c"d\nsecond line\n')
    for command in (f"cat '{secret}'", f'cat "{secret}"',
                    'cat ' + str(secret).replace(' ', '\\ ')):
        mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', home=home,
                            options=['tls=none', f'passcmd={command}'])
        mount.start().stop()


@pytest.mark.parametrize('command', ['false', '/nonexistent/program', 'true', 'echo wrong',
                                     "echo 'not closed", 'sh -c "echo pw-alice; exit 3"'])
def test_bad_passcmd(mounts, scripted, command):
    server = scripted()
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}',
                        options=['tls=none', f'passcmd={command}'])
    refused(mount, (2, 3), host=None)


def test_passcmd_has_no_shell(mounts, scripted):
    server = scripted()
    home = mounts.home()
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', home=home,
                        options=['tls=none', f'passcmd=echo pw-alice; touch {home.base}/oops'])
    refused(mount, 3, host=None)
    assert not (home.base / 'oops').exists()


def test_passfile_that_others_may_read(mounts, scripted):
    server = scripted()
    mount = plain(mounts, server)
    (mount.home.base / 'password').chmod(0o644)
    refused(mount, (2, 3), 'password', host=None)


def test_missing_passfile(mounts, scripted):
    server = scripted()
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}',
                        options=['tls=none', 'passfile=/nonexistent/file'])
    refused(mount, (2, 3), '/nonexistent/file', host=None)


def test_no_secret_shows(mounts, scripted):
    """Neither command lines nor environment nor log nor files hold the password."""
    server = scripted([fake.Folder('INBOX')], password='very-secret-word')
    mount = mounts.plain(server.port, ['passcmd=echo very-secret-word'], password='x')
    mount.stop()
    mount = mounts.make(f'imap://alice@127.0.0.1:{server.port}', 'very-secret-word', ['tls=none'],
                        flags=['-d']).start_foreground()
    os.listdir(mount.path / 'INBOX')
    for pid in mount.pids():
        for name in ('cmdline', 'environ'):
            assert b'very-secret-word' not in pathlib.Path('/proc', str(pid), name).read_bytes()
    for path in mount.home.base.rglob('*'):
        if path.is_file() and path.name != 'password' and mount.path not in path.parents:
            assert b'very-secret-word' not in path.read_bytes(), path


# ---- the network

def test_connection_refused(mounts):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        port = listener.getsockname()[1]
    refused(plain(mounts, port), 4, 'refused|connect')


def test_unknown_host(mounts):
    mount = mounts.make('imaps://alice@no-such-host.invalid')
    refused(mount, 4, host='no-such-host.invalid')


def test_silent_server(mounts):
    """It accepts and never speaks."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        refused(plain(mounts, listener.getsockname()[1], ['timeout=2']), 4, 'no answer|time')


GREETINGS = {
    'BYE': b'* BYE too many connections\r\n',
    'garbage': b'\x00\xff\xfe garbage \x01\r\nmore of it\r\n' * 50,
    'HTTP': b'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n',
    'nothing': b'',
    'long line': b'* OK ' + b'x' * (8 << 20),
    'parentheses': b'* OK [CAPABILITY ' + b'(' * 20000 + b')' * 20000 + b'] x\r\n',
    'literal': b'* OK {4294967295}\r\n' + b'x' * 100000,
    'empty lines': b'\r\n' * 10000,
    'NO': b'* NO not today\r\n',
    'PERMANENTFLAGS': b'* OK [PERMANENTFLAGS (()] x\r\n',
}


@pytest.mark.parametrize('what', GREETINGS)
def test_bad_greeting(mounts, scripted, what):
    server = scripted(greeting=GREETINGS[what])
    server.ends_after_greeting = what in ('nothing', 'BYE')
    server.rule('', lambda session, tag, command: session.shut())
    line = refused(plain(mounts, server, ['timeout=3']), 4)
    assert len(line) < 1000 and line.isprintable()
    if what == 'BYE':
        assert 'too many connections' in line


@pytest.mark.parametrize('what', ['NO', 'BAD', 'BYE', 'close', 'silence'])
@pytest.mark.parametrize('command', ['CAPABILITY', 'LIST', 'NAMESPACE'])
def test_bad_answer_before_the_mount(mounts, scripted, what, command):
    """A listing of folders that fails is no mount; NAMESPACE and CAPABILITY may be refused."""
    server = scripted([fake.Folder('INBOX')], login_capabilities=None)
    if command == 'CAPABILITY':
        server.rule('LOGIN|AUTHENTICATE', accept_without_capability)
    actions = {'NO': lambda s, tag, c: f'{tag} NO no\r\n', 'BAD': lambda s, tag, c: f'{tag} BAD no\r\n',
               'BYE': bye, 'close': lambda s, tag, c: s.shut(), 'silence': lambda s, tag, c: s.stall()}
    server.rule('^' + command, actions[what])
    mount = plain(mounts, server, ['timeout=2'])
    if what in ('NO', 'BAD') and command != 'LIST':
        result = mount.try_start()
        assert result.code in (0, 1, 4), result
        if result.code == 0:
            mount.stop()
        return
    refused(mount, (1, 4) if what in ('NO', 'BAD') else 4)


def accept_without_capability(session, tag, command):
    if command.upper().startswith('AUTHENTICATE') and len(command.split()) < 3:
        session.line('+ ')
        session.read_line()
    session.logged_in = True
    return f'{tag} OK welcome\r\n'


def bye(session, tag, command):
    session.line('* BYE going down')
    session.shut()


# ---- TLS

BAD_CERTIFICATES = ['expired', 'future', 'wronghost', 'cnonly', 'selfsigned']


@pytest.mark.parametrize('tls', ['implicit', 'starttls'])
@pytest.mark.parametrize('name', BAD_CERTIFICATES)
def test_bad_certificate(mounts, scripted, pki, tls, name):
    server = scripted([fake.Folder('INBOX')], tls=tls, cert=pki / f'{name}.pem',
                      key=pki / f'{name}.key')
    scheme = 'imaps' if tls == 'implicit' else 'imap'
    mount = mounts.make(f'{scheme}://alice@localhost:{server.port}')
    refused(mount, 5, 'certificate|tls', host='localhost')
    assert server.commands('LOGIN|AUTHENTICATE') == []


def test_other_authority(mounts, scripted, pki):
    server = scripted([fake.Folder('INBOX')], tls='implicit')
    url = f'imaps://alice@localhost:{server.port}'
    refused(mounts.make(url, ca=pki / 'otherca.pem'), 5, 'certificate', host='localhost')
    # the system's own do not know it either
    mount = mounts.make(url)
    mount.options = [option for option in mount.options if not option.startswith('cafile')]
    refused(mount, 5, 'certificate', host='localhost')


@pytest.mark.parametrize('content', [None, '', 'not a certificate\n'])
def test_bad_cafile(mounts, scripted, content):
    server = scripted([fake.Folder('INBOX')], tls='implicit')
    home = mounts.home()
    bundle = home.base / 'bundle.pem'
    if content is not None:
        bundle.write_text(content)
    refused(mounts.make(f'imaps://alice@localhost:{server.port}', ca=bundle, home=home), (2, 5),
            host=None)
    assert server.commands('LOGIN|AUTHENTICATE') == []


@pytest.mark.parametrize('tls', ['implicit', 'starttls'])
@pytest.mark.parametrize('host', ['localhost', '127.0.0.1'])
def test_good_certificate(mounts, scripted, tls, host):
    server = scripted([fake.Folder('INBOX', [fake.sample_message(1)])], tls=tls)
    names = []
    server.context.sni_callback = lambda connection, name, context: names.append(name)
    scheme = 'imaps' if tls == 'implicit' else 'imap'
    mount = mounts.make(f'{scheme}://alice@{host}:{server.port}').start()
    assert len(os.listdir(mount.path / 'INBOX')) == 1
    # a name is sent, an address never (RFC 6066)
    assert set(names) == ({'localhost'} if host == 'localhost' else {None})


def test_plain_text_where_tls_is_expected(mounts, scripted):
    server = scripted([fake.Folder('INBOX')])
    refused(mounts.make(f'imaps://alice@localhost:{server.port}', options=['timeout=3']), (4, 5),
            host='localhost')
    assert server.commands('LOGIN|AUTHENTICATE') == []


STARTTLS_FAULTS = {
    'not offered': None,
    'NO': lambda s, tag, c: f'{tag} NO not now\r\n',
    'BAD': lambda s, tag, c: f'{tag} BAD what\r\n',
    'injected': lambda s, tag, c: f'{tag} OK begin\r\n* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n',
    'OK and no handshake': lambda s, tag, c: f'{tag} OK begin\r\n',
}


@pytest.mark.parametrize('what', STARTTLS_FAULTS)
def test_starttls_is_required(mounts, scripted, what):
    server = scripted([fake.Folder('INBOX')], tls='starttls')
    if what == 'not offered':
        server.tls = 'none'
    else:
        server.rule('STARTTLS', STARTTLS_FAULTS[what])
    mount = mounts.make(f'imap://alice@localhost:{server.port}', options=['timeout=2'])
    refused(mount, (4, 5) if what == 'OK and no handshake' else 5, host='localhost')
    assert server.commands('LOGIN|AUTHENTICATE') == []


def test_preauth_aborts(mounts, scripted):
    server = scripted(tls='starttls', greeting=b'* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n')
    refused(mounts.make(f'imap://alice@localhost:{server.port}'), 5, host='localhost')
    assert server.commands('LIST|LOGIN|AUTHENTICATE') == []


def test_capabilities_before_tls_are_forgotten(mounts, scripted):
    """What plain text promised (here LOGINDISABLED, later no AUTH) does not count."""
    server = scripted([fake.Folder('INBOX')], tls='starttls')
    server.greeting = b'* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED XLIE] hello\r\n'
    mounts.make(f'imap://alice@localhost:{server.port}').start()
    log = server.commands()
    assert 'CAPABILITY' in [line.strip() for line in log[log.index('STARTTLS'):]]


def test_plain_text_needs_loopback(mounts):
    for url in ('imap://alice@192.0.2.1', 'imap://alice@mail.example.invalid'):
        mount = mounts.make(url, options=['tls=none'])
        refused(mount, 2, 'tls=none', host=None)


# ---- mechanisms

@pytest.mark.parametrize('mechanism', ['', 'plain', 'login', 'cram-md5', 'scram-sha-1',
                                       'scram-sha-256'])
def test_mechanisms(mounts, dovecot_with, mechanism):
    server = dovecot_with(mech='plain login cram-md5 scram-sha-1 scram-sha-256')
    mounts.account(server.new_account(), [f'auth={mechanism}'] if mechanism else [])


def test_mechanism_not_offered(mounts, dovecot):
    refused(mounts.make(dovecot.new_account().url(), options=['auth=scram-sha-256']), 3,
            'scram-sha-256', host='localhost')


def test_odd_password(mounts, dovecot):
    mount = mounts.account(dovecot.account('weird', 'p"a\\s s{3}wörd%'))
    assert 'INBOX' in os.listdir(mount.path)


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
