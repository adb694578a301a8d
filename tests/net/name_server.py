"""A name server for tests, on a loopback address of the host, which does by the name that is asked what servers do."""

from __future__ import annotations

import secrets
import subprocess
import sys
import textwrap

#: answers by the name's first label; the rest of it says which server this is
SERVER = textwrap.dedent("""
    import socket, struct, sys, threading, time
    address, own = sys.argv[1], sys.argv[2]
    def reply(data, by_tcp):
        at, labels = 12, []
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        question, kind = data[12 : at + 5], labels[0].lower()
        print(kind, "tcp" if by_tcp else "udp", len(data), flush=True)
        def head(flags, count, id=data[:2]):
            return id + struct.pack(">5H", flags, 1, count, 0, 0) + question
        def address_record(text):
            return b"\\xc0\\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(text)
        good = head(0x8180, 1) + address_record(own)
        if kind == "silent" or kind == f"silent-{own.replace('.', '-')}":
            return []
        if kind == "slow":
            time.sleep(1)
        if kind == f"broken-{own.replace('.', '-')}" or kind == "broken":
            return [head(0x8182, 0)]
        if kind == "nowhere":
            return [head(0x8183, 0)]
        if kind == "big":
            whole = head(0x8180, 60) + address_record(own) * 60
            return [whole] if by_tcp else [head(0x8380, 0)]
        if kind == "rude":  # more than was asked for
            return [head(0x8180, 60) + address_record(own) * 60]
        if kind == "forged":
            other = bytes([data[0] ^ 1, data[1]])
            lie = address_record("6.6.6.6")
            wrong = head(0x8180, 1).replace(b"forged", b"farged") + lie
            return [b"", b"x", head(0x8180, 1, other) + lie, wrong, head(0x0100, 1) + lie, good]
        return [good]
    def tcp():
        server = socket.create_server((address, 53))
        while True:
            connection, _ = server.accept()
            with connection:
                size = connection.recv(2, socket.MSG_WAITALL)
                for answer in reply(connection.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL), True):
                    whole = len(answer).to_bytes(2, "big") + answer
                    for part in whole[:1], whole[1:5], whole[5:]:
                        connection.sendall(part)
                        time.sleep(0.02)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    threading.Thread(target=tcp, daemon=True).start()
    print("ready", flush=True)
    while True:
        data, client = server.recvfrom(65536)
        def one(data=data, client=client):
            for answer in reply(data, False):
                server.sendto(answer, client)
        threading.Thread(target=one, daemon=True).start()
""")


class NameServer:
    """A name server on a loopback address of the host. It says of every name that it has the address `own`."""

    def __init__(self, own: str) -> None:
        self.own, self.asked = own, ""
        self.address = f"127.{53 + secrets.randbelow(200)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, self.address, own], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def end(self) -> str:
        """Kills it; what it was asked."""
        self.process.kill()
        if self.process.stdout and not self.process.stdout.closed:
            self.asked = self.process.communicate()[0]
        return self.asked
