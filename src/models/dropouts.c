#include "models/dropouts.h"

#include <stdio.h>
#include <string.h>

#include "models/heads/head.h"
#include "models/keys.h"

static const struct listed {
    const char *archs, *keys;
    double preset;
    unsigned places;
} list[] = {
#define AT(place)                                 (1u << TUFF_DROP_##place)
#define TUFF_DROPOUT(archs, keys, preset, places) {archs, keys, preset, places},
#include "models/dropouts.def"
#undef AT
};

enum { LINES = sizeof list / sizeof *list };

/* Falcon's modules drop probabilities with ALiBi only, and attention apart from the feed-forward layer only
 * where that comes after it. */
static void settle(const tuff_config *c, tuff_dropouts *d)
{
    if (c->arch != &tuff_arch_falcon) return;
    if (c->alibi.most == 0) d->of[TUFF_DROP_ATTENTION] = 0;
    if (c->drops_sum) d->of[TUFF_DROP_ATTENTION_OUT] = 0;
}

/* The key at `keys`, of *size bytes, which may be of an object within; NULL: the file has no number there. */
static const cJSON *number_at(const cJSON *json, const char *keys, size_t size)
{
    char key[64];
    snprintf(key, sizeof key, "%.*s", (int)size, keys);
    char *dot = strchr(key, '.');
    if (dot) {
        *dot = '\0';
        json = cJSON_GetObjectItemCaseSensitive(json, key);
    }
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, dot ? dot + 1 : key);
    return item && !cJSON_IsNull(item) ? item : NULL;
}

static tuff_status read_line(const cJSON *json, const char *where, const struct listed *line, double *out)
{
    *out = line->preset;
    for (const char *key = line->keys; *key;) {
        const size_t size = strcspn(key, " ");
        const cJSON *item = number_at(json, key, size);
        if (item) {
            *out = item->valuedouble;
            if (cJSON_IsNumber(item) && *out >= 0 && *out < 1) return TUFF_OK;
            return tuff_fail(TUFF_BAD_FORMAT, "%s: %.*s must be a number from 0 to less than 1", where,
                             (int)size, key);
        }
        key += size + (key[size] == ' ');
    }
    return TUFF_OK;
}

static void set(tuff_dropouts *d, unsigned places, double p)
{
    for (int i = 0; i < TUFF_DROP_COUNT; i++)
        if (places >> i & 1) d->of[i] = p;
}

tuff_status tuff_dropouts_read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->dropouts = (tuff_dropouts){{0}};
    for (int i = 0; i < LINES; i++) {
        double p;
        if (!tuff_has_word(list[i].archs, c->arch->name)) continue;
        TUFF_TRY(read_line(json, where, &list[i], &p));
        set(&c->dropouts, list[i].places, p);
    }
    settle(c, &c->dropouts);
    return TUFF_OK;
}

tuff_dropouts tuff_dropouts_all(const tuff_config *c, double p)
{
    tuff_dropouts d = {{0}};
    for (int i = 0; i < LINES; i++)
        if (tuff_has_word(list[i].archs, c->arch->name)) set(&d, list[i].places, p);
    settle(c, &d);
    return d;
}

void tuff_dropouts_fit(const tuff_config *c, tuff_dropouts *d)
{
    const bool classes = tuff_config_has_head(c, &tuff_head_classes);
    if (!c->encoder) d->of[TUFF_DROP_CROSS] = d->of[TUFF_DROP_CROSS_OUT] = 0;
    if (!classes) d->of[TUFF_DROP_CLASSES_IN] = d->of[TUFF_DROP_CLASSES_OUT] = 0;
    if (!tuff_config_has_head(c, &tuff_head_tokens)) d->of[TUFF_DROP_TOKENS] = 0;
    if (!tuff_config_has_head(c, &tuff_head_spans)) d->of[TUFF_DROP_SPANS] = 0;
}

void tuff_dropouts_put(const tuff_dropouts *d, tuff_buf *out)
{
    static const char *const names[TUFF_DROP_COUNT] = {
        [TUFF_DROP_EMBEDDINGS] = "embeddings",
        [TUFF_DROP_ATTENTION] = "attention",
        [TUFF_DROP_ATTENTION_OUT] = "attention's output",
        [TUFF_DROP_CROSS] = "attention to the encoder",
        [TUFF_DROP_CROSS_OUT] = "that attention's output",
        [TUFF_DROP_FFN_INSIDE] = "within feed-forward",
        [TUFF_DROP_FFN_OUT] = "feed-forward's output",
        [TUFF_DROP_FINAL] = "the last states",
        [TUFF_DROP_CLASSES_IN] = "the classifier's input",
        [TUFF_DROP_CLASSES_OUT] = "what gives classes",
        [TUFF_DROP_TOKENS] = "what gives the tokens' labels",
        [TUFF_DROP_SPANS] = "what gives answers",
    };
    for (int i = 0; i < TUFF_DROP_COUNT; i++) {
        bool first = d->of[i] > 0;
        for (int k = 0; k < i; k++)
            first = first && d->of[k] != d->of[i];
        if (!first) continue;
        tuff_buf_printf(out, "%s%g of %s", out->size ? "; " : "", d->of[i], names[i]);
        for (int k = i + 1; k < TUFF_DROP_COUNT; k++)
            if (d->of[k] == d->of[i]) tuff_buf_printf(out, ", %s", names[k]);
    }
}
