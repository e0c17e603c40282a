#include "models/mix.h"

#include <stdio.h>
#include <string.h>

/* Which tensors a rule is about, by their names. */
typedef enum tensors {
    TENSORS_ALL,
    TENSORS_OUTPUT, /* or the table of tokens where that is the output */
    TENSORS_VALUES,
    TENSORS_KEYS,
    TENSORS_ATTENTION_OUT,
    TENSORS_DOWN,
    TENSORS_OTHER
} tensors;

/* Where a rule holds; all bits of it. i is the layer's number among n. */
enum {
    ANYWHERE = 0,
    MORE_BITS = 1 << 0,    /* layers that are worth it: the first and the last eighth, each third between */
    LESS_BITS = 1 << 1,    /* the others */
    FIRST_EIGHTH = 1 << 2, /* i < n / 8, whole numbers */
    FIRST_SIXTEENTH = 1 << 3, /* i < n / 16 */
    FIRST_TWO = 1 << 4,
    FIRST_FOUR = 1 << 5,
    FOUR_QUERIES = 1 << 6, /* or more heads of queries share keys and values */
    EIGHT_EXPERTS = 1 << 7,
    IS_EXPERTS = 1 << 8, /* a matrix per expert */
    IS_70B = 1 << 9,     /* what llama.cpp takes for Llama 2 70B or Qwen 2 72B */
    IS_FALCON = 1 << 10,
    PART_BLOCKS = 1 << 11, /* rows that are no whole blocks of the mix's type */
    WEIGHED = 1 << 12,     /* with importances, */
    UNWEIGHED = 1 << 13    /* and without */
};

enum { TUFF_MIX_ALL = -1 };
static const struct rule {
    int mix;
    tensors tensors;
    unsigned where;
    tuff_storage type;
} rules[] = {
#define TUFF_MIX_RULE(mix, tensors, where, type) \
    {TUFF_MIX_##mix, TENSORS_##tensors, where, TUFF_STORE_##type},
#include "models/mixes.def"
};

static const struct part {
    tensors tensors;
    const char *name;
} parts[] = {
#define TUFF_MIX_TENSORS(which, part) {TENSORS_##which, part},
#include "models/mixes.def"
};

static const char *const whole[] = {
#define TUFF_MIX_WHOLE(part) part,
#include "models/mixes.def"
};

static const struct fallback {
    tuff_storage type, other;
} fallbacks[] = {
#define TUFF_MIX_FALLBACK(type, other) {TUFF_STORE_##type, TUFF_STORE_##other},
#include "models/mixes.def"
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

const tuff_mix_info *tuff_mix_get(tuff_mix mix)
{
    static const tuff_mix_info infos[TUFF_MIX_COUNT] = {
#define TUFF_MIX(NAME, name, type, file_type) {name, TUFF_STORE_##type, file_type},
#include "models/mixes.def"
    };
    TUFF_ASSERT((unsigned)mix < TUFF_MIX_COUNT);
    return &infos[mix];
}

tuff_mix tuff_mix_of(const char *name)
{
    tuff_mix mix = 0;
    while (mix < TUFF_MIX_COUNT && strcmp(tuff_mix_get(mix)->name, name) != 0)
        mix++;
    return mix;
}

/* A file whose types are chosen. */
typedef struct choice {
    tuff_mix mix;
    const tuff_config *config;
    const tuff_save_item *items;
    size_t count;
    bool weighed, separate; /* the output has a matrix of its own */
    int64_t experts;        /* the most of a layer; 1: it has none */
} choice;

static bool is_chosen(const tuff_save_item *item)
{
    if (item->rank < 2 || !tuff_ends_with(item->name, "weight")) return false;
    for (size_t i = 0; i < COUNT(whole); i++)
        if (strstr(item->name, whole[i])) return false;
    return true;
}

static tensors tensors_of(const choice *c, const char *name)
{
    if (strcmp(name, "output.weight") == 0) return TENSORS_OUTPUT;
    if (strcmp(name, "token_embd.weight") == 0) return c->separate ? TENSORS_OTHER : TENSORS_OUTPUT;
    for (size_t i = 0; i < COUNT(parts); i++)
        if (strstr(name, parts[i].name)) return parts[i].tensors;
    return TENSORS_OTHER;
}

/* -1: it is of no layer. */
static int layer_of(const char *name)
{
    int layer;
    return sscanf(name, "blk.%d.", &layer) == 1 ? layer : -1;
}

/* The order in which llama.cpp goes through a file, and counts. */
static bool comes_before(const char *a, const char *b)
{
    const int x = layer_of(a), y = layer_of(b);
    return x != y ? x < y : strcmp(a, b) < 0;
}

/* The number of an item among those of its kind, and of how many layers that is one. */
static void place_of(const choice *c, const tuff_save_item *item, tensors which, int64_t *out_i,
                     int64_t *out_n)
{
    int64_t before = 0, all = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (!is_chosen(&c->items[i]) || tensors_of(c, c->items[i].name) != which) continue;
        all++;
        before += comes_before(c->items[i].name, item->name);
    }
    *out_i = which == TENSORS_DOWN && c->experts > 1 ? layer_of(item->name) : before;
    *out_n = which == TENSORS_DOWN ? c->config->layers : all;
}

static unsigned bit(unsigned where, bool holds)
{
    return holds ? where : 0;
}

static int64_t columns_of(const tuff_save_item *item)
{
    return item->shape[item->rank - 1];
}

/* All that holds of an item. */
static unsigned facts_of(const choice *c, const tuff_save_item *item, tensors which)
{
    const tuff_config *config = c->config;
    const char *arch = config->arch->gguf;
    const bool large =
        config->layers == 80 &&
        (strcmp(arch, "qwen2") == 0 || (strcmp(arch, "llama") == 0 && config->heads != config->kv_heads));
    int64_t i, n;
    place_of(c, item, which, &i, &n);
    const bool more = i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
    return bit(MORE_BITS, more) | bit(LESS_BITS, !more) | bit(FIRST_EIGHTH, i < n / 8) |
           bit(FIRST_SIXTEENTH, i < n / 16) | bit(FIRST_TWO, i < 2) | bit(FIRST_FOUR, i < 4) |
           bit(FOUR_QUERIES, config->kv_heads > 0 && config->heads / config->kv_heads >= 4) |
           bit(EIGHT_EXPERTS, c->experts == 8) | bit(IS_EXPERTS, item->rank == 3 && item->shape[0] > 1) |
           bit(IS_70B, large) | bit(IS_FALCON, strcmp(arch, "falcon") == 0) |
           bit(PART_BLOCKS, columns_of(item) % tuff_storage_get(tuff_mix_get(c->mix)->type)->block != 0) |
           bit(WEIGHED, c->weighed) | bit(UNWEIGHED, !c->weighed);
}

/* What suits the rows: half floats where not even a fallback does. */
static tuff_storage fitting(tuff_storage type, int64_t columns)
{
    for (size_t i = 0; i < COUNT(fallbacks) && columns % tuff_storage_get(type)->block != 0; i++)
        if (fallbacks[i].type == type) type = fallbacks[i].other;
    return columns % tuff_storage_get(type)->block == 0 ? type : TUFF_STORE_F16;
}

static tuff_storage type_of(const choice *c, const tuff_save_item *item)
{
    const tensors which = tensors_of(c, item->name);
    const unsigned facts = facts_of(c, item, which);
    tuff_storage type = tuff_mix_get(c->mix)->type;
    for (size_t i = 0; i < COUNT(rules); i++) {
        const struct rule *r = &rules[i];
        if ((r->mix != TUFF_MIX_ALL && r->mix != (int)c->mix) ||
            (r->tensors != TENSORS_ALL && r->tensors != which) || (r->where & ~facts) != 0)
            continue;
        type = r->type;
        break;
    }
    return fitting(type, columns_of(item));
}

void tuff_mix_apply(tuff_mix mix, const tuff_config *config, bool weighed, tuff_save_item *items,
                    size_t count)
{
    const tuff_storage type = tuff_mix_get(mix)->type;
    choice c = {mix, config, items, count, weighed, false, 1};
    for (size_t i = 0; i < count; i++) {
        if (strcmp(items[i].name, "output.weight") == 0) c.separate = true;
        if (items[i].rank == 3 && items[i].shape[0] > c.experts) c.experts = items[i].shape[0];
    }
    for (size_t i = 0; i < count; i++) {
        items[i].storage = TUFF_STORE_F32;
        if (tuff_storage_block(type) == TUFF_BLOCK_COUNT)
            items[i].storage = items[i].rank > 1 && tuff_ends_with(items[i].name, ".weight") &&
                                       !tuff_ends_with(items[i].name, "_norm.weight")
                                   ? type
                                   : TUFF_STORE_F32;
        else if (is_chosen(&items[i]))
            items[i].storage = type_of(&c, &items[i]);
    }
}
