/* --logit-bias and --bad-words of tuff generate: tokens with what is added to their logits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/generate.h"

/* "ID=VALUE" or "TEXT=VALUE"; the text may have a = of its own. */
static bool parse(const char *given, size_t *out_size, float *out_bias)
{
    const char *equals = strrchr(given, '=');
    char *end = NULL;
    double value = equals ? strtod(equals + 1, &end) : 0;
    bool is_right =
        equals && equals > given && equals[1] && !*end && (value == (double)-INFINITY || fabs(value) <= 1e6);
    if (!is_right) {
        tuff_cli_say(
            "tuff: --logit-bias is \"%.60s\", expected ID=VALUE or TEXT=VALUE, with -inf or a number from -1e6 to 1e6 "
            "(see: tuff help generate)",
            given);
        return false;
    }
    *out_size = (size_t)(equals - given);
    *out_bias = (float)value;
    return true;
}

bool tuff_cli_generate_check_biases(const tuff_cli_generate_options *o)
{
    size_t size;
    float bias;
    for (size_t i = 0; i < o->logit_bias.count; i++)
        if (!parse(o->logit_bias.items[i], &size, &bias)) return false;
    for (size_t i = 0; i < o->bad_words.count; i++)
        if (!*o->bad_words.items[i]) {
            tuff_cli_say("tuff: --bad-words is empty, expected a text (see: tuff help generate)");
            return false;
        }
    return true;
}

static void add(tuff_cli_biases *to, const int32_t *ids, size_t n, float bias)
{
    tuff_logit_bias *entry = &to->items[to->count++];
    *entry = (tuff_logit_bias)TUFF_LOGIT_BIAS_INIT;
    entry->ids = ids;
    entry->count = n;
    entry->bias = bias;
}

/* The list owns the ids. */
static bool encode(const tuff_model *model, const char *text, size_t size, tuff_cli_biases *to,
                   const int32_t **out_ids, size_t *out_n)
{
    int32_t *ids = NULL;
    const tuff_tokenizer *tokenizer;
    tuff_status status = tuff_model_get_tokenizer(model, &tokenizer);
    if (status == TUFF_OK) status = tuff_tokenizer_encode(tokenizer, text, size, 0, &ids, out_n);
    if (status != TUFF_OK) {
        tuff_cli_failed();
        return false;
    }
    to->owned[to->owned_count++] = ids;
    *out_ids = ids;
    if (*out_n == 0)
        tuff_cli_say("tuff: \"%.*s\" gives no token, and so nothing that a bias could be for", (int)size,
                     text);
    return *out_n > 0;
}

/* Digits are an id, anything else is a text. */
static bool add_bias(const tuff_model *model, const char *given, tuff_cli_biases *to)
{
    size_t size, n;
    float bias;
    const int32_t *ids;
    if (!parse(given, &size, &bias)) return false;
    if (strspn(given, "0123456789") == size) {
        const long long id = strtoll(given, NULL, 10);
        int32_t *own = &to->numbers[to->number_count++];
        *own = id > INT32_MAX ? INT32_MAX : (int32_t)id;
        add(to, own, 1, bias);
        return true;
    }
    if (!encode(model, given, size, to, &ids, &n)) return false;
    add(to, ids, n, bias);
    return true;
}

/* A word has tokens of its own behind a space, in most vocabularies. */
static bool add_bad_word(const tuff_model *model, const char *word, tuff_cli_biases *to)
{
    const size_t size = strlen(word);
    const int32_t *ids, *behind;
    size_t n, n_behind;
    if (!encode(model, word, size, to, &ids, &n)) return false;
    add(to, ids, n, -INFINITY);
    char *spaced = malloc(size + 2);
    if (!spaced) {
        tuff_cli_say("tuff: out of memory");
        return false;
    }
    spaced[0] = ' ';
    memcpy(spaced + 1, word, size + 1);
    bool ok = encode(model, spaced, size + 1, to, &behind, &n_behind);
    free(spaced);
    if (ok && (n_behind != n || memcmp(ids, behind, n * sizeof *ids) != 0))
        add(to, behind, n_behind, -INFINITY);
    return ok;
}

bool tuff_cli_generate_biases(const tuff_cli_generate_options *o, const tuff_model *model,
                              tuff_cli_biases *out)
{
    bool ok = true;
    for (size_t i = 0; i < o->logit_bias.count && ok; i++)
        ok = add_bias(model, o->logit_bias.items[i], out);
    for (size_t i = 0; i < o->bad_words.count && ok; i++)
        ok = add_bad_word(model, o->bad_words.items[i], out);
    return ok;
}

bool tuff_cli_biases_join(tuff_cli_biases *biases)
{
    const size_t n = biases->count + biases->model_count;
    if (n == 0) return true;
    biases->all = malloc(n * sizeof *biases->all);
    if (!biases->all) {
        tuff_cli_say("tuff: out of memory");
        return false;
    }
    for (size_t i = 0; i < n; i++)
        biases->all[i] = i < biases->count ? biases->items[i] : biases->models[i - biases->count];
    biases->all_count = n;
    return true;
}

void tuff_cli_biases_free(tuff_cli_biases *biases)
{
    free(biases->all);
    tuff_free(biases->models);
    tuff_free((void *)biases->stops);
    for (size_t i = 0; i < biases->owned_count; i++)
        tuff_free(biases->owned[i]);
}
