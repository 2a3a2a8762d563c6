"""Not a server of models: it reads nothing of a request and always says the same. What the client, the kernel and an event loop take."""

import argparse
import asyncio

import uvloop

BODY = b'{"predictions":[0.5012345678901234]}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Bare(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        # The last piece of a body, or a request without one.
        if data.endswith((b"}", b"\r\n\r\n")):
            self.transport.write(ANSWER)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", given.port)
    await server.serve_forever()


uvloop.run(main())
