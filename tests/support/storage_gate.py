"""A gate before an S3 server that can also answer with what is no answer, though its status is 200."""

from tests.support.s3_proxy import Rule, S3Proxy

HEAD = b"HTTP/1.1 200 OK\r\n"
CUT = Rule(200, "cut")  # after the first line, which HTTP clients take for an answer without a body
HALF = Rule(200, "half")  # in the middle of a body whose length was not told
PAGE = Rule(200, "page")  # what a network says that wants one to sign in
_ANSWERS = {
    CUT: HEAD,
    HALF: HEAD + b"Content-Type: application/xml\r\n\r\n<?xml version='1.0'?><ListBucketResult><Na",
    PAGE: HEAD + b"Content-Type: text/html\r\nContent-Length: 20\r\n\r\n<html>Sign in</html>",
}


class OddGate(S3Proxy):
    """Answers so to the operations that have one of these rules; the server is not asked."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        answering = self._server.RequestHandlerClass

        class Odd(answering):  # type: ignore[misc, valid-type]
            def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
                odd = _ANSWERS.get(self.proxy.rules.get(self.proxy.seen[-1].operation))
                if odd is None:
                    super()._answer(status, headers, content)
                else:
                    self.wfile.write(odd)
                    self.close_connection = True

        self._server.RequestHandlerClass = Odd
