"""What a program in another language sees of libtuff.so: generate.py LIBRARY MODEL.

The structs are written down here from the headers' text alone, as such a program must."""
import ctypes
import sys
from ctypes import (CFUNCTYPE, POINTER, Structure, addressof, byref, c_bool, c_char, c_char_p, c_double, c_int, c_int64,
                    c_size_t, c_uint32, c_uint64, c_void_p, sizeof)

OK, INVALID_ARGUMENT, NOT_FOUND = 0, 1, 2
FINISH_LENGTH, FINISH_CANCELLED = 0, 4
OnText = CFUNCTYPE(c_bool, POINTER(c_char), c_size_t, c_void_p)


class Struct(Structure):
    """All zero means default; the size says which version of the struct this is."""

    def __init__(self, **fields):
        super().__init__(struct_size=sizeof(type(self)), **fields)


class DeviceInfo(Struct):
    _fields_ = [("struct_size", c_size_t), ("name", c_char * 256), ("driver", c_char * 256), ("backend", c_char * 16),
                ("uuid", c_char * 33), ("type", c_int), ("memory_bytes", c_uint64), ("usable", c_bool),
                ("reason", c_char * 256), ("rows_tested", c_uint32), ("rows_wrong", c_uint32),
                ("wrong_rows", c_char * 256)]


class DeviceParams(Struct):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("validate", c_bool), ("profile", c_bool),
                ("submit_ms", c_uint32)]


class HostStats(Struct):
    _fields_ = [("struct_size", c_size_t), ("allocations", c_uint64), ("live", c_uint64)]


class GenerateParams(Struct):
    _fields_ = [("struct_size", c_size_t), ("sampling", c_void_p), ("max_new_tokens", c_int64),
                ("stop", POINTER(c_char_p)), ("stop_count", c_size_t), ("ignore_eos", c_bool),
                ("plain_special", c_bool), ("on_text", OnText), ("user", c_void_p), ("watch", c_void_p)]


class GenerateResult(Struct):
    _fields_ = [("struct_size", c_size_t), ("finish", c_int), ("prompt_tokens", c_int64), ("new_tokens", c_int64),
                ("prompt_seconds", c_double), ("generate_seconds", c_double), ("start_seconds", c_double),
                ("prompt_rate", c_double)]


tuff = ctypes.CDLL(sys.argv[1])
model_path = sys.argv[2].encode()
tuff.tuff_error_message.restype = c_char_p
tuff.tuff_status_name.restype = c_char_p
tuff.tuff_version.restype = c_char_p
tuff.tuff_generate.argtypes = [c_void_p, c_char_p, c_size_t, POINTER(GenerateParams), POINTER(GenerateResult)]


def error():
    return tuff.tuff_error_message().decode()


def check(status):
    if status != OK:
        sys.exit(f"{tuff.tuff_status_name(status).decode()}: {error()}")


def expect(what, condition):
    if not condition:
        sys.exit(f"not so: {what}; the last error is \"{error()}\"")


def list_devices():
    count = c_size_t()
    check(tuff.tuff_list_devices(None, c_size_t(0), byref(count)))
    expect("there is a device", count.value > 0)
    devices = (DeviceInfo * count.value)()
    status = tuff.tuff_list_devices(devices, count, byref(c_size_t()))
    expect("a struct without its size is refused", status == INVALID_ARGUMENT and "struct_size" in error())
    devices[0].struct_size = sizeof(DeviceInfo)
    check(tuff.tuff_list_devices(devices, count, byref(count)))
    for device in devices[:count.value]:
        expect("a device has a name", device.name and device.backend in (b"cpu", b"vulkan"))
        print(f"{device.name.decode()}: {device.reason.decode()}")
    expect("the CPU is among them", any(d.backend == b"cpu" and d.usable and d.memory_bytes > 0 for d in devices))


def generate(model, device):
    generator = c_void_p()
    check(tuff.tuff_generator_create(model, device, None, byref(generator)))
    pieces = []

    @OnText
    def on_text(text, size, user):
        pieces.append(text[:size])
        return user is None or len(pieces) < 3

    params = GenerateParams(max_new_tokens=12, ignore_eos=True, on_text=on_text)
    result = GenerateResult()
    prompt = "Once upon a time".encode()
    check(tuff.tuff_generate(generator, prompt, len(prompt), byref(params), byref(result)))
    text = b"".join(pieces).decode()
    print(f"{prompt.decode()}{text}")
    expect("12 tokens were made", result.new_tokens == 12 and result.finish == FINISH_LENGTH)
    expect("the text came", text.strip() and result.prompt_tokens > 0 and result.generate_seconds > 0)

    pieces.clear()
    params.user = addressof(params)  # anything but NULL: stop after three pieces
    check(tuff.tuff_generate(generator, prompt, len(prompt), byref(params), byref(result)))
    expect("the callback stopped it", result.finish == FINISH_CANCELLED and len(pieces) == 3)

    status = tuff.tuff_generate(generator, None, 3, byref(params), byref(result))
    expect("a prompt that is missing is refused", status == INVALID_ARGUMENT and error())
    tuff.tuff_generator_destroy(byref(generator))
    expect("a destroyed object is NULL", generator.value is None)


def main():
    print(f"Tuff {tuff.tuff_version().decode()}")
    list_devices()
    model, device = c_void_p(), c_void_p()
    status = tuff.tuff_model_load(model_path + b"/nowhere", byref(model))
    expect("a missing model is not found", status == NOT_FOUND and "nowhere" in error() and not model)
    check(tuff.tuff_model_load(model_path, byref(model)))
    check(tuff.tuff_device_open(byref(DeviceParams(name=b"cpu")), byref(device)))
    generate(model, device)
    tuff.tuff_device_destroy(byref(device))
    tuff.tuff_model_destroy(byref(model))
    stats = HostStats()
    check(tuff.tuff_get_host_stats(byref(stats)))
    expect("all memory was given back", stats.allocations > 0 and stats.live == 0)


main()
