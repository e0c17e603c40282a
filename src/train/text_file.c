#include "train/text_file.h"

#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "formats/parquet.h"

/* ---- whether a text is one */

bool tuff_text_is_valid(tuff_view text)
{
    return !memchr(text.data, 0, text.size) && tuff_utf8_valid(text.data, text.size);
}

static tuff_status say_invalid(const char *path, uint64_t offset, tuff_view text)
{
    const char *nul = memchr(text.data, 0, text.size);
    if (nul)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s is not text: it has a NUL byte at offset %llu; expected UTF-8 text", path,
                         (unsigned long long)(offset + (uint64_t)(nul - text.data)));
    size_t at = 0, size = 0;
    for (uint32_t unused; (size = tuff_utf8_decode(text.data + at, text.size - at, &unused)) != 0;)
        at += size;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "%s is not UTF-8: the byte 0x%02x at offset %llu begins no character; convert the text first", path,
        (unsigned char)text.data[at], (unsigned long long)(offset + at));
}

enum { HEAD = 1 << 20 };

tuff_status tuff_text_file_check(const tuff_text_file *f)
{
    char *room = tuff_alloc(HEAD);
    tuff_status status = room ? TUFF_OK : tuff_fail_memory("a text");
    for (uint64_t at = 0; at < f->size && status == TUFF_OK;) {
        const bool last = f->size - at <= HEAD;
        const size_t size = last ? (size_t)(f->size - at) : HEAD;
        status = tuff_text_file_read(f, at, room, size);
        if (status != TUFF_OK) break;
        const tuff_view text = {room, last ? size : tuff_utf8_complete(room, size)};
        if (!tuff_text_is_valid(text)) status = say_invalid(f->path, at, text);
        at += text.size;
    }
    tuff_free(room);
    return status;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static size_t skip_blanks(const char *text, size_t size, size_t at)
{
    while (at < size && is_blank(text[at]))
        at++;
    return at;
}

/* Size of the braces that open at text[0], up to the one that closes them; 0: none does within a megabyte. */
static size_t braces(const char *text, size_t size)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size && i < HEAD; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && text[i] == '{')
            depth++;
        else if (!quoted && text[i] == '}' && --depth == 0)
            return i + 1;
    }
    return 0;
}

/* Whether a text begins with a JSON object, alone or as the first of an array. */
static bool begins_with_record(tuff_view text)
{
    static const char mark[] = "\xef\xbb\xbf"; /* byte order */
    size_t at = text.size >= 3 && memcmp(text.data, mark, 3) == 0 ? 3 : 0;
    at = skip_blanks(text.data, text.size, at);
    if (at < text.size && text.data[at] == '[') at = skip_blanks(text.data, text.size, at + 1);
    if (at == text.size || text.data[at] != '{') return false;
    cJSON *json = NULL;
    size_t size = braces(text.data + at, text.size - at);
    if (!size || tuff_json_parse(text.data + at, size, "a text", &json) != TUFF_OK) return false;
    bool record = cJSON_IsObject(json) && json->child;
    cJSON_Delete(json);
    return record;
}

static tuff_status check_records(const char *path, tuff_view head)
{
    static const struct {
        const char *end, *what;
    } names[] = {{".json", "is JSON by its name"},
                 {".jsonl", "is JSON by its name"},
                 {".ndjson", "is JSON by its name"},
                 {".csv", "is a table by its name"},
                 {".tsv", "is a table by its name"}};
    const char *what = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !what; i++)
        if (tuff_ends_with(path, names[i].end)) what = names[i].what;
    if (!what && begins_with_record(head)) what = "begins with a JSON record";
    if (!what) return TUFF_OK;
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s %s, and records are no text to go on with: expected plain text, or conversations (messages, "
        "conversations, prompt and completion, instruction and output); write the texts of the records into a "
        "file of their own",
        path, what);
}

/* A model that is trained on \r would learn to write it. */
void tuff_text_say_windows_lines(const char *path, uint64_t lines)
{
    if (lines)
        tuff_log(TUFF_LOG_WARN, "%s: %llu line%s as on Windows (\\r\\n), and %s read as ending with \\n",
                 path, (unsigned long long)lines, lines == 1 ? " ends" : "s end", lines == 1 ? "is" : "are");
}

/* ---- files */

tuff_status tuff_text_file_read(const tuff_text_file *f, uint64_t offset, void *out, size_t size)
{
    if (!f->streamed) return tuff_file_read(&f->file, offset, out, size);
    memcpy(out, f->stream.data + offset, size);
    return TUFF_OK;
}

static tuff_status check_head(const tuff_text_file *f)
{
    const size_t size = f->size < 2 * HEAD ? (size_t)f->size : 2 * HEAD;
    char *head = tuff_alloc_array(size, 1);
    if (!head) return tuff_fail_memory("the beginning of a text");
    tuff_status status = tuff_text_file_read(f, 0, head, size);
    if (status == TUFF_OK) status = check_records(f->path, (tuff_view){head, size});
    tuff_free(head);
    return status;
}

/* Takes the path. */
static tuff_status open_one(char *path, tuff_text_file *f)
{
    f->path = path;
    if (!path) return tuff_fail_memory("a path");
    if (tuff_is_regular_file(path)) {
        TUFF_TRY(tuff_file_open(path, &f->file));
        f->size = f->file.size;
    } else {
        TUFF_TRY(tuff_read_stream(path, tuff_text_limit, &f->stream));
        f->streamed = true;
        f->size = f->stream.size;
    }
    return tuff_refuse_parquet(path);
}

static tuff_status open_all(const char *path, tuff_text_files *out)
{
    tuff_names names = {0};
    if (tuff_is_directory(path)) {
        TUFF_TRY(tuff_directory_files(path, &names));
        if (!names.count) return tuff_fail(TUFF_INVALID_ARGUMENT, "%s has no files; expected text", path);
    }
    const size_t n = names.count ? names.count : 1;
    out->items = tuff_alloc_array(n, sizeof *out->items);
    tuff_status status = out->items ? TUFF_OK : tuff_fail_memory("a list of files");
    const char *name = names.text.data;
    for (; status == TUFF_OK && out->count < n; name += names.count ? strlen(name) + 1 : 0) {
        tuff_text_file *f = &out->items[out->count++];
        status = open_one(names.count ? tuff_path_join(path, name) : tuff_strdup(path), f);
        out->size += f->size;
    }
    tuff_names_free(&names);
    return status;
}

tuff_status tuff_text_files_open(const char *path, bool allow_json, tuff_text_files *out)
{
    *out = (tuff_text_files){0};
    TUFF_TRY(open_all(path, out));
    if (out->size == 0) return tuff_fail(TUFF_INVALID_ARGUMENT, "%s is empty; expected text", path);
    for (size_t i = 0; i < out->count && !allow_json; i++)
        TUFF_TRY(check_head(&out->items[i]));
    return TUFF_OK;
}

void tuff_text_files_close(tuff_text_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        tuff_free(files->items[i].path);
        tuff_file_close(&files->items[i].file);
        tuff_buf_free(&files->items[i].stream);
    }
    tuff_free(files->items);
    *files = (tuff_text_files){0};
}
