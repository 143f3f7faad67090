#!/usr/bin/env python3
"""tests/bench/run.py: the rows of docs/performance.md, ours and theirs alternately on one disk.

    tests/bench/run.py [--quick] [--only WORD] [--build build] [--dir FOLDER] [--write docs/performance.md]

Needs root (the peers drop to their own users). A row is a function below that yields measurements; each is run for Kantor and its peer by turns, and the median counts. A row that fails
for one side says so in the table; it never becomes a win.
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from servers import Dovecot, Kantor, Postfix, Refused, wait_for  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Bench:
    def __init__(self, options):
        self.o, self.rows, self.notes = options, [], []
        self.rounds = 1 if options.quick else options.rounds
        self.n = 1000 if options.quick else 10000
        self.mails = 1000 if options.quick else options.mails
        self.dir = pathlib.Path(options.dir)
        build = pathlib.Path(options.build).resolve()
        self.load_program = build / 'bench/load'
        self.kantor = Kantor(self.dir, build / 'kantord', build / 'kantorctl')
        self.dovecot = Dovecot(self.dir)
        self.postfix = Postfix(self.dir, self.dovecot.lmtp)
        self.pinned = False
        self.user = 10000  # mailboxes that are used up are taken from here on

    # --- the ground
    def load(self, sub, server, *args):
        command = (['taskset', '-c', '0'] if self.pinned else []) + [self.load_program, sub, *args]
        r = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=1200)
        if r.returncode != 0:
            raise Refused(f'{server.name}: {(r.stderr or r.stdout).strip()[:200]}')
        return json.loads(r.stdout.strip().split('\n')[-1])

    def people(self, count):
        """A block of `count` mailboxes that nobody has used yet: the number of the first."""
        first, self.user = self.user, self.user + count
        return first

    def fill(self, server, user, count, size=4096, sessions=10, users=1):
        self.load('deliver', server, '--port', server.lmtp, '--sessions', sessions, '--messages', count, '--size', size, '--first-user', user, '--users', users)

    def filled(self, count, size=4096, mailboxes=1):
        """Fills a new block of mailboxes on both sides by LMTP, the peer without fsync (this is not measured), and restarts both: nothing is left in a process."""
        first = self.people(mailboxes)
        for server in self.sides(self.dovecot):
            server.stop()
            server.start(filling=True)
            for i in range(mailboxes):
                self.fill(server, first + i, count, size)
            server.stop()
            server.start()
        os.sync()
        return first

    def sides(self, peer):
        return [s for s in (self.kantor, peer) if s is not None and s.name.lower() not in self.o.without]

    def compare(self, work, target, peer, measure, lower=False, unit='/s', pinned=False, rounds=None):
        """measure(server, round) -> figure, by turns; None as peer: Kantor alone."""
        got = {}
        self.pinned, cores = pinned, {0} if pinned else set(range(os.cpu_count()))
        for i in range(rounds or self.rounds):
            for server in self.sides(peer):
                try:
                    server.pin(cores)
                    got.setdefault(server.name, []).append(measure(server, i))
                except (Refused, subprocess.TimeoutExpired, ValueError, KeyError, IndexError) as e:
                    got[server.name] = None
                    self.notes.append(f'{work}: {e}')
                    self.revive(server)
                finally:
                    server.pin(set(range(os.cpu_count())))
            if any(v is None for v in got.values()):
                break
        self.pinned = False
        row = {'work': work + (', one core' if pinned else ''), 'peer': peer.name if peer else '–', 'target': target, 'lower': lower, 'unit': unit}
        for role, server in (('ours', self.kantor), ('theirs', peer)):
            values = got.get(server.name) if server else None
            row[role] = statistics.median(values) if values else None
            row[role + '_all'] = values
        self.rows.append(row)
        print(format_row(row), flush=True)
        self.save()

    def revive(self, server):
        """A server that died is started again, so that the other rows can run."""
        if server.process is not None and server.process.poll() is not None:
            self.notes.append(f'{server.name} had ended; started again')
            server.process = None
            server.start()

    def save(self):
        pathlib.Path(self.o.json).write_text(json.dumps({'rows': self.rows, 'notes': self.notes}, indent=1))


def rate_text(v, unit):
    if v is None:
        return 'failed'
    if unit == 's':
        return f'{v * 1000:.2f} ms' if v < 1 else f'{v:.2f} s'
    if unit == 'B':
        return f'{v / 1024:.1f} KB'
    return f'{v:,.0f}{unit}' if v >= 100 else f'{v:,.1f}{unit}'


def ratio(row):
    if not row['ours'] or not row['theirs']:
        return None
    return row['theirs'] / row['ours'] if row['lower'] else row['ours'] / row['theirs']


def format_row(row):
    r = ratio(row)
    verdict = '' if r is None or row['target'] is None else (' yes' if r >= row['target'] else ' **no**')
    spread = ''
    if row.get('ours_all') and len(row['ours_all']) > 1:
        spread = f" ({min(row['ours_all']) / row['ours']:.2f} to {max(row['ours_all']) / row['ours']:.2f})" if row['ours'] else ''
    theirs = '–' if row['peer'] == '–' else rate_text(row['theirs'], row['unit'])
    return (f"| {row['work']} | {row['peer']} | {rate_text(row['ours'], row['unit'])}{spread} | {theirs} | "
            f"{'–' if r is None else f'{r:.2f}'} | {'–' if row['target'] is None else row['target']} |{verdict or ' –'} |")


# --- the rows

def row_delivery(b):
    """SMTP or LMTP to a durable mailbox."""
    for size, label, target1, target, count in ((4096, '4 KB', 3, 10, b.mails), (65536, '64 KB', 4, 4, b.mails // 4), (1 << 20, '1 MB', 4, 4, b.mails // 20)):
        for sessions in (1, 10, 50):
            if size > 4096 and sessions == 50:
                continue
            n = max(sessions, count // 4 if sessions == 1 else count)

            def lmtp(server, i):
                return b.load('deliver', server, '--port', server.lmtp, '--sessions', sessions, '--messages', n, '--size', size, '--users', 1000)['rate']

            def smtp(server, i):
                begun = time.monotonic()
                b.load('deliver', server, '--protocol', 'smtp', '--port', server.smtp, '--sessions', sessions, '--messages', n, '--size', size, '--users', 1000)
                wait_for('an empty queue', server.settled, 600)
                return n / (time.monotonic() - begun)
            b.compare(f'LMTP, {label}, {sessions} session{"s" * (sessions > 1)}, 1,000 mailboxes', target1 if sessions == 1 else target, b.dovecot, lmtp)
            if sessions == 1 and size == 4096:
                b.compare(f'LMTP, {label}, 1 session, 1,000 mailboxes', target1, b.dovecot, lmtp, pinned=True)
            b.compare(f'SMTP until in the mailbox, {label}, {sessions} session{"s" * (sessions > 1)}', target1 if sessions == 1 else target, b.postfix, smtp)


def row_recipients(b):
    n = 20 if b.o.quick else 100

    def lmtp(server, i):
        return b.load('deliver', server, '--port', server.lmtp, '--sessions', 4, '--messages', n, '--users', 1000, '--recipients', 100)['rate']

    def smtp(server, i):
        begun = time.monotonic()
        b.load('deliver', server, '--protocol', 'smtp', '--port', server.smtp, '--sessions', 4, '--messages', n, '--users', 1000, '--recipients', 100)
        wait_for('an empty queue', server.settled, 600)
        return n * 100 / (time.monotonic() - begun)
    b.compare('LMTP, one message to 100 recipients (mailboxes a second)', 20, b.dovecot, lmtp)
    b.compare('SMTP, one message to 100 recipients (mailboxes a second)', 20, b.postfix, smtp)


def row_append(b):
    for sessions in (1, 20):
        n = b.mails // 4 if sessions == 1 else b.mails

        def append(server, i):
            return b.load('append', server, '--port', server.imap, '--sessions', sessions, '--users', sessions, '--first-user', 2000, '--messages', n)['rate']
        b.compare(f'IMAP APPEND 4 KB, {sessions} client{"s" * (sessions > 1)}', 5, b.dovecot, append)
        if sessions == 1:
            b.compare('IMAP APPEND 4 KB, 1 client', 5, b.dovecot, append, pinned=True)


def imap(b, server, user, *commands, tls=False):
    port = ['--tls', '--port', server.imaps] if tls else ['--port', server.imap]
    return b.load('imap', server, *port, '--first-user', user, *commands)


ALL = 'UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE'


def row_mailbox(b):
    """SELECT, FETCH, SEARCH, STORE, COPY, MOVE, EXPUNGE on a mailbox of 10,000."""
    n, first = b.n, b.filled(b.n, mailboxes=b.rounds)
    label = f'{n:,}'
    cold = {}

    def select_cold(server, i):
        took = imap(b, server, first + i, '+SELECT INBOX', f'+FETCH 1:* ({ALL})')
        cold[server.name, i] = n / took[1]['seconds']
        return took[0]['seconds']
    b.compare(f'SELECT of {label}, first after delivery', 10, b.dovecot, select_cold, lower=True, unit='s')
    b.compare(f'FETCH {ALL} of {label}, first time', 5, b.dovecot, lambda s, i: cold[s.name, i])
    warm = lambda command, k=n: lambda s, i: k / imap(b, s, first + i, 'SELECT INBOX', '+' + command)[0]['seconds']  # noqa: E731
    b.compare(f'SELECT of {label}, warm', 1, b.dovecot,
              lambda s, i: statistics.median(t['seconds'] for t in imap(b, s, first + i, *['+SELECT INBOX', 'CLOSE'] * 9)), lower=True, unit='s')
    b.compare(f'FETCH {ALL} of {label}, again', 1.5, b.dovecot, warm(f'FETCH 1:* ({ALL})'))
    b.compare(f'FETCH FLAGS of {label}', None, b.dovecot, warm('FETCH 1:* (UID FLAGS)'))
    b.compare(f'FETCH of {label} whole bodies', 2, b.dovecot, warm('UID FETCH 1:* (BODY.PEEK[])'))
    b.compare(f'FETCH of {label} whole bodies, TLS', 2, b.dovecot,
              lambda s, i: n / imap(b, s, first + i, 'SELECT INBOX', '+UID FETCH 1:* (BODY.PEEK[])', tls=True)[0]['seconds'])
    b.compare(f'SEARCH SUBJECT of a rare word, {label}', 1, b.dovecot,
              lambda s, i: imap(b, s, first + i, 'SELECT INBOX', '+SEARCH SUBJECT quixotry')[0]['seconds'], lower=True, unit='s')
    b.compare(f'SEARCH BODY of a rare word, {label}', 1, b.dovecot,
              lambda s, i: imap(b, s, first + i, 'SELECT INBOX', '+SEARCH BODY quixotry')[0]['seconds'], lower=True, unit='s')
    b.compare(f'POP3 RETR of {label}', 2, b.dovecot, lambda s, i: b.load('pop3', s, '--port', s.pop3, '--first-user', first + i, '--messages', n)['rate'])
    b.compare(f'POP3 RETR of {label}', 2, b.dovecot,
              lambda s, i: b.load('pop3', s, '--port', s.pop3, '--first-user', first + i, '--messages', n)['rate'], pinned=True)
    b.compare(f'STORE +FLAGS on {label}', 1.5, b.dovecot, warm('STORE 1:* +FLAGS (\\Flagged)'))
    b.compare(f'STORE -FLAGS.SILENT on {label}', 1.5, b.dovecot, warm('STORE 1:* -FLAGS.SILENT (\\Flagged)'))
    b.compare(f'COPY of {label}', 1.5, b.dovecot,
              lambda s, i: n / imap(b, s, first + i, 'CREATE Copies', 'SELECT INBOX', '+COPY 1:* Copies')[0]['seconds'])
    b.compare(f'MOVE of {label}', 1.5, b.dovecot,
              lambda s, i: n / imap(b, s, first + i, 'CREATE Moved', 'SELECT INBOX', '+MOVE 1:* Moved')[0]['seconds'])
    b.compare(f'EXPUNGE of {label}', 1.5, b.dovecot,
              lambda s, i: n / imap(b, s, first + i, 'SELECT Copies', 'STORE 1:* +FLAGS.SILENT (\\Deleted)', '+EXPUNGE')[0]['seconds'])


def row_large(b):
    """SELECT of a mailbox of 100,000 (10,000 with --quick)."""
    n = b.n * 10
    first = b.filled(n, size=1500)
    b.compare(f'SELECT of {n:,}, first after delivery', 10, b.dovecot, lambda s, i: imap(b, s, first, '+SELECT INBOX')[0]['seconds'], lower=True, unit='s', rounds=1)
    b.compare(f'SELECT of {n:,}, warm', 1, b.dovecot,
              lambda s, i: statistics.median(t['seconds'] for t in imap(b, s, first, *['+SELECT INBOX', 'CLOSE'] * 9)), lower=True, unit='s')


def row_rounds(b):
    first = b.filled(100, mailboxes=20)
    seconds = 1 if b.o.quick else 3
    for what, command in (('NOOP', 'NOOP'), ('FETCH of one ENVELOPE', 'FETCH 50 (UID FLAGS ENVELOPE)'), ('FETCH of one body', 'FETCH 50 (BODY.PEEK[])')):
        for tls in (False, True):
            for sessions, pinned in ((1, True), (1, False), (20, False)):
                if tls and sessions == 1 and not pinned:
                    continue
                port = lambda s: ['--tls', '--port', s.imaps] if tls else ['--port', s.imap]  # noqa: E731
                b.compare(f'{what}, {sessions} client{"s" * (sessions > 1)}{", TLS" * tls}', 2, b.dovecot, lambda s, i: b.load(
                    'loop', s, *port(s), '--sessions', sessions, '--users', 20, '--first-user', first, '--command', command, '--seconds', seconds)['rate'], pinned=pinned)
    for tls in (False, True):
        for sessions in (1, 20):
            port = lambda s: ['--tls', '--port', s.imaps] if tls else ['--port', s.imap]  # noqa: E731
            b.compare(f'login + SELECT + logout, {sessions} client{"s" * (sessions > 1)}{", TLS" * tls}', 2, b.dovecot,
                      lambda s, i: b.load('login', s, *port(s), '--sessions', sessions, '--users', 20, '--first-user', first, '--seconds', seconds)['rate'])


def row_idle(b):
    first = b.people(100)
    for server in b.sides(b.dovecot):  # every mailbox exists before memory is counted
        b.fill(server, first, 100, users=100)
    for count in ((200,) if b.o.quick else (1000, 10000)):
        for tls in (False, True):
            def parked(server, i):
                server.stop()
                server.start()
                port = ['--tls', '--port', str(server.imaps)] if tls else ['--port', str(server.imap)]
                before = server.pss()
                load = subprocess.Popen([b.load_program, 'idle', *port, '--sessions', str(count), '--users', '100', '--first-user', str(first)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                try:
                    if load.stdout.readline().strip() != 'parked':
                        raise Refused(f'{server.name}: {load.stderr.read()[:200]}')
                    return (server.pss() - before) / count
                finally:
                    load.stdin.close()
                    load.wait()
            b.compare(f'PSS for one parked IDLE connection, {count:,}{", TLS" * tls}', 20, b.dovecot, parked, lower=True, unit='B', rounds=1)


def row_growth(b):
    """Kantor against itself: a store of a million messages."""
    small, many = (1000, 20000) if b.o.quick else (10000, 400000)
    first = b.people(1000)
    k = b.kantor

    def deliver(i):
        return b.load('deliver', k, '--port', k.lmtp, '--sessions', 10, '--messages', b.mails, '--users', 1000, '--first-user', first)['rate']

    def select(i):
        return statistics.median(t['seconds'] for t in imap(b, k, first + 1, *['+SELECT INBOX', 'CLOSE'] * 25))
    b.fill(k, first, small, users=1000)
    before = statistics.median(deliver(i) for i in range(3)), statistics.median(select(i) for i in range(3))
    b.fill(k, first, many, sessions=50, users=1000, size=2048)
    after = statistics.median(deliver(i) for i in range(3)), statistics.median(select(i) for i in range(3))
    for row in ({'work': f'delivery at {many:,} stored messages against {small:,}', 'ours': after[0], 'theirs': before[0], 'lower': False, 'unit': '/s'},
                {'work': f'SELECT at {many:,} stored messages against {small:,}', 'ours': after[1], 'theirs': before[1], 'lower': True, 'unit': 's'}):
        row.update(peer='Kantor itself', target=0.9)
        b.rows.append(row)
        print(format_row(row), flush=True)
    b.save()


ROWS = {'delivery': row_delivery, 'recipients': row_recipients, 'append': row_append, 'mailbox': row_mailbox, 'large': row_large, 'rounds': row_rounds,
        'idle': row_idle, 'growth': row_growth}


def ground(b):
    """What a reader needs to judge the figures."""
    disk = b.load('fsync', b.kantor, b.dir)
    fs = subprocess.run(['findmnt', '-no', 'FSTYPE,SOURCE,OPTIONS', '-T', b.dir], capture_output=True, text=True).stdout.strip()
    cpu = next((line.split(':')[1].strip() for line in open('/proc/cpuinfo') if line.startswith('model name')), '?')
    return [f'- {time.strftime("%Y-%m-%d %H:%M")}, Linux {platform.release()}, {os.cpu_count()} × {cpu}, {os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30} GB; '
            f'load average at the start {os.getloadavg()[0]:.1f}',
            f'- file system: {fs}; `fdatasync` of 4 KB: median {disk["median_ms"]} ms, 90 % below {disk["p90_ms"]} ms',
            f'- {b.kantor.version()} (`--demo`); {b.dovecot.version()} (sdbox, `mail_fsync=optimized`, passwords in clear text, process limits raised); {b.postfix.version()} '
            '(LMTP to that Dovecot, defaults)',
            f'- {"--quick: " if b.o.quick else ""}{b.n:,} messages in a mailbox, {b.mails:,} in a delivery, median of {b.rounds}, ours and theirs by turns; server and client share the cores']


BEGIN, END = '<!-- bench -->', '<!-- /bench -->'


def write_table(path, lines):
    """Replaces what stands between the two marks; text around them is a person's."""
    text = path.read_text() if path.exists() else f'# How fast\n\n{BEGIN}\n{END}\n'
    head, rest = text.split(BEGIN, 1)
    path.write_text(head + BEGIN + '\n' + '\n'.join(lines) + '\n' + END + rest.split(END, 1)[1])


def main():
    p = argparse.ArgumentParser(description='Kantor beside Dovecot and Postfix on one disk')
    p.add_argument('--quick', action='store_true', help='1,000 messages, one run')
    p.add_argument('--rounds', type=int, default=3, help='runs of a row, of which the median counts')
    p.add_argument('--mails', type=int, default=4000, help='messages of a delivery row')
    p.add_argument('--only', action='append', choices=ROWS, help='these rows')
    p.add_argument('--without', action='append', default=[], help='a server to leave out (kantor, dovecot, postfix)')
    p.add_argument('--build', default=ROOT / 'build')
    p.add_argument('--dir', default='/var/tmp/kantor-bench', help='on the disk to measure')
    p.add_argument('--json', default='/var/tmp/kantor-bench.json')
    p.add_argument('--write', help='put the table into this page')
    o = p.parse_args()
    if os.geteuid() != 0:
        sys.exit('bench: run as root: Dovecot and Postfix start as root and drop to their own users')
    for program in ('dovecot', 'postfix', 'openssl', 'taskset', 'findmnt'):
        if shutil.which(program) is None:
            sys.exit(f'bench: {program} is missing: make test-deps')
    b = Bench(o)
    shutil.rmtree(b.dir, ignore_errors=True)
    b.dir.mkdir(parents=True)
    kind = subprocess.run(['findmnt', '-no', 'FSTYPE', '-T', b.dir], capture_output=True, text=True).stdout.strip()
    if kind in ('tmpfs', 'ramfs'):
        sys.exit(f'bench: {b.dir} is on {kind}: nothing is durable there; give --dir on a disk')
    servers = [s for s in (b.kantor, b.dovecot, b.postfix) if s.name.lower() not in o.without]
    lines = ground(b) + ['', '| work | peer | Kantor (spread) | peer | ratio | target | met |', '| --- | --- | --- | --- | --- | --- | --- |']
    print('\n'.join(lines), flush=True)
    try:
        for s in servers:
            s.start()
        if 'kantor' not in o.without:
            b.kantor.add_users(12000)
        for name, row in ROWS.items():
            if not o.only or name in o.only:
                try:
                    row(b)
                except (Refused, subprocess.TimeoutExpired) as e:
                    b.notes.append(f'{name}: {e}')
                    print(f'{name}: {e}', file=sys.stderr)
                    for s in servers:
                        b.revive(s)
    finally:
        for s in reversed(servers):
            s.stop()
    lines += [format_row(row) for row in b.rows]
    if b.notes:
        lines += ['', 'What failed:', ''] + [f'- {n}' for n in b.notes]
    if o.write:
        write_table(pathlib.Path(o.write), lines)
    if b.notes:
        print('\n'.join(b.notes), file=sys.stderr)
    shutil.rmtree(b.dir, ignore_errors=True)


if __name__ == '__main__':
    main()
