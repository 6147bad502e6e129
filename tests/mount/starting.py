"""Mounts that are refused: what test_start.py and test_daemon.py share."""
import re


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
