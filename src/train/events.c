#include "train/events.h"

#include <string.h>

#include "base/file.h"
#include "base/file_os.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/memory.h"

struct tuff_events {
    tuff_append *file;
    tuff_buf values, record; /* of the step at hand: its summary; the whole */
    tuff_buf part;
    char *directory;
    size_t made_at; /* bytes of its path up to the first directory that was made for it; 0: it was there */
    bool failed, any;
};

/* ---- protobuf. The fields' numbers are those of TensorFlow's event.proto, summary.proto and tensor.proto.
 */

enum { VARINT, FIXED64, BYTES, FIXED32 = 5 };

static void varint(tuff_buf *out, uint64_t value)
{
    for (; value > 127; value >>= 7)
        tuff_buf_char(out, (char)(value | 128));
    tuff_buf_char(out, (char)value);
}

static void little(tuff_buf *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        tuff_buf_char(out, (char)(value >> 8 * i));
}

static void field(tuff_buf *out, int number, int kind)
{
    varint(out, (uint64_t)(number << 3 | kind));
}

static void put_bytes(tuff_buf *out, int number, const void *data, size_t size)
{
    field(out, number, BYTES);
    varint(out, size);
    tuff_buf_bytes(out, data, size);
}

static void put_buf(tuff_buf *out, int number, const tuff_buf *message)
{
    put_bytes(out, number, message->data ? message->data : "", message->size);
    out->failed |= message->failed;
}

static void put_text(tuff_buf *out, int number, const char *text)
{
    put_bytes(out, number, text, strlen(text));
}

/* TensorBoard shows no text of a tag where one is not UTF-8: what is broken becomes U+FFFD. */
static void put_utf8(tuff_buf *out, int number, const char *text, size_t size)
{
    tuff_buf whole = {0};
    for (size_t at = 0, n; at < size; at += n) {
        uint32_t codepoint;
        n = tuff_utf8_decode(text + at, size - at, &codepoint);
        tuff_buf_utf8(&whole, n ? codepoint : 0xfffd);
        if (!n) n = tuff_utf8_broken(text + at, size - at);
    }
    put_buf(out, number, &whole);
    tuff_buf_free(&whole);
}

static void put_int(tuff_buf *out, int number, int64_t value)
{
    field(out, number, VARINT);
    varint(out, (uint64_t)value);
}

/* An event up to what it holds: when, and of which step. */
static void begin_event(tuff_buf *out, int64_t step)
{
    enum { WALL_TIME = 1, STEP = 2 };
    const double now = tuff_wall_seconds();
    uint64_t bits;
    memcpy(&bits, &now, sizeof bits);
    tuff_buf_clear(out);
    field(out, WALL_TIME, FIXED64);
    little(out, bits, 8);
    if (step) put_int(out, STEP, step);
}

void tuff_events_record(tuff_buf *out, const void *message, size_t size)
{
    tuff_buf length = {0};
    little(&length, size, 8);
    const uint32_t sums[] = {length.failed ? 0 : tuff_crc32c(length.data, 8), tuff_crc32c(message, size)};
    uint32_t masked[2];
    for (int i = 0; i < 2; i++) /* so that sums of what has sums in it stay good */
        masked[i] = (sums[i] >> 15 | sums[i] << 17) + 0xa282ead8;
    little(out, size, 8);
    little(out, masked[0], 4);
    tuff_buf_bytes(out, message, size);
    little(out, masked[1], 4);
    out->failed |= length.failed;
    tuff_buf_free(&length);
}

/* ---- files */

static tuff_status write_event(tuff_events *e)
{
    tuff_buf_clear(&e->part);
    tuff_events_record(&e->part, e->record.data, e->record.size);
    if (e->part.failed || e->record.failed) return tuff_fail_memory("an event of a training");
    return tuff_append_write(e->file, e->part.data, e->part.size);
}

/* "events.out.tfevents.1763816400.123456.host.4711.tuff": by their names files are in the order of time. */
static tuff_status open_file(tuff_events *e, const char *directory)
{
    tuff_buf path = {0};
    char host[256];
    const double now = tuff_wall_seconds();
    const int64_t seconds = (int64_t)now;
    tuff_host_name(host, sizeof host);
    for (char *at = host; *at; at++)
        if (*at == '/') *at = '-';
    tuff_buf_printf(&path, "%s/events.out.tfevents.%010lld.%06d.%s.%lld.tuff", directory, (long long)seconds,
                    (int)((now - (double)seconds) * 1e6), *host ? host : "host",
                    (long long)tuff_process_id());
    tuff_status status = path.failed ? tuff_fail_memory("a path") : tuff_append_open(path.data, &e->file);
    tuff_buf_free(&path);
    return status;
}

/* The version of the format, and that a session begins: of files before this one what is of later steps is
 * void.
 */
static tuff_status write_head(tuff_events *e, int64_t done)
{
    enum { FILE_VERSION = 3, SESSION_LOG = 7, STATUS = 1, START = 1 };
    begin_event(&e->record, 0);
    put_text(&e->record, FILE_VERSION, "brain.Event:2");
    TUFF_TRY(write_event(e));
    tuff_buf_clear(&e->values);
    put_int(&e->values, STATUS, START);
    begin_event(&e->record, done + 1);
    put_buf(&e->record, SESSION_LOG, &e->values);
    return write_event(e);
}

tuff_status tuff_events_open(const char *directory, int64_t done, tuff_events **out_events, bool *out_first)
{
    size_t made_at;
    *out_events = NULL;
    TUFF_TRY(tuff_make_directories_from(directory, &made_at));
    char *there = tuff_first_name(directory, ".tuff");
    if (out_first) *out_first = !there;
    tuff_free(there);
    tuff_events *e = tuff_alloc(sizeof *e);
    if (e) e->directory = tuff_strdup(directory);
    if (!e || !e->directory) {
        tuff_free(e);
        tuff_unmake_directories(directory, made_at);
        return tuff_fail_memory("the events of a training");
    }
    e->made_at = made_at;
    tuff_status status = open_file(e, directory);
    if (status == TUFF_OK) status = write_head(e, done);
    if (status != TUFF_OK)
        tuff_events_close(&e);
    else
        *out_events = e;
    return status;
}

void tuff_events_close(tuff_events **events)
{
    tuff_events *e = *events;
    if (!e) return;
    if (e->any) {
        tuff_append_close(&e->file);
    } else { /* of a training that did not begin nothing is left */
        tuff_append_remove(&e->file);
        tuff_unmake_directories(e->directory, e->made_at);
    }
    tuff_free(e->directory);
    tuff_buf_free(&e->values);
    tuff_buf_free(&e->record);
    tuff_buf_free(&e->part);
    tuff_free(e);
    *events = NULL;
}

void tuff_events_remove(tuff_events **events)
{
    if (*events) (*events)->any = false;
    tuff_events_close(events);
}

/* ---- a step */

enum { SUMMARY = 5, VALUE = 1, TAG = 1 };

void tuff_events_begin(tuff_events *e)
{
    tuff_buf_clear(&e->values);
}

void tuff_events_scalar(tuff_events *e, const char *tag, double value)
{
    enum { SIMPLE_VALUE = 2 };
    const float rounded = (float)value;
    uint32_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    tuff_buf_clear(&e->part);
    put_text(&e->part, TAG, tag);
    field(&e->part, SIMPLE_VALUE, FIXED32);
    little(&e->part, bits, 4);
    put_buf(&e->values, VALUE, &e->part);
}

/* A tensor of one string, which is the text plugin's to show. */
void tuff_events_text(tuff_events *e, const char *tag, const char *text, size_t size)
{
    enum {
        TENSOR = 8,
        METADATA = 9,
        PLUGIN = 1,
        NAME = 1,
        DTYPE = 1,
        SHAPE = 2,
        STRING = 8,
        DIM = 2,
        DIM_SIZE = 1
    };
    enum { DT_STRING = 7 };
    tuff_buf inner = {0}, outer = {0};
    tuff_buf_clear(&e->part);
    put_text(&e->part, TAG, tag);
    put_text(&inner, NAME, "text");
    put_buf(&outer, PLUGIN, &inner);
    put_buf(&e->part, METADATA, &outer);
    tuff_buf_clear(&inner);
    put_int(&inner, DIM_SIZE, 1);
    tuff_buf_clear(&outer);
    put_buf(&outer, DIM, &inner);
    tuff_buf_clear(&inner);
    put_int(&inner, DTYPE, DT_STRING);
    put_buf(&inner, SHAPE, &outer);
    put_utf8(&inner, STRING, text, size);
    put_buf(&e->part, TENSOR, &inner);
    put_buf(&e->values, VALUE, &e->part);
    tuff_buf_free(&inner);
    tuff_buf_free(&outer);
}

tuff_status tuff_events_write(tuff_events *e, int64_t step)
{
    if (e->failed || (!e->values.size && !e->values.failed)) return TUFF_OK;
    e->any = true;
    begin_event(&e->record, step);
    put_buf(&e->record, SUMMARY, &e->values);
    tuff_status status = write_event(e);
    e->failed = status != TUFF_OK; /* half a record may be there, behind which no reader finds another */
    return status;
}
