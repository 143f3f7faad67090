"""imapfilter: searches and moves by rules; twice, the second run finds nothing to do."""
from kantor import PASSWORD
from kantor.programs import everything
from kantor.shapes import plain

RULES = """
options.timeout = 30
options.create = true
options.subscribe = true
options.certificates = true
options.trust = "%s"
a = IMAP { server = "localhost", port = %d, username = "%s", password = "%s", ssl = "auto" }
print("mailboxes", #a:list_all())
local messages, recent, unseen, uidnext = a.INBOX:check_status()
print("status", messages, unseen)
local invoices = a.INBOX:contain_subject("Faktur") * a.INBOX:is_unseen()
print("invoices", #invoices)
invoices:mark_flagged()
invoices:move_messages(a["Faktur/2025"])
local big = a.INBOX:is_larger(20000) + a.INBOX:contain_from("nobody@elsewhere.example")
print("big", #big)
big:copy_messages(a.Archive)
big:delete_messages()
print("old", #(a.INBOX:is_older(3650)))
print("match", #(a.Archive:match_subject("^.*besar.*$")))
"""


def test_rules_move_copy_flag_and_delete(home, person):
    with home.server.imap(person) as c:
        for i in range(4):
            c.append("INBOX", plain("Faktur %d" % i), "\\Seen" if i == 3 else "")
        c.append("INBOX", plain("besar", 30000))
        c.append("INBOX", plain("biasa"))
    config = home.write("rules.lua", RULES % (home.certificate, home.server.port("imaps"), person, PASSWORD))
    run = lambda: home.run("imapfilter", "-c", config, "-t", home.certificate, seconds=60, stdin=b"").ok().text
    text = run()
    assert "invoices\t3" in text and "big\t1" in text and "match\t1" in text, text
    there = everything(home.server, person)
    assert len(there["Faktur/2025"]) == 3 and all("\\Flagged" in m.flags for m in there["Faktur/2025"]) and len(there["Archive"]) == 1 and len(there["INBOX"]) == 2
    text = run()
    assert "invoices\t0" in text and "big\t0" in text, text
    assert everything(home.server, person) == there
