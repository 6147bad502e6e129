"""With a cache the mount point answers before the login; the command waits for its outcome."""
import os
import signal
import socket
import subprocess

import mount as mounting
import pytest
import scripted as fake

WITHIN = 30


def waiting_command(mount):
    """The mount command, not yet ended."""
    return subprocess.Popen(mount.command(), env=mount.home.environment(), cwd='/',
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, start_new_session=True)


def outcome(command, timeout=60):
    _, err = command.communicate(timeout=timeout)
    return command.returncode, err


@pytest.fixture
def cached(mounts, scripted):
    """An account whose INBOX has been listed, Other not; not mounted.  Returns its server and a
    function that makes mounts of it."""
    server = scripted([fake.Folder('INBOX', [fake.sample_message(n) for n in range(1, 4)]),
                       fake.Folder('Other', [fake.sample_message(9)])])
    home = mounts.home()

    def make(port=server.port, options=()):
        # The same account, also behind another port: the cache is found by its directory.
        return mounts.make(f'imap://alice@127.0.0.1:{port}', home=home,
                           options=['tls=none', f'cache={home.base}/c', f'state={home.base}/s',
                                    *options])
    mount = make().start()
    assert len(os.listdir(mount.path / 'INBOX')) == 3
    mount.stop()
    return server, make


def answers(mount):
    mounting.wait_until(lambda: mounting.mount_entry(mount.path), WITHIN, 0.01, 'mounted')
    assert sorted(os.listdir(mount.path)) == ['INBOX', 'Other']
    assert len(os.listdir(mount.path / 'INBOX')) == 3


def slow_login(server):
    """Logins wait until the test says so."""
    server.rule('LOGIN|AUTHENTICATE', lambda session, tag, command: session.stall())


def test_answers_while_the_server_says_nothing(cached):
    server, make = cached
    server.stop()
    with socket.create_server(('127.0.0.1', server.port)):     # accepts, and no more
        mount = make(options=['timeout=4'])
        command = waiting_command(mount)
        answers(mount)
        assert command.poll() is None, 'it did not wait for the login'
        assert mount.status()['state'] == 'starting'
        code, err = outcome(command)
    assert code == 0, err
    assert 'offline' in err and len(err.splitlines()) == 1, err
    answers(mount)
    mount.stop()


def test_answers_while_the_login_takes_long(cached, job):
    """What is not cached waits for the login, and gets it."""
    server, make = cached
    slow_login(server)
    mount = make()
    command = waiting_command(mount)
    answers(mount)
    listing = job('ls', mount.path / 'Other')
    assert listing.waits(0.5)
    assert command.poll() is None
    server.drop_rules()
    server.release.set()
    assert outcome(command) == (0, '')
    code, out, err = listing.result()
    assert code == 0 and len(out.split()) == 1, err
    mounting.wait_until(lambda: mount.status()['state'] == 'online', WITHIN)
    mount.stop()


@pytest.mark.parametrize('what, code', [('password', 3), ('certificate', 5)])
def test_refusal_ends_the_mount_again(cached, mounts, scripted, pki, what, code):
    server, make = cached
    if what == 'password':
        server.password = 'another'
        mount = make()
    else:
        bad = scripted([fake.Folder('INBOX')], tls='implicit', cert=pki / 'expired.pem',
                       key=pki / 'expired.key')
        bad.context.load_cert_chain(pki / 'good.pem', pki / 'good.key')
        home = mounts.home()
        mount = mounts.make(f'imaps://alice@localhost:{bad.port}', home=home).start()
        mount.stop()
        bad.context.load_cert_chain(pki / 'expired.pem', pki / 'expired.key')
    result = mount.try_start()
    assert result.code == code, result
    assert len(result.err.splitlines()) == 1
    mount.check_gone()


def test_offline_option_does_not_ask(cached):
    server, make = cached
    server.password = 'another'
    mount = make(options=['offline']).start()
    answers(mount)
    mount.stop()


def test_interrupted_command_leaves_nothing(cached):
    """Ctrl-C while the command waits, though the mount point answers already."""
    server, make = cached
    slow_login(server)
    mount = make()
    command = waiting_command(mount)
    answers(mount)
    command.send_signal(signal.SIGINT)
    assert outcome(command)[0] != 0
    mount.check_gone()


@pytest.mark.parametrize('how', ['fusermount', 'verb', 'sigterm'])
def test_unmounted_while_the_login_is_under_way(cached, how):
    server, make = cached
    slow_login(server)
    mount = make()
    command = waiting_command(mount)
    answers(mount)
    if how == 'sigterm':
        for pid in set(mount.pids()) - {command.pid}:
            os.kill(pid, signal.SIGTERM)
    elif how == 'verb':
        assert mount.verb('unmount', mount.path).code == 0
    else:
        subprocess.run(['fusermount3', '-u', mount.path], check=True)
    code, err = outcome(command)
    assert code != 0 and len(err.splitlines()) == 1, (code, err)
    mount.check_gone()
