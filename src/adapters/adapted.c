/* Which model an adapter is for, where that is not the one of the files: it may have more tokens, or a head
 * that is its table of tokens no more, as transformers and PEFT make one before they train. */
#include <stdio.h>
#include <string.h>

#include "adapters/lora.h"
#include "adapters/tokens.h"
#include "base/file.h"
#include "base/log.h"
#include "models/heads/head.h"

/* The rest of a tensor's name behind a module, ".weight"; NULL: it is not the module's. */
static const char *behind(const tuff_model *model, const char *name, const char *module)
{
    static const char *const prefixes[] = {TUFF_PEFT_PREFIX, TUFF_PEFT_BARE_PREFIX, ""};
    const char *inner = model->config.arch->base_prefix;
    const size_t skip = tuff_starts_with(module, inner) ? strlen(inner) : 0;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (!tuff_starts_with(name, prefixes[i])) continue;
        const char *rest = name + strlen(prefixes[i]);
        for (int bare = 0; bare < 2; bare++) {
            const char *part = bare ? module + skip : module;
            const size_t size = strlen(part);
            if (size && tuff_starts_with(rest, part) && rest[size] == '.') return rest + size;
        }
    }
    return NULL;
}

/* What the files have of a table, or of a head. */
typedef struct found {
    const tuff_weight *whole; /* all of it, trained */
    bool lora;
    int64_t rows; /* 0: they do not say */
} found;

static found find(const tuff_model *base, const tuff_weights *weights, const char *module)
{
    static const char *const whole[] = {".weight", TUFF_PEFT_BASE_WEIGHT,
                                        TUFF_TOKENS_LAYER TUFF_PEFT_BASE_WEIGHT};
    found f = {.rows = 0};
    for (size_t i = 0; module && i < weights->count; i++) {
        const tuff_weight *w = &weights->items[i];
        const char *rest = behind(base, w->name, module);
        for (int k = 0; rest && w->rank == 2 && k < 3; k++)
            if (strcmp(rest, whole[k]) == 0) {
                f.rows = w->shape[0];
                if (k == 0) f.whole = w;
            }
        if (rest && w->rank == 2 && tuff_starts_with(rest, ".lora_embedding_A")) f.rows = w->shape[1];
        f.lora = f.lora || (rest && tuff_starts_with(rest, ".lora_A."));
    }
    return f;
}

/* The largest number of a list, or of an object of lists. */
static double largest(const cJSON *json)
{
    double most = cJSON_IsNumber(json) ? json->valuedouble : -1;
    for (const cJSON *item = json && !cJSON_IsNumber(json) ? json->child : NULL; item; item = item->next) {
        const double other = cJSON_IsArray(item)    ? largest(item)
                             : cJSON_IsNumber(item) ? item->valuedouble
                                                    : -1;
        if (other > most) most = other;
    }
    return most;
}

/* The ids whose rows are trained go beyond those of the model's tokenizer. */
static bool knows_more(const tuff_model *base, const cJSON *config)
{
    const double known = base->tokenizer ? tuff_tokenizer_vocab_size(base->tokenizer)
                                         : (double)base->config.vocab_size,
                 most = largest(cJSON_GetObjectItemCaseSensitive(config, "trainable_token_indices")),
                 alone = largest(cJSON_GetObjectItemCaseSensitive(config, "token_indices"));
    return most >= known || alone >= known;
}

/* The tokenizer beside an adapter, where it has more tokens than the model's. */
static tuff_status load_tokenizer(const tuff_model *base, const char *directory, tuff_tokenizer **out)
{
    char *path = tuff_path_join(directory, "tokenizer.json");
    if (!path) return tuff_fail_memory("a path");
    const bool there = tuff_is_file(path);
    tuff_free(path);
    if (!there) return TUFF_OK;
    TUFF_TRY(tuff_tokenizer_load(directory, out));
    if (base->tokenizer && tuff_tokenizer_vocab_size(*out) <= tuff_tokenizer_vocab_size(base->tokenizer))
        tuff_tokenizer_destroy(out);
    return TUFF_OK;
}

/* Ids that the model's own tokenizer does not have. */
static tuff_status list_new(const tuff_model *base, tuff_arena *arena, tuff_model_change *change)
{
    const uint32_t from = base->tokenizer ? tuff_tokenizer_vocab_size(base->tokenizer) : 0,
                   to = tuff_tokenizer_vocab_size(change->tokenizer);
    int32_t *ids = tuff_arena_array(arena, to - from + 1, sizeof *ids);
    if (!ids) return tuff_fail_memory("the new tokens of a model");
    for (uint32_t id = from; base->tokenizer && id < to; id++)
        ids[change->new_count++] = (int32_t)id;
    change->new_ids = ids;
    return TUFF_OK;
}

/* What ends texts for its tokenizer ends them too. */
static const char *end_of(const tuff_model *base, const tuff_tokenizer *t, tuff_arena *arena)
{
    const int32_t id = tuff_tokenizer_eos_count(t) ? tuff_tokenizer_eos(t, 0) : -1;
    for (size_t i = 0; i < base->config.tokens.eos_count; i++)
        if (base->config.tokens.eos[i] == id) return NULL;
    if (id < 0) return NULL;
    const tuff_piece text = tuff_tokenizer_token(t, id);
    return tuff_arena_printf(arena, "%.*s", (int)text.size, text.data);
}

static tuff_status grow(const tuff_model *base, const char *directory, int64_t rows, tuff_arena *arena,
                        tuff_model_change *change)
{
    TUFF_TRY(load_tokenizer(base, directory, &change->tokenizer));
    change->rows = rows;
    if (!change->tokenizer) return TUFF_OK;
    const int64_t tokens = tuff_tokenizer_vocab_size(change->tokenizer);
    if (tokens > change->rows) change->rows = tokens;
    change->end = end_of(base, change->tokenizer, arena);
    return list_new(base, arena, change);
}

tuff_status tuff_adapter_change(const tuff_model *base, const char *directory, const tuff_peft_files *files,
                                tuff_model **out_model)
{
    const tuff_config *c = &base->config;
    const char *output = tuff_config_has_output(c) ? tuff_config_module(c, "output") : NULL;
    const found table = find(base, files->weights, tuff_config_module(c, "token_embd")),
                head = find(base, files->weights, output ? tuff_lora_head_name(base, output) : NULL);
    tuff_model_change change = {.rows = c->vocab_size};
    tuff_arena arena = {0};
    tuff_status status = TUFF_OK;
    const int64_t rows = table.rows > head.rows ? table.rows : head.rows;
    *out_model = NULL;
    if (c->encoder) return TUFF_OK;
    if (rows > c->vocab_size || knows_more(base, files->config))
        status = grow(base, directory, rows > c->vocab_size ? rows : c->vocab_size, &arena, &change);
    if (c->tied && output) {
        const bool same = table.whole && head.whole && tuff_weight_is_copy(head.whole, table.whole);
        change.untie = head.lora || ((table.whole || head.whole) && !same);
    }
    if (status == TUFF_OK && (change.rows > c->vocab_size || change.untie || change.tokenizer))
        status = tuff_note(tuff_model_changed(base, &change, out_model), "%s", directory);
    else
        tuff_tokenizer_destroy(&change.tokenizer);
    tuff_arena_free(&arena);
    return status;
}
