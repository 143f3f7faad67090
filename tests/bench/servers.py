"""tests/bench/servers.py: the servers that a bench compares, each private, on loopback, with its durable defaults.

Every server has start(), stop(), pids() and ports; start(filling=True) starts a peer without fsync, to fill mailboxes only. Nothing of /etc is read and nothing stays behind:
the configuration, the mail and the log of each stand in its own folder below the bench's.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

PASSWORD = 'demo-password'


class Refused(Exception):
    pass


def wait_for(what, condition, seconds=30, process=None):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        if process is not None and process.poll() is not None:
            raise Refused(f'{what}: ended with {process.returncode}')
        time.sleep(0.02)
    raise Refused(f'{what}: not within {seconds} s')


def port_open(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(('127.0.0.1', port)) == 0


def children(pid):
    """The process and all its descendants."""
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        found.append(p)
        try:
            for task in os.listdir(f'/proc/{p}/task'):
                todo += [int(c) for c in pathlib.Path(f'/proc/{p}/task/{task}/children').read_text().split()]
        except OSError:
            pass  # it ended meanwhile
    return found


def certificate(folder):
    crt, key = folder / 'tls.crt', folder / 'tls.key'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', '/CN=localhost',
                    '-keyout', key, '-out', crt], check=True, capture_output=True)
    return crt, key


def version_of(command, lines=1):
    try:
        r = subprocess.run(command, capture_output=True, text=True)
        return ' '.join((r.stdout + r.stderr).split('\n')[:lines]).strip()
    except OSError:
        return 'absent'


class Server:
    process = None

    def pids(self):
        return children(self.process.pid) if self.process else []

    def pin(self, cores):
        """Every thread of the server, and what it forks from now on, to these cores."""
        for pid in self.pids():
            try:
                for task in os.listdir(f'/proc/{pid}/task'):
                    os.sched_setaffinity(int(task), cores)
            except OSError:
                pass  # it ended meanwhile

    def pss(self):
        """Bytes, of all processes."""
        total = 0
        for pid in self.pids():
            try:
                for line in pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().split('\n'):
                    if line.startswith('Pss:'):
                        total += int(line.split()[1]) * 1024
            except OSError:
                pass
        return total

    def stop(self):
        if self.process is None:
            return
        all_pids = self.pids()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            for pid in all_pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            self.process.wait()
        self.process = None

    def settled(self):
        """True when everything accepted so far lies in its mailbox."""
        return True


class Kantor(Server):
    name = 'Kantor'
    users_pattern = 'user%d@kantor.example'

    def __init__(self, root, kantord, kantorctl, base=20000):
        self.dir, self.kantord, self.ctl, self.base = root / 'kantor', kantord, kantorctl, base
        self.smtp, self.lmtp, self.imap, self.imaps, self.pop3, self.pop3s = (base + p for p in (25, 24, 143, 993, 110, 995))
        self.log = root / 'kantor.log'

    def start(self, filling=False):
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen([self.kantord, '--demo', self.dir, '--port-base', str(self.base)], stdout=subprocess.PIPE, stderr=log, text=True)
        for line in self.process.stdout:
            if line.strip() == 'ready':
                break
        else:
            raise Refused(f'kantord did not say ready; see {self.log}')
        # what comes after `ready` goes nowhere, but must be read
        subprocess.Popen(['cat'], stdin=self.process.stdout, stdout=subprocess.DEVNULL)

    def add_users(self, count):
        subprocess.run([self.ctl, '--demo', self.dir, 'account', 'add', '--count', str(count), '--prefix', 'user', '--domain', 'kantor.example',
                        '--password', PASSWORD], check=True, stdout=subprocess.DEVNULL)

    def version(self):
        return version_of([self.kantord, '--version'])


DOVECOT = '''
protocols = imap pop3 lmtp
listen = 127.0.0.1
base_dir = {run}
state_dir = {run}
log_path = {dir}/log
info_log_path = /dev/null
mail_location = sdbox:{mail}/%u
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
mail_fsync = {fsync}
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{crt}
ssl_key = <{key}
mail_max_userip_connections = 20000
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={mail}/%u allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
  process_limit = 12000
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
  }}
}}
service imap {{
  process_limit = 12000
}}
service auth {{
  client_limit = 50000
}}
service anvil {{
  client_limit = 50000
}}
service stats {{
  client_limit = 50000
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
'''


class Dovecot(Server):
    name = 'Dovecot'
    users_pattern = 'user%d@kantor.example'

    def __init__(self, root, base=21000):
        self.dir = root / 'd'
        self.lmtp, self.imap, self.imaps, self.pop3, self.pop3s = (base + p for p in (24, 143, 993, 110, 995))

    def start(self, filling=False):
        mail = self.dir / 'mail'
        mail.mkdir(parents=True, exist_ok=True)
        os.chmod(self.dir, 0o755)
        os.chmod(self.dir.parent, 0o755)
        shutil.chown(mail, 'mail', 'mail')
        if not (self.dir / 'tls.crt').exists():
            certificate(self.dir)
        conf = self.dir / 'dovecot.conf'
        conf.write_text(DOVECOT.format(dir=self.dir, run=self.dir / 'run', mail=mail, fsync='never' if filling else 'optimized', crt=self.dir / 'tls.crt',
                                       key=self.dir / 'tls.key', password=PASSWORD, imap=self.imap, imaps=self.imaps, pop3=self.pop3, pop3s=self.pop3s, lmtp=self.lmtp))
        self.process = subprocess.Popen(['dovecot', '-F', '-c', conf], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_for('dovecot', lambda: port_open(self.imap) and port_open(self.lmtp), process=self.process)

    def add_users(self, count):
        pass  # the static user database knows everybody

    def version(self):
        return 'Dovecot ' + version_of(['dovecot', '--version'])


MAIN_CF = '''
compatibility_level = 3.7
queue_directory = {dir}/spool
data_directory = {dir}/data
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.kantor.example
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
virtual_mailbox_domains = kantor.example
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
smtpd_tls_security_level = none
'''

MASTER_CF = '''
127.0.0.1:{smtp} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
'''


class Postfix(Server):
    name = 'Postfix'
    users_pattern = 'user%d@kantor.example'

    def __init__(self, root, lmtp, base=22000):
        self.dir, self.lmtp, self.smtp = root / 'p', lmtp, base + 25

    def start(self, filling=False):
        conf = self.dir / 'conf'
        for d in (conf, self.dir / 'spool', self.dir / 'data'):
            d.mkdir(parents=True, exist_ok=True)
        os.chmod(self.dir, 0o755)
        shutil.chown(self.dir / 'data', 'postfix')
        (conf / 'main.cf').write_text(MAIN_CF.format(dir=self.dir, lmtp=self.lmtp))
        (conf / 'master.cf').write_text(MASTER_CF.format(smtp=self.smtp))
        for f in ('dynamicmaps.cf', 'postfix-files'):
            (conf / f).touch()
        subprocess.run(['postfix', '-c', conf, 'start'], check=True, capture_output=True)
        pid = int((self.dir / 'spool/pid/master.pid').read_text())
        self.process = Foreign(pid)
        wait_for('postfix', lambda: port_open(self.smtp))

    def settled(self):
        for queue in ('maildrop', 'incoming', 'active', 'deferred'):
            for _, _, files in os.walk(self.dir / 'spool' / queue):
                if files:
                    return False
        return True

    def add_users(self, count):
        pass

    def version(self):
        return 'Postfix ' + version_of(['postconf', '-hd', 'mail_version'])


class Foreign:
    """A daemon that detached itself, with the calls of Popen that Server uses."""

    def __init__(self, pid):
        self.pid = pid

    def poll(self):
        return None if os.path.exists(f'/proc/{self.pid}') else 0

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait(self, seconds=60):
        end = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired('master', seconds)
            time.sleep(0.02)
