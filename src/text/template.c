#include "text/template.h"

#include "base/status.h"

tuff_status tuff_template_add(tuff_template *t, int32_t id, int32_t type, const char *where)
{
    if (t->count == TUFF_TEMPLATE_LIMIT)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: the post-processor has more than %d parts; Tuff supports up to %d", where,
                         TUFF_TEMPLATE_LIMIT, TUFF_TEMPLATE_LIMIT);
    t->parts[t->count++] = (tuff_template_part){id, type};
    return TUFF_OK;
}

size_t tuff_template_specials(const tuff_template *t)
{
    size_t specials = 0;
    for (size_t i = 0; i < t->count; i++)
        specials += t->parts[i].id >= 0;
    return specials;
}

size_t tuff_template_before(const tuff_template *t)
{
    size_t i = 0;
    while (i < t->count && t->parts[i].id != TUFF_PART_FIRST)
        i++;
    return i;
}

size_t tuff_template_after(const tuff_template *t)
{
    return t->count ? t->count - tuff_template_before(t) - 1 : 0;
}

static void add(tuff_template *t, int32_t id, int32_t type)
{
    if (id >= 0 || id == TUFF_PART_FIRST || id == TUFF_PART_SECOND)
        t->parts[t->count++] = (tuff_template_part){id, type};
}

/* An id that is missing must not be taken for a text. */
static int32_t known(int32_t id)
{
    return id >= 0 ? id : INT32_MIN;
}

void tuff_template_fill(tuff_template *single, tuff_template *pair, int32_t before, int32_t after,
                        int32_t between, bool second_type)
{
    int32_t type = second_type ? 1 : 0;
    single->count = pair->count = 0;
    add(single, known(before), 0);
    add(single, TUFF_PART_FIRST, 0);
    add(single, known(after), 0);
    *pair = *single;
    add(pair, known(between), type);
    add(pair, TUFF_PART_SECOND, type);
    add(pair, known(after), type);
}
