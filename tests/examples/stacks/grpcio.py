"""Calls and streams over HTTP/2 in one process."""

from concurrent import futures

import grpc


def each(words, _context):
    for word in words:
        yield word.upper()


handlers = {
    "Upper": grpc.unary_unary_rpc_method_handler(lambda text, _context: text.upper()),
    "Each": grpc.stream_stream_rpc_method_handler(each),
    "Fail": grpc.unary_unary_rpc_method_handler(
        lambda text, context: context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    ),
}
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("slim.Words", handlers),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    assert channel.unary_unary("/slim.Words/Upper")(b"text" * 10_000, timeout=20) == b"TEXT" * 10_000
    assert list(channel.stream_stream("/slim.Words/Each")(iter([b"a", b"b"]), timeout=20)) == [b"A", b"B"]
    try:
        channel.unary_unary("/slim.Words/Fail")(b"", timeout=20)
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND
    else:
        raise AssertionError
server.stop(0).wait()
print("ok")
