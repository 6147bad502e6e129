"""Runs programs with a time limit and finds what they leave behind: processes and mounts."""
import ctypes
import glob
import os
import re
import signal
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """From now on, what a program leaves behind becomes our child."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(command, log, timeout, env, cwd):
    """The exit status, or None after the time-out.  The output goes to the file `log`."""
    with open(log, 'wb') as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=cwd,
            env={**os.environ, **env},
            start_new_session=True,
        )
        try:
            status = wait_and_reap(process, timeout)
            if status is None:
                end_group(process)
                file.seek(0, os.SEEK_END)
                file.write(f'\ntime-out after {timeout} s\n'.encode())
        except BaseException:
            end_group(process)
            raise
    return status


def remove_leftovers(mounts_before):
    """Ends processes and mounts that were left behind, and names them."""
    found = []
    time.sleep(0.2)
    for pid, name in children():
        found.append(f'process {name} left behind')
        end_process(pid)
    for directory in mounts() - mounts_before:
        found.append(f'mount {directory} left behind')
        subprocess.run(['fusermount3', '-uz', directory], check=False)
    return found


def mounts():
    with open('/proc/self/mounts', encoding='utf-8') as file:
        return {line.split()[1] for line in file if line.split()[2] == 'fuse.mailmount'}


def children():
    """(pid, name) of our children: orphans come to us, as we are their subreaper."""
    found = []
    for path in glob.glob('/proc/[0-9]*/stat'):
        try:
            with open(path, encoding='utf-8', errors='replace') as file:
                text = file.read()
        except OSError:
            continue
        pid, name, state, parent = re.match(r'(\d+) \((.*)\) (\S) (\d+)', text, re.S).groups()
        if int(parent) != os.getpid():
            continue
        if state == 'Z':
            os.waitpid(int(pid), os.WNOHANG)
        else:
            found.append((int(pid), name))
    return found


def wait_and_reap(process, timeout):
    """The exit status, None after the time-out.  Orphans that end meanwhile are ours to reap:
    whoever started them asks whether their pid still exists."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if process.poll() is not None:
            return process.returncode
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if ended and ended.si_pid != process.pid:
            os.waitpid(ended.si_pid, 0)
        else:
            time.sleep(0.02)
    return None


def end_process(pid):
    """TERM, then KILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
            for _ in range(50):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    return
                time.sleep(0.1)
        except (ProcessLookupError, ChildProcessError):
            return


def end_group(process):
    """INT first: pytest then ends its servers and mounts."""
    for number, patience in ((signal.SIGINT, 30), (signal.SIGTERM, 5), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
            return
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            process.wait()
            return
