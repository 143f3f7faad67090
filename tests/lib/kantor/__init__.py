"""The test library: see README.md for what each file gives."""
from .bystander import Bystander
from .dialogue import Closed, Dialogue, ProtocolError
from .imap import Imap, Literal
from .messages import MIXED, message
from .peer import Peer
from .pop3 import Pop3
from .response import Parens, numbers, parse_untagged
from .scram import Scram, login, plain
from .server import PASSWORD, Server, address
from .smtp import Smtp
from .wait import until

__all__ = ["Bystander", "Closed", "Dialogue", "Imap", "Literal", "MIXED", "PASSWORD", "Parens", "Peer", "Pop3", "ProtocolError", "Scram", "Server", "Smtp",
           "address", "login", "message", "numbers", "parse_untagged", "plain", "until"]
