/* train: what the model says now, to the prompts that are asked for. */
#include <stdlib.h>
#include <string.h>

#include "cli/train.h"

typedef struct text {
    char *data;
    size_t size;
} text;

static bool take_piece(const char *piece, size_t size, void *user)
{
    return fwrite(piece, 1, size, user) == size;
}

static tuff_status generate(const tuff_cli_train_options *o, tuff_trainer *trainer, const char *prompt,
                            FILE *to)
{
    tuff_sampling sampling = TUFF_SAMPLING_INIT;
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    sampling.temperature = (float)o->sample_temperature;
    sampling.seed = (uint64_t)o->seed;
    p.sampling = &sampling;
    p.max_new_tokens = o->sample_tokens;
    p.source_prefix = o->data.source_prefix;
    p.on_text = take_piece;
    p.user = to;
    return tuff_trainer_generate(trainer, prompt, strlen(prompt), &p, NULL);
}

/* False: *out_status, or that of memory, which is said here. */
static bool say_one(const tuff_cli_train_options *o, tuff_trainer *trainer, const char *prompt, text *out,
                    tuff_status *out_status)
{
    FILE *to = tuff_cli_memory_stream(&out->data, &out->size);
    *out_status = to ? generate(o, trainer, prompt, to) : TUFF_OK;
    const bool whole = to && !ferror(to);
    if (to && fclose(to) == 0 && whole) return *out_status == TUFF_OK;
    if (*out_status == TUFF_OK) tuff_cli_say("tuff: out of memory");
    return false;
}

/* The beginning of a text as what a terminal may be given: no byte moves the cursor, none is half a
 * character. */
static void one_line(const char *from, size_t size, char out[TUFF_CLI_SAMPLE_SHOWN + 4])
{
    size_t n = size < TUFF_CLI_SAMPLE_SHOWN ? size : TUFF_CLI_SAMPLE_SHOWN;
    while (n < size && n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80)
        n--;
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)from[i], next = i + 1 < n ? (unsigned char)from[i + 1] : 0;
        const bool latin = c == 0xc2 && next >= 0x80 && next < 0xa0; /* U+0080 to U+009F, two bytes */
        out[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
        if (latin) out[i] = out[i + 1] = ' ';
        i += latin;
    }
    memcpy(out + n, n < size ? "..." : "", n < size ? 4 : 1);
}

static void show(const char *prompt, const text *said)
{
    char before[TUFF_CLI_SAMPLE_SHOWN + 4], after[TUFF_CLI_SAMPLE_SHOWN + 4];
    one_line(prompt, strlen(prompt), before);
    one_line(said->data, said->size, after);
    tuff_cli_row("sample", "%s | %s", before, after);
}

/* All of them, or, after an interruption or a failure, none. */
static bool gather(tuff_cli_samples *s, tuff_trainer *trainer, int64_t step, text *said)
{
    const tuff_cli_train_options *o = s->options;
    tuff_status status = TUFF_OK;
    for (size_t i = 0; i < o->sample_prompts.count; i++) {
        if (say_one(o, trainer, o->sample_prompts.items[i], &said[i], &status)) continue;
        s->interrupted = status == TUFF_CANCELLED && tuff_cli_interrupted();
        s->failed = !s->interrupted;
        if (s->failed && status != TUFF_OK && step == 0) tuff_cli_failed();
        if (s->failed && status != TUFF_OK && step != 0)
            tuff_cli_say("tuff: warning: there are no samples from step %lld on: %s", (long long)step,
                         tuff_error_message());
        return false;
    }
    return true;
}

bool tuff_cli_samples_take(tuff_cli_samples *s, tuff_trainer *trainer, int64_t step, tuff_cli_log *log,
                           tuff_cli_page *report)
{
    const tuff_cli_train_options *o = s->options;
    text said[TUFF_ARG_LIST_MAX] = {{0}};
    if (!o->sample_prompts.count || s->failed || (s->at == step && !s->interrupted)) return true;
    s->at = step;
    s->interrupted = tuff_cli_interrupted();
    const bool good = !s->interrupted && gather(s, trainer, step, said);
    for (size_t i = 0; i < o->sample_prompts.count; i++) {
        const char *prompt = o->sample_prompts.items[i];
        if (good) tuff_cli_log_sample(log, step, prompt, said[i].data, said[i].size);
        if (good) tuff_cli_page_sample(report, step, prompt, said[i].data, said[i].size);
        if (good && !o->common.quiet) show(prompt, &said[i]);
        free(said[i].data);
    }
    /* what cannot be at all shows before the first step; later it is no reason to lose a training */
    return good || s->interrupted || step != 0;
}
