/* train: what is said before the first step, on the terminal and in the report. */
#include <stdarg.h>
#include <string.h>

#include "cli/train.h"

static void row(tuff_cli_setting *s, const char *word, const char *format, ...) TUFF_PRINTF(3, 4);
static void row(tuff_cli_setting *s, const char *word, const char *format, ...)
{
    tuff_cli_setting_row *to = &s->rows[s->count++];
    va_list args;
    to->word = word;
    va_start(args, format);
    vsnprintf(to->text, sizeof to->text, format, args);
    va_end(args);
}

/* Gradients lie in the arena, or in buffers of their own when they are summed over several batches. */
static void memory_rows(tuff_cli_setting *s, const tuff_train_memory *m, bool verbose)
{
    bool apart = m->gradients_apart;
    row(s, "memory", "weights %s + optimizer %s%s%s + arena %s%s%s + transfers %s = %s",
        tuff_cli_bytes(m->weights), tuff_cli_bytes(m->optimizer), apart ? " + gradients " : "",
        apart ? tuff_cli_bytes(m->gradients) : "", tuff_cli_bytes(m->arena),
        m->evaluation ? " + evaluation " : "", m->evaluation ? tuff_cli_bytes(m->evaluation) : "",
        tuff_cli_bytes(m->transfers), tuff_cli_bytes(m->total));
    if (!verbose) return;
    if (apart)
        row(s, "arena", "no plan of this step does with less than %s; the gradients lie beside it",
            tuff_cli_bytes(m->arena_bound));
    else
        row(s, "arena", "no plan of this step does with less than %s; the gradients, %s, lie in it",
            tuff_cli_bytes(m->arena_bound), tuff_cli_bytes(m->gradients));
}

bool tuff_cli_setting_of(tuff_cli_setting *s, const tuff_cli_train_options *o, const tuff_trainer *trainer,
                         const tuff_model *model, const tuff_device *device, const tuff_dataset *data,
                         const tuff_train_params *p, int64_t block)
{
    tuff_model_info info = TUFF_MODEL_INFO_INIT;
    tuff_train_memory m = TUFF_TRAIN_MEMORY_INIT;
    *s = (tuff_cli_setting){.count = 0};
    if (tuff_model_get_info(model, &info) != TUFF_OK || tuff_trainer_get_memory(trainer, &m) != TUFF_OK)
        return false;
    int64_t steps = tuff_trainer_total_steps(trainer);
    const char *kind = tuff_cli_method_title(o);
    int64_t examples = p->per_device_train_batch_size * p->gradient_accumulation_steps;
    row(s, "device", "%s", tuff_device_get_info(device)->name);
    row(s, "model", "%s, %s parameters; %s trained%s%s%s", info.architecture, tuff_cli_count(m.parameters),
        tuff_cli_count(m.trained_parameters), kind ? " (" : "", kind ? kind : "", kind ? ")" : "");
    bool blocks = o->task == TUFF_CLI_CAUSAL_LM;
    int64_t all = tuff_dataset_blocks(data), whole = (all + examples - 1) / examples;
    double epochs = blocks ? (double)(steps * examples) / (double)all : (double)steps / (double)whole;
    if (blocks)
        row(s, "data", "%s tokens, %s blocks of %s", tuff_cli_count(tuff_dataset_tokens(data)),
            tuff_cli_count(all), tuff_cli_count(block));
    else
        row(s, "data", "%s %s, %s tokens", tuff_cli_count(all), o->data.packing ? "rows" : "examples",
            tuff_cli_count(tuff_dataset_tokens(data)));
    if (blocks)
        row(s, "steps", "%s of %s tokens (%lld x %lld blocks), %.3g epochs", tuff_cli_count(steps),
            tuff_cli_count(examples * block), (long long)p->gradient_accumulation_steps,
            (long long)p->per_device_train_batch_size, epochs);
    else
        row(s, "steps", "%s of %s %s (%lld x %lld), %.3g epochs", tuff_cli_count(steps),
            tuff_cli_count(examples), o->data.packing ? "rows" : "examples",
            (long long)p->gradient_accumulation_steps, (long long)p->per_device_train_batch_size, epochs);
    if (p->bf16) row(s, "precision", "operands of products in bf16, all else in f32");
    if (*tuff_trainer_dropout(trainer)) row(s, "dropout", "%s", tuff_trainer_dropout(trainer));
    memory_rows(s, &m, o->common.verbose);
    return true;
}

void tuff_cli_setting_print(const tuff_cli_setting *s)
{
    for (size_t i = 0; i < s->count; i++)
        tuff_cli_row(s->rows[i].word, "%s", s->rows[i].text);
}
