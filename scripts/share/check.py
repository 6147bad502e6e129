"""check.py -- runs the steps of scripts/check, counts, tells the total.

A step is a command with a time limit, a log and a count of what ran in it.  Whatever a step
leaves behind (processes, mounts) is removed and is a failure.
"""
import argparse
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

import elf
import laws
import processes

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BASE = os.path.join(ROOT, 'build-check')
LOGS = os.path.join(BASE, 'logs')
SHOWN = 80  # last lines of a failed step's log


class Total:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add(self, step, passed, failed=(), skipped=()):
        self.passed += passed
        self.failed += [f'{step}: {name}' for name in failed]
        self.skipped += [f'{step}: {name}' for name in skipped]


class Check:
    def __init__(self, options):
        self.options = options
        self.total = Total()
        self.built = {}
        self.begin = time.monotonic()
        self.scratch = tempfile.mkdtemp(prefix='mm-check-')
        os.chmod(self.scratch, 0o755)  # the users of the servers come through here
        self.mounts_before = processes.mounts()
        processes.adopt_orphans()

    # ---- telling

    def tell(self, step, begin, passed, failed, skipped=()):
        self.total.add(step, passed, failed, skipped)
        word = 'FAILED' if failed else 'skipped' if skipped and not passed else 'ok'
        counts = (
            f'{passed} passed'
            + (f', {len(failed)} failed' if failed else '')
            + (f', {len(skipped)} skipped' if skipped else '')
        )
        print(f'{word:8}{step:16} {counts} ({time.monotonic() - begin:.1f} s)', flush=True)
        for name in failed:
            print(f'        failed: {name}', flush=True)

    def show(self, log):
        with open(log, encoding='utf-8', errors='replace') as file:
            lines = file.read().splitlines()
        print(f'---- {os.path.relpath(log, ROOT)}', *lines[-SHOWN:], '----', sep='\n', flush=True)

    # ---- running

    def run(self, step, command, timeout, env=None):
        """The exit status, or None after the time-out; and the log."""
        log = os.path.join(LOGS, step.replace(':', '-') + '.log')
        return processes.run(command, log, timeout, env or {}, ROOT), log

    def simple(self, step, command, timeout, env=None):
        """A step that counts as one.  Whether it passed."""
        begin = time.monotonic()
        status, log = self.run(step, command, timeout, env)
        if status != 0:
            self.show(log)
        self.tell(step, begin, int(status == 0), [] if status == 0 else [f'exit status {status}'])
        return status == 0

    def need(self, step, *tools):
        missing = [tool for tool in tools if not (shutil.which(tool) or os.path.exists(tool))]
        if not missing:
            return True
        reason = [f'{tool} is missing' for tool in missing]
        if self.options.allow_skip:
            self.tell(step, time.monotonic(), 0, [], reason)
        else:
            self.tell(step, time.monotonic(), 0, reason)
        return False

    # ---- steps

    def laws(self):
        begin = time.monotonic()
        failed = []
        passed = 0
        for name, meaning, breaches in laws.judge(ROOT):
            if breaches:
                failed.append(name)
                print(f'law {name}: {meaning}', *breaches[:40], sep='\n    ', flush=True)
            else:
                passed += 1
        self.tell('laws', begin, passed, failed)

    def build(self, preset, timeout=600):
        """Configures and builds a preset in build-check/PRESET, once; whether that went well."""
        if preset not in self.built:
            self.built[preset] = self.build_now(preset, timeout)
        return self.built[preset]

    def build_now(self, preset, timeout):
        step = f'build:{preset}'
        compiler = 'clang' if 'clang' in preset or preset == 'fuzz' else 'gcc'
        if not self.need(step, 'cmake', 'ninja', compiler):
            return False
        script = (
            'cmake --preset "$1" -B "$2" -DMAILMOUNT_WERROR=ON && cmake --build "$2" -j 2 -- -k 20'
        )
        directory = os.path.join(BASE, preset)
        return self.simple(step, ['bash', '-c', script, 'build', preset, directory], timeout)

    def unit(self, preset, timeout=300):
        """The unit tests of a preset that is built."""
        step = f'unit:{preset}'
        begin = time.monotonic()
        report = os.path.join(LOGS, f'unit-{preset}.xml')
        command = [
            'ctest',
            '--test-dir',
            os.path.join(BASE, preset),
            '--output-on-failure',
            '-j',
            '2',
            '--no-tests=error',
            '--timeout',
            '120',
            '--output-junit',
            report,
        ]
        self.reported(
            step, begin, [*lowered(preset), *command], report, timeout, sanitizer_options()
        )

    def reported(self, step, begin, command, report, timeout, env):
        """A test program that writes a JUnit report: each of its tests counts."""
        if os.path.exists(report):
            os.remove(report)
        status, log = self.run(step, command, timeout, env)
        left = processes.remove_leftovers(self.mounts_before)
        passed, failed, skipped = read_report(report)
        if status != 0 and not failed:
            failed.append('time-out' if status is None else f'exit status {status}')
        if not passed and not failed and not skipped:
            failed.append('no tests')
        failed += left
        if failed:
            self.show(log)
        if not self.options.allow_skip:
            failed += [f'{name} (skipped)' for name in skipped]
            skipped = []
        self.tell(step, begin, passed, failed, skipped)

    def mount(self, preset, *more, timeout):
        """The tests with a mount, real servers and the scripted one."""
        step = f'mount:{preset}'
        if not self.need(step, '/usr/bin/python3', 'dovecot', 'fusermount3', '/dev/fuse'):
            return
        begin = time.monotonic()
        report = os.path.join(LOGS, f'mount-{preset}.xml')
        command = [
            '/usr/bin/python3',
            '-B',
            '-m',
            'pytest',
            '-v',
            '-p',
            'no:cacheprovider',
            f'--junitxml={report}',
            '--mailmount=' + os.path.join(BASE, preset, 'src/mailmount'),
            *more,
            os.path.join(ROOT, 'tests/mount'),
        ]
        if self.options.allow_skip:
            command.insert(-1, '--allow-skip')
        env = {**sanitizer_options(), 'TMPDIR': self.scratch, 'CYRUS_ROOT': self.cyrus_root()}
        self.reported(step, begin, [*lowered(preset), *command], report, timeout, env)

    def cyrus_root(self):
        """Unpacked where user cyrus can reach it, which a clone in a home directory is not."""
        root = os.path.join(self.scratch, 'cyrus-root')
        if not os.path.exists(root):
            kept = os.path.join(BASE, 'cyrus-root')
            self.run(
                'cyrus', [os.path.join(ROOT, 'tests/servers/debroot.sh'), kept, 'cyrus-imapd'], 120
            )
            if os.path.exists(kept):
                shutil.copytree(kept, root, symlinks=True)
        return root

    def install(self, preset):
        """Installs into an empty directory; looks at what came and how it is hardened."""
        step = f'install:{preset}'
        begin = time.monotonic()
        directory = os.path.join(BASE, 'install')
        shutil.rmtree(directory, ignore_errors=True)
        status, log = self.run(
            step,
            ['cmake', '--install', os.path.join(BASE, preset), '--prefix', '/usr'],
            60,
            {'DESTDIR': directory},
        )
        failed = [] if status == 0 else [f'exit status {status}']
        for name in [
            'bin/mailmount',
            'share/man/man1/mailmount.1',
            'share/man/man5/mailmount.conf.5',
        ]:
            if not glob.glob(os.path.join(directory, 'usr', name) + '*'):
                failed.append(f'{name} is not installed')
        program = os.path.join(directory, 'usr/bin/mailmount')
        passed = 3 - len(failed)
        if os.path.exists(program):
            weak = elf.weaknesses(program)
            failed += [f'hardening: {what}' for what in weak]
            passed += not weak
        if status != 0:
            self.show(log)
        self.tell(step, begin, max(0, passed), failed)

    def fuzz(self, seconds):
        """Each fuzz target for so long, from its corpus; new inputs are not kept."""
        targets = sorted(
            name
            for name in glob.glob(os.path.join(BASE, 'fuzz/tests/fuzz/fuzz_*'))
            if os.access(name, os.X_OK) and os.path.isfile(name)
        )
        if not targets:
            self.tell('fuzz', time.monotonic(), 0, ['no targets'])
        for target in targets:
            name = os.path.basename(target)[len('fuzz_') :]
            seeds = [
                path
                for path in [os.path.join(ROOT, 'tests/fuzz/corpus', name)]
                if os.path.isdir(path)
            ]
            found = os.path.join(BASE, 'found', name)
            os.makedirs(found, exist_ok=True)
            fresh = tempfile.mkdtemp(dir=self.scratch)
            self.simple(
                f'fuzz:{name}',
                [
                    target,
                    f'-max_total_time={seconds}',
                    '-timeout=20',
                    '-rss_limit_mb=2000',
                    '-print_final_stats=1',
                    f'-artifact_prefix={found}/',
                    fresh,
                    *seeds,
                ],
                seconds + 120,
                sanitizer_options(),
            )

    def sample(self):
        """scripts/try as a newcomer runs it, twice; --stop leaves nothing."""
        begin = time.monotonic()
        env = {'TMPDIR': self.scratch}
        state = os.path.join(self.scratch, f'mailmount-try-{os.getuid()}')
        program = os.path.join(ROOT, 'scripts/try')
        passed = 0
        failed = []
        for name, arguments, check in [
            ('first', [], lambda: count_messages(f'{state}/Mail') >= 300),
            ('second', [], lambda: count_messages(f'{state}/Mail') >= 300),
            ('stop', ['--stop'], lambda: not os.path.exists(state)),
        ]:
            status, log = self.run(f'try:{name}', [program, *arguments], 300, env)
            if status == 0 and check():
                passed += 1
            else:
                self.show(log)
                failed.append(name)
        failed += processes.remove_leftovers(self.mounts_before)
        self.tell('try', begin, passed, failed)

    # ---- all of it

    def plan(self):
        """(name, function) of every step, in order.  A build is made when its first user runs."""
        everything = self.options.all
        steps = [('laws', self.laws)]

        def built(preset, *users):
            def go():
                if self.build(preset):
                    for user in users:
                        user(preset)

            return go

        steps.append(('gcc', built('check', self.unit, self.install)))
        steps.append(('asan', built('asan', self.unit)))
        steps.append(
            (
                'mount',
                built(
                    'check',
                    lambda preset: self.mount(
                        preset,
                        *(['--long'] if everything else []),
                        timeout=2400 if everything else 900,
                    ),
                ),
            )
        )
        steps.append(('fuzz', built('fuzz', lambda _: self.fuzz(120 if everything else 20))))
        if everything:
            steps += [
                ('try', self.sample),
                ('clang', built('clang-check', self.unit)),
                ('clang-asan', built('clang-asan', self.unit)),
                ('tsan', built('tsan', self.unit)),
                ('debug', built('debug')),
                ('release', built('release')),
                ('mount-asan', built('asan', lambda preset: self.mount(preset, timeout=1500))),
                ('mount-tsan', built('tsan', lambda preset: self.mount(preset, timeout=1500))),
            ]
        return steps

    def go(self):
        only = self.options.only.split(',') if self.options.only else None
        for name, step in self.plan():
            if self.options.list:
                print(name)
            elif only is None or name in only:
                step()

    def finish(self):
        shutil.rmtree(self.scratch, ignore_errors=True)
        if self.options.list:
            return 0
        total = self.total
        for title, names in (('skipped', total.skipped), ('failed', total.failed)):
            for name in names:
                print(f'{title}: {name}')
        print(f'{time.monotonic() - self.begin:.0f} seconds')
        print(
            f'{total.passed} passed, {len(total.failed)} failed, {len(total.skipped)} skipped',
            flush=True,
        )
        return 1 if total.failed or not total.passed else 0


def read_report(path):
    """(passed, failed names, skipped names) of a JUnit file."""
    results = {}
    try:
        cases = list(xml.parse(path).getroot().iter('testcase'))
    except (OSError, xml.ParseError):
        return 0, [], []
    for case in cases:
        name = '.'.join(
            filter(None, [re.sub('^tests?[.]', '', case.get('classname', '')), case.get('name')])
        )
        kinds = {child.tag for child in case}
        if kinds & {'failure', 'error'} or case.get('status') == 'fail':
            results[name] = 'failed'
        elif 'skipped' in kinds or case.get('status') in ('notrun', 'disabled'):
            results.setdefault(name, 'skipped')
        else:
            results.setdefault(name, 'passed')
    names = {
        kind: [name for name, result in results.items() if result == kind]
        for kind in ('passed', 'failed', 'skipped')
    }
    return len(names['passed']), names['failed'], names['skipped']


def sanitizer_options():
    return {
        'ASAN_OPTIONS': 'detect_stack_use_after_return=1',
        'UBSAN_OPTIONS': 'print_stacktrace=1',
        'TSAN_OPTIONS': 'second_deadlock_stack=1:suppressions='
        + os.path.join(ROOT, 'tests/tsan.supp'),
        'CTEST_OUTPUT_ON_FAILURE': '1',
        'PYTHONDONTWRITEBYTECODE': '1',
    }


def lowered(preset):
    """ThreadSanitizer of GCC 12 and clang 14 does not bear today's address randomisation."""
    if (
        'tsan' in preset
        and subprocess.run(['setarch', '-R', 'true'], check=False, capture_output=True).returncode
        == 0
    ):
        return ['setarch', '-R']
    return []


def count_messages(directory):
    return sum(name.endswith('.eml') for _, _, names in os.walk(directory) for name in names)


def parse_arguments():
    parser = argparse.ArgumentParser(prog='scripts/check')
    parser.add_argument(
        '--all', action='store_true', help='both compilers, all sanitizers, all long tests'
    )
    parser.add_argument(
        '--allow-skip', action='store_true', help='count as skipped what cannot run here'
    )
    parser.add_argument('--only', metavar='STEP,...', help='only these steps')
    parser.add_argument('--list', action='store_true', help='name the steps')
    return parser.parse_args()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A job in the background of a shell is started with these ignored, and so would be all tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    os.makedirs(LOGS, exist_ok=True)
    check = Check(parse_arguments())
    status = 1
    try:
        check.go()
    except BaseException as error:
        check.total.failed.append(f'check itself: {error!r}')
        for name in processes.remove_leftovers(check.mounts_before):
            check.total.failed.append(name)
        if not isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
    finally:
        status = check.finish()
    sys.exit(status)


main()
