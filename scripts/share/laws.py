"""The laws of the house that a compiler does not see.  Each returns what breaks it."""
import os
import re
import shutil
import subprocess

TOP_LEVEL = {
    '.ci',
    '.clang-format',
    '.gitignore',
    'CMakeLists.txt',
    'CMakePresets.json',
    'LICENSE',
    'README.md',
    'man',
    'scripts',
    'src',
    'tests',
}

# Which layer owns which library: no other includes its headers.
OWNERS = {
    r'fuse': {'fs'},
    r'openssl/|libetpan/|sasl/': {'net'},
    r'zlib\.h': {'net', 'data'},
    r'sqlite3\.h': {'data'},
    r'gmime/|glib': {'mail'},
    r'confuse\.h': {'base'},
    r'jansson\.h': {'core'},
    r'uthash\.h|utlist\.h': {'core', 'fs', 'data'},
}

BANNED = (
    'strcpy strcat stpcpy strncpy strncat sprintf vsprintf gets strtok strtok_r atoi atol atoll atof '
    'alloca system popen tmpnam mktemp scanf sscanf fscanf usleep'
).split()

LIMIT = 600  # lines of a file

NOT_CODE = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.S)


def tracked(root):
    """Files under version control, and new ones that are not ignored."""
    listed = subprocess.run(
        ['git', '-c', f'safe.directory={root}', 'ls-files', '-co', '--exclude-standard', '-z'],
        cwd=root,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return sorted(
        name for name in listed.split('\0') if name and os.path.exists(os.path.join(root, name))
    )


class House:
    def __init__(self, root):
        self.root = root
        self.names = tracked(root)

    def read(self, name):
        with open(os.path.join(self.root, name), encoding='utf-8', errors='replace') as file:
            return file.read()

    def sources(self, *top, ends=('.c', '.h')):
        return [name for name in self.names if name.startswith(top) and name.endswith(ends)]


def line_of(text, position):
    return text.count('\n', 0, position) + 1


def without_text(source):
    """The code with strings and comments blanked, line numbers kept."""
    return NOT_CODE.sub(lambda match: re.sub(r'[^\n]', ' ', match[0]), source)


def top_level(house):
    """Nothing stands at the top that src/README.md does not show."""
    return sorted({name.split('/')[0] for name in house.names} - TOP_LEVEL)


def foreign(text):
    """The headers of libraries that the text includes."""
    found = re.findall(r'^\s*#\s*include\s*<([^>]+)>', text, re.M)
    return [name for name in found if any(re.match(pattern, name) for pattern in OWNERS)]


def owners(house):
    """A library is included by its owner's layer only."""
    for name in house.sources('src/'):
        layer = name.split('/')[1]
        for header in foreign(house.read(name)):
            for pattern, allowed in OWNERS.items():
                if re.match(pattern, header) and layer not in allowed:
                    yield f'{name}: <{header}> belongs to {", ".join(sorted(allowed))}'


def headers(house):
    """No foreign type leaves its layer: a header that includes a library is included only at home."""
    users = {}
    for name in house.sources('src/'):
        for header in re.findall(r'^\s*#\s*include\s*"([^"]+)"', house.read(name), re.M):
            users.setdefault(header, set()).add(name)
    for name in house.sources('src/', ends=('.h',)):
        home = os.path.dirname(name) + '/'
        if foreign(house.read(name)):
            for user in users.get(os.path.basename(name), ()):
                if not user.startswith(home):
                    yield f'{user} includes {name}'


def size(house):
    """No file above 600 lines."""
    for name in house.sources('src/', 'tests/', 'scripts/', ends=('.c', '.h', '.py', '.sh')):
        count = house.read(name).count('\n')
        if count > LIMIT:
            yield f'{name}: {count} lines'


def banned(house):
    """No call that cannot be made safe."""
    pattern = re.compile(r'(?<![\w.>])(' + '|'.join(BANNED) + r')\s*\(')
    for name in house.sources('src/'):
        code = without_text(house.read(name))
        for match in pattern.finditer(code):
            yield f'{name}:{line_of(code, match.start())}: {match[1]}'


def shell(house):
    """Shell scripts parse."""
    for name in house.names:
        text = (
            house.read(name) if name.endswith(('.sh', 'run')) or name.startswith('scripts/') else ''
        )
        if name.endswith('.sh') or text.startswith('#!/bin/bash'):
            result = subprocess.run(
                ['bash', '-n', name], cwd=house.root, capture_output=True, text=True
            )
            if result.returncode:
                yield result.stderr.strip()


def python(house):
    """Python files compile."""
    for name in house.sources('scripts/', 'tests/', ends=('.py',)):
        try:
            compile(house.read(name), name, 'exec')
        except SyntaxError as error:
            yield f'{name}: {error}'


def executable(house):
    """What begins with #! can be run, and nothing else."""
    for name in house.names:
        path = os.path.join(house.root, name)
        with open(path, 'rb') as file:
            script = file.read(2) == b'#!'
        if script != os.access(path, os.X_OK):
            yield name + (' is not executable' if script else ' is executable')


def blanks(house):
    """No blank at the end of a line, no tab in C code."""
    for name in house.sources(
        'src/',
        'tests/',
        'scripts/',
        'man/',
        ends=('.c', '.h', '.py', '.sh', '.txt', '.cmake', '.md', '.scd'),
    ):
        text = house.read(name)
        pattern = r'[ \t]+$|\t' if name.endswith(('.c', '.h')) else r'[ \t]+$'
        match = re.search(pattern, text, re.M)
        if match:
            yield f'{name}:{line_of(text, match.start())}'


def formatted(house):
    """clang-format 14 changes nothing.  Other versions judge differently and are not asked."""
    for name in house.sources('src/', 'tests/'):
        result = subprocess.run(
            ['clang-format-14', '--dry-run', '-Werror', name], cwd=house.root, capture_output=True
        )
        if result.returncode:
            yield name


LAWS = [top_level, owners, headers, size, banned, shell, python, executable, blanks]
if shutil.which('clang-format-14'):
    LAWS.append(formatted)


def judge(root):
    """(name, what it says, list of breaches) of each law."""
    house = House(root)
    for law in LAWS:
        yield law.__name__, law.__doc__, list(law(house))
