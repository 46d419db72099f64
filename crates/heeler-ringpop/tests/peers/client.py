"""Python's tchannel calls a channel of ours: python client.py HOST:PORT."""
import sys

from tornado import gen, ioloop

from tchannel import TChannel
from tchannel.errors import BadRequestError, BusyError, TimeoutError
from tchannel.retry import NEVER

HOST_PORT = sys.argv[1]


@gen.coroutine
def fails(future, kind, text):
    try:
        yield future
    except kind as error:
        assert text in str(error), error
        return
    raise AssertionError('expected %s' % kind)


@gen.coroutine
def main():
    client = TChannel('client.py')

    def raw(endpoint, body='', headers='', service='test', timeout=5):
        return client.raw(service, endpoint, body, headers=headers, hostport=HOST_PORT,
                          timeout=timeout, retry_on=NEVER)

    answer = yield raw('echo', 'body', 'head')
    assert (answer.body, answer.headers) == (b'body', b'head'), answer

    body = b'x' * 200000
    answer = yield raw('echo', body)
    assert answer.body == body, len(answer.body)

    answer = yield client.json('test', 'json', {'key': 'value'}, headers={'h': '1'},
                               hostport=HOST_PORT)
    assert answer.body == {'got': {'key': 'value'}}, answer.body
    assert answer.headers == {'h': '1'}, answer.headers

    yield fails(raw('nope'), BadRequestError, 'no such endpoint service="test" endpoint="nope"')
    yield fails(raw('echo', service='other'), BadRequestError, 'unknown service other')
    yield fails(raw('busy'), BusyError, 'not now')
    yield fails(raw('never', timeout=0.2), TimeoutError, '')

    answers = yield [raw('echo', str(i)) for i in range(200)]
    assert [a.body for a in answers] == [str(i).encode() for i in range(200)]


ioloop.IOLoop.current().run_sync(main)
