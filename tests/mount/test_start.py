"""Starting: credentials, the network, TLS.  Exit codes, one clear line, nothing left."""
import os
import pathlib
import socket

import pytest
import scripted as fake
from starting import plain, refused


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
    actions = {'NO': lambda s, tag, c: f'{tag} NO no\r\n',
               'BAD': lambda s, tag, c: f'{tag} BAD no\r\n',
               'BYE': bye,
               'close': lambda s, tag, c: s.shut(),
               'silence': lambda s, tag, c: s.stall()}
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
