/* Lists and dicts while they are made. */
#include <string.h>

#include "base/hash.h"
#include "jinja/run.h"

tuff_jinja_list *tuff_jinja_list_new(tuff_jinja_run *run, size_t capacity)
{
    tuff_jinja_list *list = tuff_jinja_alloc(run, sizeof *list);
    if (!list || !capacity) return list;
    list->items = tuff_jinja_array(run, capacity, sizeof *list->items);
    list->capacity = capacity;
    return list->items ? list : NULL;
}

/* A larger array of values with the `count` that there are. */
static tuff_jinja_value *grown(tuff_jinja_run *run, const tuff_jinja_value *old, size_t count,
                               size_t capacity)
{
    tuff_jinja_value *items = tuff_jinja_array(run, capacity, sizeof *items);
    if (items && count) memcpy(items, old, count * sizeof *items);
    return items;
}

bool tuff_jinja_list_add(tuff_jinja_run *run, tuff_jinja_list *list, tuff_jinja_value item)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 4;
        tuff_jinja_value *items = grown(run, list->items, list->count, capacity);
        if (!items) return false;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return true;
}

tuff_jinja_value tuff_jinja_list_value(tuff_jinja_kind kind, tuff_jinja_list *list)
{
    return (tuff_jinja_value){.kind = (uint8_t)kind, .as.list = list};
}

bool tuff_jinja_pair(tuff_jinja_run *run, tuff_jinja_value first, tuff_jinja_value second,
                     tuff_jinja_value *out)
{
    tuff_jinja_list *list = tuff_jinja_list_new(run, 2);
    if (!list) return false;
    list->items[0] = first;
    list->items[1] = second;
    list->count = 2;
    *out = tuff_jinja_list_value(TUFF_JINJA_TUPLE, list);
    return true;
}

tuff_jinja_dict *tuff_jinja_dict_new(tuff_jinja_run *run)
{
    return tuff_jinja_alloc(run, sizeof(tuff_jinja_dict));
}

tuff_jinja_value tuff_jinja_dict_value(tuff_jinja_kind kind, tuff_jinja_dict *dict)
{
    return (tuff_jinja_value){.kind = (uint8_t)kind, .as.dict = dict};
}

/* Equal keys have equal hashes: 1, 1.0 and True are one key. False: a key that no dict has. */
static bool hash_of(tuff_jinja_run *run, const tuff_jinja_value *key, uint64_t *out)
{
    if (key->kind == TUFF_JINJA_TEXT) {
        *out = tuff_fnv1a(key->as.text, key->size);
    } else if (tuff_jinja_is_number(key)) {
        const double number = tuff_jinja_as_float(key) + 0.0; /* -0 is 0 */
        *out = tuff_fnv1a(&number, sizeof number);
    } else if (key->kind == TUFF_JINJA_NONE || key->kind == TUFF_JINJA_UNDEFINED) {
        *out = key->kind;
    } else if (key->kind == TUFF_JINJA_TUPLE) {
        uint64_t hash = key->as.list->count;
        for (size_t i = 0; i < key->as.list->count; i++) {
            uint64_t one = 0;
            const bool good = tuff_jinja_enter(run) && tuff_jinja_spend(run, 1) &&
                              hash_of(run, &key->as.list->items[i], &one);
            tuff_jinja_leave(run);
            if (!good) return false;
            hash = (hash ^ one) * 0x9e3779b97f4a7c15u;
        }
        *out = hash;
    } else {
        return false;
    }
    *out = (*out ^ tuff_hash_seed()) * 0x9e3779b97f4a7c15u;
    *out ^= *out >> 29;
    return true;
}

enum { FEW = 8 };

/* The number of the pair, or `count`. */
static size_t place_of(tuff_jinja_run *run, const tuff_jinja_dict *dict, const tuff_jinja_value *key,
                       uint64_t hash)
{
    if (!dict->index) {
        for (size_t i = 0; i < dict->count; i++)
            if (tuff_jinja_equal(run, &dict->pairs[2 * i], key)) return i;
        return dict->count;
    }
    for (size_t at = (size_t)hash & (dict->index_size - 1); dict->index[at];
         at = (at + 1) & (dict->index_size - 1))
        if (tuff_jinja_equal(run, &dict->pairs[2 * (dict->index[at] - 1)], key)) return dict->index[at] - 1;
    return dict->count;
}

static void note_place(tuff_jinja_dict *dict, uint64_t hash, size_t place)
{
    size_t at = (size_t)hash & (dict->index_size - 1);
    while (dict->index[at])
        at = (at + 1) & (dict->index_size - 1);
    dict->index[at] = (uint32_t)place + 1;
}

static bool grow(tuff_jinja_run *run, tuff_jinja_dict *dict)
{
    const size_t capacity = dict->capacity ? 2 * dict->capacity : 4;
    tuff_jinja_value *pairs = grown(run, dict->pairs, 2 * dict->count, 2 * capacity);
    if (!pairs) return false;
    dict->pairs = pairs;
    dict->capacity = capacity;
    if (capacity <= FEW) return true;
    dict->index = tuff_jinja_array(run, 2 * capacity, sizeof *dict->index);
    if (!dict->index) return false;
    dict->index_size = 2 * capacity;
    for (size_t i = 0; i < dict->count; i++) {
        uint64_t hash;
        if (!hash_of(run, &pairs[2 * i], &hash)) return false;
        note_place(dict, hash, i);
    }
    return true;
}

bool tuff_jinja_dict_put(tuff_jinja_run *run, tuff_jinja_dict *dict, tuff_jinja_value key,
                         tuff_jinja_value value)
{
    uint64_t hash;
    if (!hash_of(run, &key, &hash))
        return tuff_jinja_fail(run, "%s is no key that a dict can have", tuff_jinja_type(&key));
    const size_t place = place_of(run, dict, &key, hash);
    if (run->status != TUFF_OK) return false;
    if (place < dict->count) {
        dict->pairs[2 * place + 1] = value;
        return true;
    }
    if (dict->count == dict->capacity && !grow(run, dict)) return false;
    dict->pairs[2 * dict->count] = key;
    dict->pairs[2 * dict->count + 1] = value;
    if (dict->index) note_place(dict, hash, dict->count);
    dict->count++;
    return true;
}

tuff_jinja_value *tuff_jinja_dict_get(tuff_jinja_run *run, const tuff_jinja_dict *dict,
                                      const tuff_jinja_value *key)
{
    uint64_t hash;
    if (!hash_of(run, key, &hash)) return NULL;
    const size_t place = place_of(run, dict, key, hash);
    return place < dict->count ? &dict->pairs[2 * place + 1] : NULL;
}

tuff_jinja_value *tuff_jinja_dict_find(tuff_jinja_run *run, const tuff_jinja_dict *dict, const char *key)
{
    const tuff_jinja_value value = tuff_jinja_literal(key);
    return tuff_jinja_dict_get(run, dict, &value);
}
