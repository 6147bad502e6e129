"""Push: with the poll out of reach, IDLE and NOTIFY alone show what another client does."""
import os

import compare
import mount as mounting
import pytest
import samples

WITHIN = 60      # a hang limit
BASIC = 'IMAP4rev1 LITERAL+ NAMESPACE UIDPLUS UNSELECT ESEARCH LIST-STATUS LIST-EXTENDED ENABLE'
DELTA = ' CONDSTORE QRESYNC'


def names(directory):
    return sorted(os.listdir(directory))


def see_changes(mount, imap, folder):
    """New mail, a flag and an expunge of another client, in this order."""
    directory = mount.path / folder
    before = names(directory)
    imap.append(folder, samples.ODD['empty body'], '', samples.DATE)
    mounting.wait_until(lambda: len(names(directory)) == len(before) + 1, WITHIN, 0.02, 'new mail')
    new = directory / (set(names(directory)) - set(before)).pop()
    assert new.read_bytes() == samples.ODD['empty body']
    uid = compare.xattr(new, 'user.imap.uid')
    imap.store(folder, uid, '\\Flagged')
    mounting.wait_until(lambda: 'Flagged' in compare.xattr(new, 'user.imap.flags'), WITHIN, 0.02,
                        'the flag')
    imap.expunge(folder, uid)
    mounting.wait_until(lambda: not new.exists(), WITHIN, 0.02, 'the expunge')
    assert names(directory) == before


def watched(mounts, account, connections, folders):
    for folder in folders:
        account.fill(folder, count=5)
    mount = mounts.account(account, ['poll=86400', f'connections={connections}'])
    for folder in folders:
        assert len(names(mount.path / folder)) == 5
    # The watcher opens INBOX, or sets NOTIFY, when it has nothing else to do.
    mounting.wait_until(lambda: mount.status()['state'] == 'online', WITHIN)
    return mount


@pytest.mark.parametrize('connections', [2, 3, 4])
def test_notify_tells_of_every_folder(mounts, account, connections):
    mount = watched(mounts, account, connections, ['INBOX', 'Work/2026'])
    imap = account.client()
    for folder in ('Work/2026', 'INBOX', 'Work/2026'):
        see_changes(mount, imap, folder)
    imap.create('Fresh')
    mounting.wait_until(lambda: 'Fresh' in names(mount.path), WITHIN, 0.05, 'the new folder')
    imap.ok(imap.imap.delete('Fresh'))
    mounting.wait_until(lambda: 'Fresh' not in names(mount.path), WITHIN, 0.05, 'the deleted one')
    imap.close()


@pytest.mark.parametrize('caps', [BASIC + DELTA + ' IDLE', BASIC + ' CONDSTORE IDLE',
                                  BASIC + ' IDLE'], ids=['qresync', 'condstore', 'neither'])
@pytest.mark.parametrize('connections', [1, 2, 4])
def test_idle_tells_of_the_inbox(mounts, dovecot_with, connections, caps):
    account = dovecot_with(caps=caps).new_account()
    mount = watched(mounts, account, connections, ['INBOX'])
    imap = account.client()
    for _ in range(3):
        see_changes(mount, imap, 'INBOX')
    imap.close()


def test_idle_on_cyrus(mounts, cyrus):
    account = cyrus.new_account()
    mount = watched(mounts, account, 3, ['INBOX'])
    imap = account.client()
    see_changes(mount, imap, 'INBOX')
    imap.close()


def test_one_connection_watches_and_works(mounts, account):
    """IDLE ends at once when the user wants something, and begins again."""
    account.fill('INBOX', 'Other', count=10)
    mount = mounts.account(account, ['poll=86400', 'connections=1'])
    imap = account.client()
    assert len(names(mount.path / 'INBOX')) == 10
    for path in compare.folder_files(mount.path / 'Other'):
        with open(path, 'rb') as file:
            assert file.read()
    see_changes(mount, imap, 'INBOX')
    imap.close()


def test_watcher_comes_back(mounts, dovecot_with):
    """The server closes the watching connection: another one is made, and nothing is missed."""
    server = dovecot_with(caps=BASIC + DELTA + ' IDLE')
    account = server.new_account()
    mount = watched(mounts, account, 2, ['INBOX'])
    imap = account.client()
    see_changes(mount, imap, 'INBOX')
    server.doveadm('kick', account.user)
    imap = account.client()
    see_changes(mount, imap, 'INBOX')
    imap.close()
