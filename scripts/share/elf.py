"""Looks whether the hardening options of src/flags.cmake have had their effect on a program."""
import re
import subprocess


def readelf(*arguments):
    return subprocess.run(
        ['readelf', '-W', *arguments], capture_output=True, text=True, check=True
    ).stdout


def code(program):
    return subprocess.run(
        ['objdump', '-d', '--disassemble=main', program], capture_output=True, text=True, check=True
    ).stdout


def weaknesses(program):
    """What is missing: PIE, RELRO, BIND_NOW, NX, stack protector, FORTIFY_SOURCE, branches."""
    header = readelf('-h', program)
    segments = readelf('-l', program)
    dynamic = readelf('-d', program)
    symbols = readelf('--dyn-syms', program)
    found = []

    def expect(what, holds):
        if not holds:
            found.append(what)

    expect('PIE', re.search(r'Type:\s+DYN', header) and 'INTERP' in segments)
    expect('RELRO', 'GNU_RELRO' in segments)
    expect('BIND_NOW', re.search(r'BIND_NOW|FLAGS_1.*NOW', dynamic))
    stack = re.search(r'GNU_STACK.*', segments)
    expect('stack not executable', stack and 'RWE' not in stack[0])
    expect('no segment writable and executable', not re.search(r'LOAD.*RWE', segments))
    expect('stack protector', '__stack_chk_fail' in symbols)
    expect('FORTIFY_SOURCE', re.search(r'__\w+_chk@', symbols))
    expect('no run path', not re.search(r'RPATH|RUNPATH', dynamic))
    if 'X86-64' in header:
        # Debian's start files have no CET note, so the program has none either: look at its code.
        expect('branch protection', re.search(r'<main>:\n[^\n]*endbr64', code(program)))
    return found
