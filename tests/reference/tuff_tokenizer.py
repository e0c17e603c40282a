"""Tuff's tokenizers through its C API."""

import ctypes
import pathlib


def open_library(path):
    return ctypes.CDLL(str(pathlib.Path(path).resolve()))


class Piece(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class VocabDesc(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("kind", ctypes.c_char_p),
        ("pre", ctypes.c_char_p),
        ("size", ctypes.c_uint32),
        ("tokens", ctypes.POINTER(Piece)),
        ("scores", ctypes.POINTER(ctypes.c_float)),
        ("types", ctypes.POINTER(ctypes.c_int32)),
        ("merge_count", ctypes.c_uint32),
        ("merges", ctypes.POINTER(Piece)),
        ("bos", ctypes.c_int32),
        ("eos", ctypes.c_int32),
        ("eot", ctypes.c_int32),
        ("unk", ctypes.c_int32),
        ("pad", ctypes.c_int32),
        ("add_bos", ctypes.c_bool),
        ("add_eos", ctypes.c_bool),
        ("add_space_prefix", ctypes.c_bool),
        ("chat_template", Piece),
        ("cls", ctypes.c_int32),
        ("sep", ctypes.c_int32),
        ("mask", ctypes.c_int32),
        ("lowercase", ctypes.c_int8),
        ("strip_accents", ctypes.c_int8),
        ("merge_spaces", ctypes.c_bool),
        ("reserved", ctypes.c_uint8),
        ("charsmap", Piece),
    ]


class Span(ctypes.Structure):
    _fields_ = [("start", ctypes.c_size_t), ("end", ctypes.c_size_t)]


class Params(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("flags", ctypes.c_uint32),
        ("max_length", ctypes.c_uint32),
        ("truncation", ctypes.c_int),
        ("overlap", ctypes.c_uint32),
        ("keep_end", ctypes.c_bool),
        ("spans", ctypes.c_bool),
        ("windows", ctypes.c_bool),
        ("reserved", ctypes.c_uint8 * 5),
        ("watch", ctypes.c_void_p),
    ]


class Encoding(ctypes.Structure):
    pass


Encoding._fields_ = [
    ("count", ctypes.c_size_t),
    ("ids", ctypes.POINTER(ctypes.c_int32)),
    ("type_ids", ctypes.POINTER(ctypes.c_int32)),
    ("texts", ctypes.POINTER(ctypes.c_int8)),
    ("spans", ctypes.POINTER(Span)),
    ("first", ctypes.c_size_t * 2),
    ("lost", ctypes.c_size_t * 2),
    ("next", ctypes.POINTER(Encoding)),
]


ADD_SPECIAL, PLAIN_SPECIAL = 1, 2


class TuffTokenizer:
    def __init__(self, library, path):
        self.library = library
        self.handle = ctypes.c_void_p()
        library.tuff_error_message.restype = ctypes.c_char_p
        if path.suffix == ".gguf":
            desc, self.kept = read_gguf(path)
            self._check(library.tuff_tokenizer_from_desc(ctypes.byref(desc), str(path).encode(), ctypes.byref(self.handle)))
        else:
            self._check(library.tuff_tokenizer_load(str(path).encode(), ctypes.byref(self.handle)))

    def _check(self, status):
        if status:
            raise SystemExit(self.library.tuff_error_message().decode())

    def encode(self, text, flags=0):
        data = text.encode()
        ids, count = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
        self._check(
            self.library.tuff_tokenizer_encode(
                self.handle, data, ctypes.c_size_t(len(data)), flags, ctypes.byref(ids), ctypes.byref(count)
            )
        )
        out = ids[: count.value]
        self.library.tuff_free(ids)
        return out

    def encode_pair(self, text, pair=None, **params):
        """A list of windows: dicts of ids, type ids, texts, spans in bytes, what was cut off."""
        piece = lambda t: Piece(t.encode(), len(t.encode())) if t is not None else Piece(None, 0)
        p = Params(struct_size=ctypes.sizeof(Params), flags=ADD_SPECIAL, spans=True)
        for key, value in params.items():
            setattr(p, key, value)
        out = ctypes.POINTER(Encoding)()
        self._check(self.library.tuff_tokenizer_encode_pair(self.handle, piece(text), piece(pair), ctypes.byref(p), ctypes.byref(out)))
        windows, at = [], out
        while at:
            e = at.contents
            spans = [(s.start, s.end) for s in e.spans[: e.count]] if e.spans else None
            lists = {k: getattr(e, k)[: e.count] for k in ("ids", "type_ids", "texts")}
            windows.append({**lists, "spans": spans, "first": list(e.first), "lost": list(e.lost)})
            at = e.next
        self.library.tuff_encoding_destroy(ctypes.byref(out))
        return windows

    def decode(self, ids):
        array = (ctypes.c_int32 * len(ids))(*ids)
        text, size = ctypes.c_void_p(), ctypes.c_size_t()
        self._check(
            self.library.tuff_tokenizer_decode(
                self.handle, array, ctypes.c_size_t(len(ids)), False, ctypes.byref(text), ctypes.byref(size)
            )
        )
        out = ctypes.string_at(text, size.value)
        self.library.tuff_free(text)
        return out

    def save(self, directory):
        self._check(self.library.tuff_tokenizer_save(self.handle, str(directory).encode()))


def read_gguf(path):
    from gguf import GGUFReader

    fields = GGUFReader(str(path)).fields
    get = lambda key, default=None: fields["tokenizer.ggml." + key].contents() if "tokenizer.ggml." + key in fields else default
    pieces = lambda texts: (Piece * max(len(texts), 1))(*[Piece(t, len(t)) for t in texts])
    tokens = [t.encode() for t in get("tokens")]
    merges = [m.encode() for m in get("merges", [])]
    llama = get("model") == "llama"
    desc = VocabDesc(struct_size=ctypes.sizeof(VocabDesc), kind=get("model").encode(), pre=get("pre", "default").encode(), size=len(tokens), merge_count=len(merges))
    desc.tokens, desc.merges = pieces(tokens), pieces(merges)
    if get("scores"):
        desc.scores = (ctypes.c_float * len(tokens))(*get("scores"))
    if get("token_type"):
        desc.types = (ctypes.c_int32 * len(tokens))(*get("token_type"))
    for name, key in (("bos", "bos"), ("eos", "eos"), ("eot", "eot"), ("unk", "unknown"), ("pad", "padding")):
        setattr(desc, name, get(key + "_token_id", -1))
    for name, key in (("cls", "cls"), ("sep", "seperator"), ("mask", "mask")):
        setattr(desc, name, get(key + "_token_id", -1))
    desc.add_bos, desc.add_eos = get("add_bos_token", llama), get("add_eos_token", get("model") == "t5")
    desc.add_space_prefix = get("add_space_prefix", llama)
    desc.merge_spaces = get("remove_extra_whitespaces", False)
    desc.lowercase, desc.strip_accents = int(get("normalizer.lowercase", -1)), int(get("normalizer.strip_accents", -1))
    charsmap = bytes(b & 255 for b in get("precompiled_charsmap", []))
    desc.charsmap = Piece(charsmap, len(charsmap)) if charsmap else Piece(None, 0)
    return desc, (tokens, merges, charsmap)
