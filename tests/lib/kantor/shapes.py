"""Mail of every shape that clients must carry unharmed. All of CR LF lines, each with a Message-ID of its own, so that a client that looks for doubles finds none."""
import base64
import itertools

_count = itertools.count(1)
SENDER = "budi@kantor.example"


def _mail(subject, body, more=b"", name=b"Budi Santoso", sender=SENDER):
    n = next(_count)
    return (b"From: %s <%s>\r\nTo: sari@kantor.example\r\nSubject: %s\r\nMessage-ID: <shape-%d@tests.example>\r\nDate: Mon, 24 Nov 2025 10:%02d:%02d +0700\r\n%s\r\n%s"
            % (name, sender.encode(), subject, n, n // 60 % 60, n % 60, more, body))


def plain(subject="plain", size=200, sender=SENDER):
    """A small message with a body of about that many octets."""
    line = b"Yang terhormat, mohon diperiksa lampiran berikut ini, terima kasih.\r\n"
    return _mail(subject.encode(), line * (size // len(line) + 1), sender=sender)


def shapes(sender=SENDER):
    """About twenty messages; all but one name their sender."""
    def mail(subject, body, more=b"", name=b"Budi Santoso"):
        return _mail(subject, body, more, name, sender)
    attachment = b"\r\n".join(base64.b64encode(bytes(range(256)) * 300)[i:i + 76] for i in range(0, 102400, 76))
    mime = b"MIME-Version: 1.0\r\n"
    out = [
        plain(sender=sender),
        mail(b"dots", b".\r\n..\r\n.leading\r\n...\r\nmiddle . dot\r\n.\r\n"),
        mail(b"only a dot", b".\r\n"),
        mail(b"no body", b""),
        mail(b"From in the body", b"From here on\r\n>From there\r\nFrom budi@kantor.example Mon Nov 24 10:00:00 2025\r\n"),
        mail(b"blank lines", b"\r\n\r\n\r\nend\r\n\r\n\r\n"),
        mail(b"trailing blanks", b"a   \r\n\tb\t\r\n   \r\n"),
        mail(b"long lines", b"x" * 990 + b"\r\n" + b"y" * 998 + b"\r\n"),
        mail("tidak dikodekan: é ü 日本".encode(), "isi 8 bit: é ü 日本\r\n".encode(), mime + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"),
        mail(b"=?utf-8?B?UmFwYXQg8J+Yig==?=\r\n =?iso-8859-1?Q?gr=FC=DFe?=", b"latin-1: \xe4\xf6\xfc\r\n", mime + b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n",
              b"=?utf-8?q?R=C3=A9mi?="),
        mail(b"quoted-printable", b"soft=\r\nbreak =C3=A9=20\r\n", mime + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"),
        mail(b"attachment", b"--b\r\nContent-Type: text/plain\r\n\r\nsee there\r\n--b\r\nContent-Type: application/pdf; name=\"laporan.pdf\"\r\nContent-Transfer-Encoding: base64\r\n"
              b"Content-Disposition: attachment; filename*=utf-8''laporan%20%C3%A9.pdf\r\n\r\n" + attachment + b"\r\n--b--\r\n", mime + b"Content-Type: multipart/mixed; boundary=b\r\n"),
        mail(b"alternative", b"pre\r\n--=_x\r\nContent-Type: text/plain\r\n\r\na\r\n--=_x\r\nContent-Type: text/html\r\n\r\n<p>a</p>\r\n--=_x--\r\npost\r\n", mime + b"Content-Type: multipart/alternative;\r\n\tboundary=\"=_x\"\r\n"),
        mail(b"forwarded", b"From: c@x.example\r\nSubject: inner\r\n\r\ninner body\r\n", mime + b"Content-Type: message/rfc822\r\n"),
        mail(b"boundary never closed", b"--q\r\nContent-Type: text/plain\r\n\r\nno end", mime + b"Content-Type: multipart/mixed; boundary=q\r\n"),
        mail(b"no final line end", b"the last line has none"),
        mail(b"folded " + b"\r\n ".join(b"word%d" % i for i in range(200)), b"x\r\n"),
        mail(b"many recipients", b"x\r\n", b"Cc: " + b",\r\n\t".join(b"person%d@cabang.example" % i for i in range(120)) + b"\r\n"),
        b"Subject: no sender, no date\r\nMessage-ID: <shape-bare-%d@tests.example>\r\n\r\nbare\r\n" % next(_count),
        mail(b"large", b"0123456789abcdefghijklmnopqrstuvwxyz 0123456789\r\n" * 20000),
    ]
    return out
