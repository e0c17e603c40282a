"""Tuff's chat templates through its C API."""

import ctypes
import json


class Piece(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class Span(ctypes.Structure):
    _fields_ = [("start", ctypes.c_size_t), ("end", ctypes.c_size_t)]


class Params(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("messages", Piece),
        ("tools", Piece),
        ("variables", Piece),
        ("now", ctypes.c_int64),
        ("add_generation_prompt", ctypes.c_bool),
        ("reserved", ctypes.c_uint8 * 7),
    ]


class Text(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("spans", ctypes.POINTER(Span)),
        ("span_count", ctypes.c_size_t),
    ]


class TuffError(Exception):
    pass


def _piece(value):
    data = b"" if value is None else json.dumps(value, ensure_ascii=False).encode()
    return Piece(None if value is None else data, len(data))


class ChatTemplate:
    """A template's text, ready to render; used as a context."""

    def __init__(self, library, text):
        self.library = library
        library.tuff_error_message.restype = ctypes.c_char_p
        self.handle = ctypes.c_void_p()
        data = text.encode()
        self._check(library.tuff_chat_template_create(data, ctypes.c_size_t(len(data)), None, ctypes.byref(self.handle)))

    def _check(self, status):
        if status:
            raise TuffError(self.library.tuff_error_message().decode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.tuff_chat_template_destroy(ctypes.byref(self.handle))

    def render(self, messages, tools=None, add_generation_prompt=False, now=0, **variables):
        """The text, and the characters [start, end) of each span."""
        params = Params(ctypes.sizeof(Params), _piece(messages), _piece(tools), _piece(variables), now, add_generation_prompt)
        out = ctypes.POINTER(Text)()
        self._check(self.library.tuff_chat_render(self.handle, ctypes.byref(params), ctypes.byref(out)))
        data = ctypes.string_at(out.contents.data, out.contents.size)
        spans = [(out.contents.spans[i].start, out.contents.spans[i].end) for i in range(out.contents.span_count)]
        self.library.tuff_chat_text_destroy(ctypes.byref(out))
        return data.decode(), [(len(data[:a].decode()), len(data[:b].decode())) for a, b in spans]
