/* How a model's vectors are made of its states, carried from file to file: a sentence-transformers directory
 * says it beside the model, a GGUF by the number of a pooling. */
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "formats/sentence.h"
#include "models/save_source.h"

enum { NUMBERS = 4, NOT_SAID = -1 };
/* llama.cpp's enum llama_pooling_type: none, mean, cls, last; a reranker's 4 makes no vectors. */
static const tuff_pooling by_number[NUMBERS] = {TUFF_POOLING_MODEL, TUFF_POOLING_MEAN, TUFF_POOLING_CLS,
                                                TUFF_POOLING_LAST};

/* NOT_SAID where there is no such key, whose name it gives. */
static tuff_status read_number(const tuff_model *model, char name[64], int64_t *out_number)
{
    snprintf(name, 64, "%s.pooling_type", model->config.arch->gguf);
    *out_number = NOT_SAID;
    return tuff_gguf_int(model->gguf, name, out_number);
}

tuff_status tuff_model_gguf_pooling(const tuff_model *model, tuff_pooling *out_pooling)
{
    char name[64];
    int64_t number;
    *out_pooling = TUFF_POOLING_MODEL;
    TUFF_TRY(read_number(model, name, &number));
    if (number == NOT_SAID) return TUFF_OK;
    if (number < 0 || number >= NUMBERS)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: %s is %lld; Tuff knows 0 (none), 1 (mean), 2 (cls) and 3 (last)", model->path,
                         name, (long long)number);
    *out_pooling = by_number[number];
    return TUFF_OK;
}

tuff_status tuff_save_sentence_hf(const tuff_model *model, const char *directory)
{
    tuff_sentence_layout layout = {.normalize = true,
                                   .dimensions = model->config.hidden_size,
                                   .max_length = model->config.max_positions};
    char name[64];
    int64_t number;
    if (!model->gguf)
        return tuff_is_directory(model->path) ? tuff_sentence_copy(model->path, directory) : TUFF_OK;
    TUFF_TRY(read_number(model, name, &number));
    if (number < 0 || number >= NUMBERS || by_number[number] == TUFF_POOLING_MODEL) return TUFF_OK;
    layout.pooling = by_number[number];
    return tuff_sentence_write(&layout, directory);
}

/* ---- to GGUF ---- */

/* What the model's directory says; nothing of a GGUF or a file alone. */
static tuff_status read_sentence(const tuff_model *model, tuff_sentence *out)
{
    *out = (tuff_sentence){0};
    return !model->gguf && tuff_is_directory(model->path) ? tuff_sentence_read(model->path, out) : TUFF_OK;
}

static int64_t number_of(tuff_pooling pooling)
{
    for (int i = 1; i < NUMBERS; i++)
        if (by_number[i] == pooling) return i;
    return NOT_SAID;
}

tuff_status tuff_save_sentence_gguf(const tuff_model *model, tuff_gguf_builder *gguf)
{
    char name[64];
    int64_t number = NOT_SAID;
    tuff_sentence s = {0};
    if (model->gguf) TUFF_TRY(read_number(model, name, &number));
    if (read_sentence(model, &s) == TUFF_OK && s.there) number = number_of(s.pooling);
    tuff_sentence_free(&s);
    if (number < 0) return TUFF_OK;
    snprintf(name, sizeof name, "%s.pooling_type", model->config.arch->gguf);
    tuff_gguf_put_u32(gguf, name, (uint32_t)number);
    return TUFF_OK;
}

static bool has_prompts(const tuff_sentence *s)
{
    for (size_t i = 0; i < s->prompt_count; i++)
        if (*s->prompts[i].text) return true;
    return false;
}

static void say_lost(const tuff_model *model, const tuff_sentence *s, const char *path)
{
    if (s->pooling != TUFF_POOLING_MODEL && number_of(s->pooling) == NOT_SAID)
        tuff_log(
            TUFF_LOG_WARN,
            "%s: GGUF has no number for the pooling of this model: the file's vectors are others, unless "
            "--pooling says with it how they are made",
            path);
    if (s->denses)
        tuff_log(
            TUFF_LOG_WARN,
            "%s: GGUF has no names for the dense layers behind the pooling: the file's vectors are those "
            "before them",
            path);
    if (!s->normalize)
        tuff_log(
            TUFF_LOG_WARN,
            "%s: GGUF has no key for vectors that are not scaled to length 1: give --normalize no with it",
            path);
    if (s->max_length && s->max_length < model->config.max_positions)
        tuff_log(
            TUFF_LOG_WARN,
            "%s: GGUF has no key for where this model's texts are cut off, after %lld tokens, and the file's "
            "are after %lld: give --max-length %lld with it",
            path, (long long)s->max_length, (long long)model->config.max_positions, (long long)s->max_length);
    if (has_prompts(s))
        tuff_log(
            TUFF_LOG_WARN,
            "%s: GGUF has no keys for the prompts that this model puts before texts: give --prompt with it",
            path);
}

void tuff_save_sentence_say(const tuff_model *model, const char *path)
{
    tuff_sentence s;
    if (read_sentence(model, &s) != TUFF_OK)
        tuff_log(TUFF_LOG_WARN, "%s: how vectors are made is not in it: %s", path, tuff_error_message());
    else if (s.there)
        say_lost(model, &s, path);
    tuff_sentence_free(&s);
}
