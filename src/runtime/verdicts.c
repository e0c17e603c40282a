#include "runtime/verdicts.h"

#include <stdio.h>
#include <string.h>
#include <tuff/version.h>

static const char header[] = "tuff " TUFF_VERSION "\n";

void tuff_verdicts_begin(tuff_buf *out)
{
    tuff_buf_text(out, header);
}

void tuff_verdicts_add(tuff_buf *out, bool held, const char *row, size_t size)
{
    tuff_buf_text(out, held ? "held " : "wrong ");
    tuff_buf_bytes(out, row, size);
    tuff_buf_char(out, '\n');
}

static bool printable(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] < ' ' || text[i] > '~') return false;
    return true;
}

bool tuff_verdicts_are_ours(const char *text, size_t size)
{
    return text && size >= sizeof header - 1 && memcmp(text, header, sizeof header - 1) == 0;
}

void tuff_verdicts_read(const char *text, size_t size, tuff_verdict_fn fn, void *user)
{
    const size_t skip = sizeof header - 1;
    if (!tuff_verdicts_are_ours(text, size)) return;
    const char *line = text + skip, *last = text + size;
    for (const char *end; line < last && (end = memchr(line, '\n', (size_t)(last - line))); line = end + 1) {
        const size_t length = (size_t)(end - line);
        if (!printable(line, length)) continue;
        if (length > 5 && memcmp(line, "held ", 5) == 0) fn(true, line + 5, length - 5, user);
        if (length > 6 && memcmp(line, "wrong ", 6) == 0) fn(false, line + 6, length - 6, user);
    }
}

typedef struct count {
    tuff_device_info *info;
    size_t used; /* of info->wrong_rows */
} count;

/* Among "matmul tile, norm rows", as it is with other constants too. */
static bool is_listed(const char *names, const char *row, size_t size)
{
    for (const char *at = names; *at; at += strcspn(at, ",") + 2) {
        if (strncmp(at, row, size) == 0 && (at[size] == 0 || at[size] == ',')) return true;
        if (!strchr(at, ',')) return false;
    }
    return false;
}

static void count_line(bool held, const char *row, size_t size, void *user)
{
    count *c = user;
    tuff_device_info *info = c->info;
    info->rows_tested++;
    if (held) return;
    info->rows_wrong++;
    for (size_t i = size; i-- > 0;)
        if (row[i] == ' ') { /* without the key */
            size = i;
            break;
        }
    const size_t room = sizeof info->wrong_rows - c->used;
    if (size + 3 > room || is_listed(info->wrong_rows, row, size)) return; /* whole names only */
    int n = snprintf(info->wrong_rows + c->used, room, "%s%.*s", c->used ? ", " : "", (int)size, row);
    if (n > 0) c->used += (size_t)n;
}

void tuff_verdicts_count(const char *text, size_t size, tuff_device_info *info)
{
    count c = {.info = info};
    tuff_verdicts_read(text, size, count_line, &c);
}
