#include "text/origins.h"

#include "base/memory.h"
#include "base/status.h"

void tuff_origins_clear(tuff_origins *origins)
{
    origins->count = 0;
}

void tuff_origins_free(tuff_origins *origins)
{
    tuff_free(origins->items);
    *origins = (tuff_origins){0};
}

static bool add(tuff_origins *origins, tuff_origin item)
{
    if (!tuff_grow((void **)&origins->items, origins->count, &origins->capacity, sizeof *origins->items))
        return false;
    origins->items[origins->count++] = item;
    return true;
}

/* Says where the bytes from `out` on come from, unless the last item says so already. */
static bool extend(tuff_origins *origins, tuff_origin item)
{
    const tuff_origin *last = origins->count ? &origins->items[origins->count - 1] : NULL;
    if (last && last->size == item.size) {
        uint32_t next = item.size ? last->in : last->in + (item.out - last->out);
        if (next == item.in) return true;
    }
    return add(origins, item);
}

/* The item that byte `at` belongs to. */
static size_t item_at(const tuff_origins *origins, size_t at)
{
    size_t low = 0, high = origins->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (origins->items[middle].out <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

tuff_span tuff_origins_find(const tuff_origins *origins, tuff_span made)
{
    if (!origins->count) return made;
    const tuff_origin *first = &origins->items[item_at(origins, made.start)];
    size_t start = first->size ? first->in : first->in + (made.start - first->out);
    if (made.end <= made.start) return (tuff_span){start, start};
    const tuff_origin *last = &origins->items[item_at(origins, made.end - 1)];
    size_t end = last->in + (last->size ? last->size : made.end - last->out);
    return (tuff_span){start, end > start ? end : start};
}

/* The copied bytes [out, end) that `earlier` has from `in` on, item by item. */
static bool join_copied(tuff_origins *joined, const tuff_origins *earlier, size_t out, size_t end, size_t in)
{
    for (size_t i = item_at(earlier, in); i < earlier->count && out < end; i++) {
        tuff_origin item = earlier->items[i];
        size_t next = i + 1 < earlier->count ? earlier->items[i + 1].out : in + (end - out);
        size_t passed = in - item.out, size = next - in < end - out ? next - in : end - out;
        item.out = (uint32_t)out;
        if (!item.size) item.in += (uint32_t)passed;
        if (!extend(joined, item)) return false;
        out += size;
        in += size;
    }
    return true;
}

tuff_status tuff_origins_join(tuff_origins *later, const tuff_origins *earlier)
{
    if (!earlier->count || !later->count) return TUFF_OK;
    tuff_origins joined = {0};
    bool ok = true;
    for (size_t i = 0; i < later->count && ok; i++) {
        const tuff_origin *item = &later->items[i];
        if (item->size) {
            tuff_span span = tuff_origins_find(earlier, (tuff_span){item->in, (size_t)item->in + item->size});
            uint32_t size = (uint32_t)(span.end - span.start);
            ok = extend(&joined, (tuff_origin){item->out, (uint32_t)span.start, size ? size : 1});
        } else {
            size_t end = i + 1 < later->count ? later->items[i + 1].out : UINT32_MAX;
            ok = join_copied(&joined, earlier, item->out, end, item->in);
        }
    }
    if (!ok) {
        tuff_origins_free(&joined);
        return tuff_fail_memory("the places of tokens in a text");
    }
    tuff_origins_free(later);
    *later = joined;
    return TUFF_OK;
}

void tuff_made_clear(tuff_made *made)
{
    tuff_buf_clear(&made->text);
    if (made->origins) tuff_origins_clear(made->origins);
}

void tuff_made_copy(tuff_made *made, tuff_view source, size_t at, size_t size)
{
    if (made->origins && size) {
        tuff_origin item = {.out = (uint32_t)made->text.size, .in = (uint32_t)at};
        made->text.failed = !extend(made->origins, item) || made->text.failed;
    }
    tuff_buf_bytes(&made->text, source.data + at, size);
}

void tuff_made_put(tuff_made *made, tuff_view text, size_t in, size_t size)
{
    if (made->origins && text.size) {
        tuff_origin item = {.out = (uint32_t)made->text.size, .in = (uint32_t)in, .size = (uint32_t)size};
        made->text.failed = !extend(made->origins, item) || made->text.failed;
    }
    tuff_buf_bytes(&made->text, text.data, text.size);
}

void tuff_made_put_utf8(tuff_made *made, uint32_t codepoint, size_t in, size_t size)
{
    if (made->origins) {
        tuff_origin item = {.out = (uint32_t)made->text.size, .in = (uint32_t)in, .size = (uint32_t)size};
        made->text.failed = !extend(made->origins, item) || made->text.failed;
    }
    tuff_buf_utf8(&made->text, codepoint);
}

void tuff_made_cut(tuff_made *made, size_t size)
{
    if (made->text.failed || size >= made->text.size) return;
    made->text.size = size;
    made->text.data[size] = 0;
    while (made->origins && made->origins->count &&
           made->origins->items[made->origins->count - 1].out >= size)
        made->origins->count--;
}
