"""SMTP in: addresses, parameters, recipients, who may send (attacks.md SI-13 … SI-15, SI-18 … SI-22, SI-26, SI-27, SI-29 … SI-32, SI-34 … SI-36)."""
import re
import socket

import pytest

from kantor import Bystander, message
from kantor.configured import configured, finish, stranger
from kantor.server import MEMORY_SCALE

STRANGER = "a@stranger.example"


def mail(server, service="smtp", options=""):
    c = getattr(server, service)()
    c.cmd("MAIL FROM:<%s> %s" % (STRANGER, options), 250)
    return c


# --- SI-20, SI-21, SI-36: addresses

@pytest.mark.parametrize("service", ["smtp", "lmtp"])
@pytest.mark.parametrize("path", ['<"">', '<""@kantor.example>', "<@>", "<a@>", "<@kantor.example>", "<a@@kantor.example>", "<(x@legit)>", "<a@kantor.example", "a@kantor.example", "<a b@kantor.example>",
                                  "<a@[127.0.0.1]>", "<a@[IPv6:]>", "<a@kantor.example.>", "<>", "<.a@kantor.example>", "<a..b@kantor.example>", "<a.@kantor.example>", '<"a@kantor.example>', '<"a"b@kantor.example>',
                                  "<a@-kantor.example>", "<a@kantor..example>", "<a@kan\\tor.example>", "<a@kantor.example>x", '<"a\x01"@kantor.example>', "<a\t@kantor.example>"])
def test_odd_recipients_are_syntax_errors_and_the_session_goes_on(server, service, path):
    c = mail(server, service)
    reply = c.cmd("RCPT TO:" + path)
    assert (reply.code, reply.enhanced) == (501, "5.1.3"), reply
    c.cmd("RCPT TO:<budi@kantor.example>", 250)


@pytest.mark.parametrize("path", ['<"">', "<@>", "<a@>", "<@k>", "<a@@k>", "<a@k", "a@k", "<a b@k>", "<postmaster>"])
def test_odd_senders_are_syntax_errors(server, path):
    reply = server.smtp().cmd("MAIL FROM:" + path)
    assert (reply.code, reply.enhanced) == (501, "5.1.7"), reply


def test_a_nul_in_a_command_is_refused(server):
    mail(server).cmd(b'RCPT TO:<"a\0"@kantor.example>', 501)


def test_postmaster_is_always_there(server):
    c = mail(server)
    for path in ("<postmaster>", "<Postmaster>", "<postmaster@kantor.example>", "<POSTMASTER@cabang.example>"):
        c.cmd("RCPT TO:" + path, 250)


RELAY = [("<victim@else.where>", "5.7.1"), ("<@kantor.example:victim@else.where>", "5.7.1"), ("<@kantor.example,@cabang.example:victim@else.where>", "5.7.1"), ("<victim%else.where@kantor.example>", "5.1.1"),
         ("<else.where!victim@kantor.example>", "5.1.1"), ('<"victim@else.where"@kantor.example>', "5.1.1"), ("<@else.where:nobody@kantor.example>", "5.1.1"), ("<victim@kаntor.example>", "5.7.1")]


@pytest.mark.parametrize("service", ["smtp", "lmtp"])
@pytest.mark.parametrize("path,enhanced", RELAY)
def test_no_form_of_address_opens_a_relay(server, service, path, enhanced):
    reply = mail(server, service, "SMTPUTF8").cmd("RCPT TO:" + path)
    assert (reply.code, reply.enhanced) == (550, enhanced), reply


@pytest.mark.parametrize("path,enhanced", [r for r in RELAY if "kantor.example>" in r[0] and "else.where:" not in r[0]])
def test_a_login_does_not_make_a_percent_hack_a_route(server, person, path, enhanced):
    c = server.submission(person)
    c.cmd("MAIL FROM:<%s> SMTPUTF8" % person, 250)
    assert c.cmd("RCPT TO:" + path).enhanced == enhanced


@pytest.fixture(scope="module")
def proxied():
    s = configured("proxy.trusted = 127.0.0.1")
    s.ctl("domain", "add", "bücher.example")
    s.ctl("account", "add", "üser@bücher.example")
    s.ctl("account", "add", "o'brien@kantor.example")
    s.ctl("account", "add", "straße@kantor.example")
    yield s
    finish(s)


FORMS = [("budi@KANTOR.example", 250), ("BuDi@kantor.EXAMPLE", 250), ("üser@bücher.example", 250), ("üser@xn--bcher-kva.example", 250), ("ÜSER@bücher.example", 550), ("u\u0308ser@bücher.example", 250),
         ("üser@bücher。example", 250), ("üser@BÜCHER.example", 250), ("budi@kаntor.example", 550), ("Straße@kantor.example", 250), ("STRASSE@kantor.example", 550), ("o'brien@kantor.example", 250),
         ("ｂudi@kantor.example", 550), ("budi@ｋantor.example", 250)]


@pytest.mark.parametrize("text,code", FORMS, ids=[f[0].encode("unicode_escape").decode() for f in FORMS])
def test_forms_of_our_names_are_one_name_and_lookalikes_are_foreign(proxied, text, code):
    c = stranger(proxied)
    c.cmd("MAIL FROM:<%s> SMTPUTF8" % STRANGER, 250)
    c.cmd("RCPT TO:<%s>" % text, code)


def test_addresses_outside_ascii_need_smtputf8_and_leave_no_state(proxied):
    c = stranger(proxied)
    reply = c.cmd("MAIL FROM:<ü@x.example>")
    assert (reply.code, reply.enhanced) == (553, "5.6.7")
    assert c.cmd("VRFY ü@x.example").code == 252
    c.cmd("DATA", 503)
    c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
    assert c.cmd("RCPT TO:<üser@bücher.example>").enhanced == "5.6.7"
    assert c.cmd("VRFY ü@x.example").code == 252
    c.cmd("RCPT TO:<budi@kantor.example>", 250)


# --- SI-14, SI-15, SI-19: addresses are data

SHELL = [";sleep 66;", "${run{/bin/id}}", "|/bin/id", "`id`", "$(id)", "%n%s", "${sort{a}{b}{c}}", "o'brien", '"x\'/**/UNION/**/SELECT"', '"; DROP TABLE item; --"', '"a\\"b\\\\c d"', "#'||(select1)--", "a=b", "a*b",
         '"' + "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) not in '"\\') + '"']


def test_addresses_that_once_were_programs_survive_storing_and_a_crash(fresh):
    c, kept = fresh.submission("budi"), []
    for n, local in enumerate(SHELL):
        c.cmd("MAIL FROM:<budi@kantor.example> RET=HDRS ENVID=QQ%d+2B+3D" % n, 250)
        legal = local.startswith('"') or not set(local) & set(" ;,()<>[]:@")
        c.cmd("RCPT TO:<%s@else.where> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+2Bb@x.example" % local, 250 if legal else 501)
        if legal:
            assert c.data(message("n%d" % n)).code == 250
            kept.append("%s@else.where" % local)
        else:
            c.cmd("RSET", 250)
    before = fresh.ctl("queue", "list")
    fresh.kill()
    fresh.start()
    assert fresh.ctl("queue", "list") == before
    assert len(kept) > 10 and [k for k in kept if k not in before] == []


def test_the_case_of_a_foreign_local_part_is_its_owners_affair(server, person):
    c = server.submission(person)
    sender = person[0].upper() + person[1:]
    c.deliver(sender, ["First.Last@Else.WHERE", '"A B"@else.where', "first.last@else.where"], message(sender=person))
    listed = server.ctl("queue", "list")
    assert "First.Last@else.where" in listed and '"A B"@else.where' in listed and sender in listed


def test_a_local_part_of_every_octet_and_length_is_kept_as_it_is(server, person):
    c = server.submission(person)
    for local in ("a" * 64, "!#$%&'*+-/=?^_`{|}~", '"' + "x" * 62 + '"'):
        c.cmd("MAIL FROM:<%s>" % person, 250)
        c.cmd("RCPT TO:<%s@else.where>" % local, 250)
        c.cmd("RSET", 250)


# --- SI-18: parameters

@pytest.mark.parametrize("options,code", [("AUTH=+0Aroot", 501), ("AUTH=<>", 250), ("AUTH=e+3Dmc2@x.example", 250), ("SIZE=18446744073709551616", 501), ("SIZE=-1", 501), ("SIZE=", 501), ("SIZE", 501), ("SIZE=1 SIZE=1", 501),
                                          ("RET=FULL RET=HDRS", 501), ("RET=FULL RET=FULL", 501), ("ENVID=a ENVID=b", 501), ("ENVID=" + "a" * 100, 250), ("ENVID=" + "a" * 101, 501), ("ENVID=a+0D", 501), ("ENVID=+FF", 501),
                                          ("ENVID=a+zz", 501), ("ENVID=", 501), ("RET", 501), ("RET=ALL", 501), ("BODY=9BIT", 501), ("BODY=8BITMIME BODY=7BIT", 501), ("SMTPUTF8 SMTPUTF8", 501), ("SMTPUTF8=1", 501),
                                          ("FOO=BAR", 555), ("NOTIFY=NEVER", 555), ("REQUIRETLS", 530), ("SIZE=99999999999", 552), ("BODY=8BITMIME SMTPUTF8 SIZE=10 RET=HDRS ENVID=x", 250)])
def test_parameters_of_mail(server, options, code):
    c = server.smtp()
    assert c.cmd("MAIL FROM:<%s> %s" % (STRANGER, options)).code == code
    c.cmd("MAIL FROM:<%s>" % STRANGER, 503 if code == 250 else 250)


@pytest.mark.parametrize("options,code", [("ORCPT=rfc822;a+0D+0AX", 501), ("ORCPT=rfc822", 501), ("ORCPT=;a", 501), ("ORCPT=rfc822;", 501), ("ORCPT=r\x01;a", 501), ("ORCPT=rfc822;a ORCPT=rfc822;a", 501), ("NOTIFY=NEVER,SUCCESS", 501),
                                          ("NOTIFY=", 501), ("NOTIFY", 501), ("NOTIFY=SUCCESS,", 501), ("NOTIFY=SUCCESS,SUCCESS", 501), ("NOTIFY=NEVER NOTIFY=NEVER", 501), ("SIZE=1", 555), ("FOO", 555),
                                          ("NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a@b.example", 250), ("NOTIFY=never", 250), ("ORCPT=utf-8;\\x{FC}ser@x.example", 250)])
def test_parameters_of_rcpt(server, person, options, code):
    assert mail(server).cmd("RCPT TO:<%s> %s" % (person, options)).code == code


def test_an_envelope_id_of_twenty_thousand_characters_is_too_long_a_line(server):
    c = server.smtp()
    c.send_what_goes("MAIL FROM:<%s> ENVID=%s\r\n" % (STRANGER, "a" * 20000))
    assert c.reply().code == 500
    c.rest()


def test_dsn_parameters_and_requiretls_are_kept_in_the_queue(server, person):
    c = server.submission(person)
    c.cmd("MAIL FROM:<%s> RET=HDRS ENVID=Q1+2B REQUIRETLS SMTPUTF8 BODY=8BITMIME" % person, 250)
    c.cmd("RCPT TO:<dsn@else.where> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first+2Bsecond@x.example", 250)
    assert c.data(message(sender=person)).code == 250
    listed = server.ctl("queue", "list")
    number = [line.split()[0] for line in listed.splitlines() if person in line][-1]
    shown = server.ctl("queue", "show", number)
    for word in ("ENVID=Q1+2B", "ORCPT=rfc822;first+2Bsecond@x.example", "NOTIFY=SUCCESS,DELAY", "RET=HDRS", "REQUIRETLS", "SMTPUTF8", "BODY=8BITMIME"):
        assert word in shown, shown


# --- SI-22: nobody is trusted for where he comes from

@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_no_relay(server, host):
    from kantor import Smtp
    try:
        c = Smtp(server.port("smtp"), host=host)
    except OSError:
        pytest.skip("no " + host)
    c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
    c.cmd("RCPT TO:<victim@else.where>", 550)


@pytest.mark.parametrize("line", [b"PROXY TCP4 10.0.0.1 10.0.0.2 1 25\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\1\x0a\0\0\2\0\1\0\x19", b"XCLIENT ADDR=10.0.0.1\r\n", b"XFORWARD ADDR=10.0.0.1\r\n"])
def test_a_proxy_header_from_anybody_is_no_proxy_header(server, line):
    c = server.smtp()
    c.send(line + b"\r\n")
    assert c.reply().code in (421, 500, 501, 502, 521)


@pytest.mark.parametrize("line", [b"PROXY TCP4 10.0.0.1 10.0.0.2 1 99999\r\n" + b"x" * 200, b"PROXY " + b"x" * 120 + b"\r\n", b"PROXY TCP4 1.2.3 4.5.6.7 1 2\r\n", b"EHLO x\r\n",
                                  b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff" + b"x" * 100, b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c" + b"x" * 12, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x02xx"])
def test_a_malformed_proxy_header_ends_the_connection(proxied, line):
    from kantor import Smtp
    c = Smtp(proxied.port("smtp"), greet=False)
    c.send_what_goes(line)
    if line.startswith(b"PROXY TCP4 10"):
        return
    assert b"220" not in c.rest()


# --- SI-26, SI-27: recipients

@pytest.mark.slow
def test_the_recipient_limit_holds_and_doubles_are_delivered_once():
    s = configured("mail.max_recipients = 3")
    try:
        s.make_people(5)
        c = s.smtp()
        c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
        for n in (1, 1, 2, 2, 3):
            c.cmd("RCPT TO:<user%d@kantor.example>" % n, 250)
        assert c.cmd("RCPT TO:<user4@kantor.example>").enhanced == "4.5.3"
        c.cmd("RCPT TO:<USER1@kantor.example>", 250)
        assert c.data(message()).code == 250
        assert [s.imap("user%d@kantor.example" % n, select="INBOX").exists for n in (1, 2, 3, 4)] == [1, 1, 1, 0]
    finally:
        finish(s)


def test_a_guesser_of_names_is_ended_at_twenty_and_the_count_starts_at_zero_elsewhere(server):
    c = mail(server)
    codes = [c.cmd("RCPT TO:<nobody%d@kantor.example>" % n).code for n in range(19)]
    assert codes == [550] * 19
    c.send("RCPT TO:<nobody19@kantor.example>\r\n")
    assert [c.reply().code, c.reply().code] == [550, 421]
    c.assert_closed()
    mail(server).cmd("RCPT TO:<budi@kantor.example>", 250)


def test_a_guessers_network_has_less_patience_each_time(proxied):
    unknown = 0
    for n in range(40):
        c = stranger(proxied, address="198.51.100.%d" % (n + 1))
        c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
        for k in range(3):
            unknown += 1
            c.send("RCPT TO:<nobody%d@kantor.example>\r\n" % unknown)
            assert c.reply().code == 550
            if unknown > 100:
                assert c.reply().code == 421
                c.assert_closed()
                other = stranger(proxied, address="198.51.101.1")
                other.cmd("MAIL FROM:<%s>" % STRANGER, 250)
                other.cmd("RCPT TO:<budi@kantor.example>", 250)
                return
        c.close()
    raise AssertionError("never ended")


def test_a_million_networks_are_remembered_in_constant_memory(proxied):
    stranger(proxied, address="2001:db8::1").close()
    before = proxied.rss()
    for n in range(300):
        c = stranger(proxied, address="2001:db8:%x:%x::1" % (n // 7, n))
        c.cmd("MAIL FROM:<%s>" % STRANGER, 250)
        c.cmd("RCPT TO:<nobody@kantor.example>", 550)
        c.close()
    assert proxied.rss() - before < 16 * 1048576 * MEMORY_SCALE


def test_a_full_mailbox_is_a_passing_fault_at_rcpt_when_the_size_is_known(server, person):
    server.ctl("account", "quota", person, "2000")
    for service in ("smtp", "lmtp"):
        reply = mail(server, service, "SIZE=5000").cmd("RCPT TO:<%s>" % person)
        assert (reply.code, reply.enhanced) == (452, "4.2.2")
    mail(server, options="SIZE=100").cmd("RCPT TO:<%s>" % person, 250)


def test_who_could_not_take_an_acknowledged_message_has_it_in_the_queue(server, person, another):
    server.ctl("account", "quota", person, "2000")
    big = message("big", body=b"x" * 3000 + b"\r\n")
    server.smtp().deliver(STRANGER, [person, another], big)
    assert server.imap(another, select="INBOX").exists == 1
    assert server.imap(person, select="INBOX").exists == 0
    assert person in server.ctl("queue", "list")
    c = mail(server, "lmtp")
    c.cmd("RCPT TO:<%s>" % person, 250)
    c.cmd("RCPT TO:<%s>" % another, 250)
    assert [r.code for r in c.data(big, 2)] == [452, 250]  # LMTP says so for each; nothing is queued twice
    assert server.ctl("queue", "list").count(person) == 1


def test_one_recipient_who_could_not_take_it_is_told(server, person):
    server.ctl("account", "quota", person, "2000")
    c = mail(server)
    c.cmd("RCPT TO:<%s>" % person, 250)
    assert c.data(message("big", body=b"x" * 3000 + b"\r\n")).enhanced == "4.2.2"
    assert person not in server.ctl("queue", "list")


# --- SI-30: commands that are not for strangers

@pytest.mark.parametrize("service", ["smtp", "lmtp", "submission"])
@pytest.mark.parametrize("command,code", [("ETRN k", 502), ("ETRN #'||(select 1)--", 502), ("TURN", 502), ("EXPN staff", 502), ("VRFY boss", 252), ("VRFY budi@kantor.example", 252), ("XFORWARD ADDR=1.2.3.4", 500),
                                          ("XCLIENT LOGIN=admin", 500), ("HELP", 214), ("DEBUG", 500), ("WIZ", 500), ("AUTH PLAIN", None)])
def test_commands_of_other_times_say_nothing(server, service, command, code):
    c = getattr(server, service)()
    reply = c.cmd(command)
    assert reply.code == (code or (334 if service == "submission" else 502))
    assert "budi" not in reply.text and "@" not in reply.text


# --- SI-31: odd sockets

def test_connections_that_vanish_at_any_moment_do_no_harm(server, person):
    script = b"EHLO x\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % person.encode()
    with Bystander(server):
        for cut in range(0, len(script), 5):
            c = server.smtp(greet=False)
            if cut:
                c.send_what_goes(script[:cut])
            c.reset()
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", server.port("smtp"))):
                pass
    server.smtp().deliver(STRANGER, person, message("after"))


# --- SI-32: strangers who call themselves one of us

@pytest.mark.parametrize("sender", ["ceo@kantor.example", "budi@KANTOR.example", "x@cabang.example", "x@ｋantor.example"])
def test_a_stranger_cannot_send_as_one_of_our_domains(proxied, sender):
    c = stranger(proxied)
    reply = c.cmd("MAIL FROM:<%s> SMTPUTF8" % sender)
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    c.cmd("MAIL FROM:<%s>" % STRANGER, 250)


def test_an_option_lets_old_forwarders_bring_our_own_mail_back():
    s = configured("proxy.trusted = 127.0.0.1", "mail.own_senders = accept")
    try:
        stranger(s).deliver("ceo@kantor.example", "budi@kantor.example", message())
    finally:
        finish(s)


# --- SI-34: LMTP

def test_lmtp_is_bound_to_this_machine_only():
    s = configured()
    try:
        text = open("/proc/net/tcp", encoding="ascii").read()
        bound = re.findall(r"([0-9A-F]{8}):%04X [0-9A-F]{8}:0000 0A" % s.port("lmtp"), text)
        assert bound == ["0100007F"]
        c = s.lmtp()
        assert c.cmd("EHLO x").code in (500, 502)
        assert s.smtp().cmd("LHLO x").code in (500, 502)
    finally:
        finish(s)


def test_lmtp_answers_for_each_recipient_in_order_also_for_the_same_one_twice(server, person, another):
    server.ctl("account", "quota", another, "2000")
    c = mail(server, "lmtp")
    for who in (person, another, person):
        c.cmd("RCPT TO:<%s>" % who, 250)
    assert [r.code for r in c.data(message(body=b"x" * 3000 + b"\r\n"), 3)] == [250, 452, 250]
    assert server.imap(person, select="INBOX").exists == 1
    c.cmd("MAIL FROM:<>", 250)
    c.cmd("DATA", 503)
    c.cmd("RCPT TO:<%s>" % person, 250)
    c.cmd("RCPT TO:<%s>" % person, 250)
    body = message()
    c.send(b"BDAT 3\r\n" + body[:3] + b"BDAT %d LAST\r\n" % (len(body) - 3) + body[3:])
    assert [c.reply().code for _ in range(3)] == [250, 250, 250]


# --- what a stranger may do without bringing mail

def test_a_client_that_only_says_noop_is_ended(server):
    c = server.smtp()
    codes = [c.cmd("NOOP").code for _ in range(100)]
    assert codes[-1] == 421 and codes[0] == 250
    c.assert_closed()


@pytest.mark.parametrize("service,verb,code", [("smtp", "EHLO", 501), ("smtp", "HELO", 501), ("lmtp", "LHLO", 501), ("submission", "EHLO", 250)])
def test_only_programs_that_log_in_may_have_no_name(server, service, verb, code):
    getattr(server, service)(hello=None).cmd(verb, code)
