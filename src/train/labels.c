#include "train/labels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/heads/head.h"

/* Digits alone; false: it is none, or too long for one. */
static bool as_number(tuff_view text, int64_t *out)
{
    *out = 0;
    if (text.size == 0 || text.size >= 10) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        *out = 10 * *out + (text.data[i] - '0');
    }
    return true;
}

static tuff_status add(tuff_labels *labels, tuff_view name)
{
    int64_t unused;
    if (!tuff_grow((void **)&labels->names, labels->count, &labels->capacity, sizeof *labels->names))
        return tuff_fail_memory("the labels of a data set");
    const char *copy = tuff_arena_printf(&labels->arena, "%.*s", (int)name.size, name.data);
    if (!copy || !tuff_map_put(&labels->by_name, name.data, name.size, (uint32_t)labels->count))
        return tuff_fail_memory("the labels of a data set");
    labels->names[labels->count++] = copy;
    labels->numbered = labels->numbered || as_number(name, &unused);
    return TUFF_OK;
}

tuff_status tuff_labels_of_model(tuff_labels *labels, const tuff_model *model)
{
    char scratch[TUFF_LABEL_SIZE];
    for (int64_t i = 0; i < model->config.labels; i++)
        TUFF_TRY(add(labels, tuff_model_label(model, i, scratch)));
    labels->closed = true;
    return TUFF_OK;
}

tuff_status tuff_labels_copy(tuff_labels *labels, const tuff_labels *from)
{
    for (size_t i = 0; i < from->count; i++)
        TUFF_TRY(add(labels, tuff_view_of(from->names[i])));
    labels->closed = true;
    return TUFF_OK;
}

tuff_status tuff_labels_need_same(const tuff_labels *labels, const tuff_labels *other)
{
    bool same = labels->count == other->count;
    char known[200], found[200];
    for (size_t i = 0; i < labels->count && same; i++)
        same = strcmp(labels->names[i], other->names[i]) == 0;
    if (same) return TUFF_OK;
    tuff_labels_list(labels, known);
    tuff_labels_list(other, found);
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "its labels are %s, those of parts before it %s; read it with `like` one of these",
                     found, known);
}

int32_t tuff_labels_find(const tuff_labels *labels, tuff_view name)
{
    uint32_t at;
    int64_t number;
    if (tuff_map_get(&labels->by_name, name.data, name.size, &at)) return (int32_t)at;
    if (!labels->closed || labels->numbered || !as_number(name, &number)) return -1;
    return number < (int64_t)labels->count ? (int32_t)number : -1;
}

tuff_status tuff_labels_take(tuff_labels *labels, tuff_view name, int32_t *out_number)
{
    *out_number = tuff_labels_find(labels, name);
    if (*out_number >= 0 || labels->closed) return TUFF_OK;
    *out_number = (int32_t)labels->count;
    return add(labels, name);
}

/* Numbers in their order, before all others. */
static int by_name(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int64_t m, n;
    const bool x_is = as_number(tuff_view_of(x), &m), y_is = as_number(tuff_view_of(y), &n);
    if (x_is != y_is) return x_is ? -1 : 1;
    if (x_is && m != n) return m < n ? -1 : 1;
    return strcmp(x, y);
}

/* Whether all are among the model's, which are put into *of_model then. */
static tuff_status find_all(const tuff_labels *labels, const tuff_model *model, tuff_labels *of_model,
                            bool *out_all)
{
    *out_all = model->config.head && model->config.head->head->has_labels;
    if (!*out_all) return TUFF_OK;
    TUFF_TRY(tuff_labels_of_model(of_model, model));
    for (size_t i = 0; i < labels->count && *out_all; i++)
        *out_all = tuff_labels_find(of_model, tuff_view_of(labels->names[i])) >= 0;
    return TUFF_OK;
}

static tuff_status settled(const tuff_labels *labels, const tuff_model *model, tuff_labels *out)
{
    bool all;
    TUFF_TRY(find_all(labels, model, out, &all));
    if (all) return TUFF_OK;
    tuff_labels_free(out);
    const char **names = tuff_alloc_array(labels->count + 1, sizeof *names);
    if (!names) return tuff_fail_memory("the labels of a data set");
    tuff_status status = TUFF_OK;
    for (size_t i = 0; i < labels->count; i++)
        names[i] = labels->names[i];
    qsort(names, labels->count, sizeof *names, by_name);
    for (size_t i = 0; i < labels->count && status == TUFF_OK; i++)
        status = add(out, tuff_view_of(names[i]));
    out->closed = true;
    tuff_free(names);
    return status;
}

/* Once for all: a file may have as many labels as records. */
static tuff_status tally(tuff_labels *labels, const int32_t *numbers, size_t n)
{
    tuff_free(labels->counts);
    labels->counts = tuff_alloc_array(labels->count + 1, sizeof *labels->counts); /* zeros */
    if (!labels->counts) return tuff_fail_memory("the labels of a data set");
    for (size_t i = 0; i < n; i++)
        if (numbers[i] >= 0) labels->counts[numbers[i]]++;
    return TUFF_OK;
}

tuff_status tuff_labels_settle(tuff_labels *labels, const tuff_model *model, int32_t *numbers, size_t n)
{
    tuff_labels now = {0};
    if (labels->closed) return tally(labels, numbers, n);
    tuff_status status = settled(labels, model, &now);
    for (size_t i = 0; i < n && status == TUFF_OK; i++)
        if (numbers[i] >= 0) numbers[i] = tuff_labels_find(&now, tuff_view_of(labels->names[numbers[i]]));
    if (status != TUFF_OK) {
        tuff_labels_free(&now);
        return status;
    }
    tuff_labels_free(labels);
    *labels = now;
    return tally(labels, numbers, n);
}

static tuff_status take_kept(tuff_labels *labels, tuff_kept *k, size_t count)
{
    char *name = NULL;
    tuff_labels_free(labels);
    for (size_t i = 0; i < count && k->status == TUFF_OK; i++) {
        tuff_kept_text(k, &name);
        if (k->status == TUFF_OK && name) k->status = add(labels, tuff_view_of(name));
    }
    tuff_free(name);
    labels->closed = true;
    labels->counts = tuff_alloc_array(count + 1, sizeof *labels->counts);
    if (!labels->counts) return tuff_fail_memory("the labels of a data set");
    return labels->count == count ? TUFF_OK
                                  : tuff_fail(TUFF_BAD_FORMAT, "what is kept of the data is damaged");
}

void tuff_labels_keep(tuff_labels *labels, tuff_kept *k)
{
    size_t count = labels->count;
    tuff_kept_count(k, &count);
    if (k->to) {
        for (size_t i = 0; i < count; i++)
            tuff_kept_text(k, (char **)(uintptr_t)&labels->names[i]);
    } else if (k->status == TUFF_OK) {
        const tuff_status status = take_kept(labels, k, count);
        if (k->status == TUFF_OK) k->status = status;
    }
    for (size_t i = 0; i < count && k->status == TUFF_OK; i++)
        tuff_kept_value(k, &labels->counts[i], sizeof *labels->counts);
}

bool tuff_labels_count(const tuff_labels *labels, size_t index, const char **out_name, int64_t *out_count)
{
    if (index >= labels->count) return false;
    *out_name = labels->names[index];
    *out_count = labels->counts[index];
    return true;
}

void tuff_labels_list(const tuff_labels *labels, char text[200])
{
    size_t at = 0;
    text[0] = 0;
    for (size_t i = 0; i < labels->count && at < 150; i++)
        at += (size_t)snprintf(text + at, 200 - at, "%s%.40s", i ? ", " : "", labels->names[i]);
    if (at >= 150) snprintf(text + 150, 50, " ...");
}

void tuff_labels_free(tuff_labels *labels)
{
    tuff_free(labels->names);
    tuff_free(labels->counts);
    tuff_map_free(&labels->by_name);
    tuff_arena_free(&labels->arena);
    *labels = (tuff_labels){0};
}
