"""Messages for the tests: small, with a marker that can be found again, and of every awkward shape."""
import itertools

_count = itertools.count(1)


def message(subject=None, body=b"Apa kabar?\r\n", sender="budi@kantor.example", to="sari@kantor.example", more=""):
    """A message of CR LF lines; the subject is unique unless given."""
    n = next(_count)
    subject = "Number %d" % n if subject is None else subject
    body = body if isinstance(body, bytes) else body.encode()
    head = "From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nMessage-ID: <%d@tests.example>\r\nDate: Mon, 24 Nov 2025 10:00:00 +0700\r\n%s\r\n" % (sender, to, subject, n, more)
    return head.encode("utf-8") + body


MIXED = (b"From: a@x.example\r\nTo: b@x.example\r\nSubject: mixed\r\nMIME-Version: 1.0\r\nDate: Mon, 24 Nov 2025 10:00:00 +0700\r\n"
         b"Content-Type: multipart/mixed; boundary=\"b1\"\r\n\r\npreamble\r\n"
         b"--b1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSelamat =C3=A9\r\n"
         b"--b1\r\nContent-Type: application/octet-stream; name=\"a.bin\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"a.bin\"\r\n\r\nAAECAwQFBgc=\r\n"
         b"--b1\r\nContent-Type: message/rfc822\r\n\r\nFrom: c@x.example\r\nSubject: inner\r\n\r\ninner body\r\n"
         b"--b1--\r\nepilogue\r\n")
