/* The files that `tuff train --mix` mixes. */
#include <stdlib.h>
#include <string.h>

#include "cli/train.h"

/* "chat.jsonl=0.7": the number behind the last '=' is a weight. False: what stands there is none. */
static bool read_part(const char *text, tuff_cli_mixed *out)
{
    const char *equals = strrchr(text, '=');
    char *end = NULL;
    *out = (tuff_cli_mixed){.weight = 1};
    size_t n = strlen(text);
    if (equals) {
        out->weight = strtod(equals + 1, &end);
        if (end == equals + 1 || *end) return false;
        n = (size_t)(equals - text);
    }
    if (!n || n >= sizeof out->path || !(out->weight > 0 && out->weight < 1e9)) return false;
    memcpy(out->path, text, n);
    out->path[n] = 0;
    return true;
}

bool tuff_cli_mixture_part(const tuff_cli_train_options *o, size_t index, tuff_cli_mixed *out)
{
    return index < o->mix.count && read_part(o->mix.items[index], out);
}

const char *tuff_cli_mixture_settle(tuff_cli_train_options *o)
{
    static char first[TUFF_CLI_PATH];
    tuff_cli_mixed part;
    if (!o->mix.count && !o->train_file)
        return "give --train-file FILE, or --mix FILE=WEIGHT for each of several files";
    if (!o->mix.count) return o->mix_end ? "--stopping-strategy is of --mix" : NULL;
    if (o->train_file) return "--mix and --train-file both say what to train on; give one";
    for (size_t i = o->mix.count; i > 0; i--)
        if (!read_part(o->mix.items[i - 1], &part))
            return "a --mix is no FILE=WEIGHT with a weight above 0, such as chat.jsonl=0.7";
    memcpy(first, part.path, sizeof first);
    o->train_file = first;
    return NULL;
}

int tuff_cli_mixture_task(const tuff_cli_train_options *o)
{
    tuff_cli_mixed part;
    int task = TUFF_CLI_CAUSAL_LM;
    for (size_t i = 0; tuff_cli_mixture_part(o, i, &part); i++) {
        const int found = tuff_cli_task_of_file(part.path);
        if (found != TUFF_CLI_CAUSAL_LM) task = found;
        if (found < 0) return found;
    }
    return task;
}

/* What files are read as: with the labels of `like`, where there is one; what is held out of them, or the
 * rest. */
typedef struct reading {
    const tuff_cli_train_options *options;
    const tuff_model *model;
    int64_t block;
    const tuff_dataset *like;
    bool held_out, scored; /* scored: pairs that are held out have scores */
} reading;

/* Texts may stand beside conversations. */
static tuff_status load_part(const reading *r, const char *path, tuff_dataset **out)
{
    const tuff_cli_train_options *o = r->options;
    const tuff_dataset *like = r->like;
    tuff_cli_data_options data = o->data;
    int task = o->task;
    if (task == TUFF_CLI_TRAIN_EMBEDDING)
        return r->held_out ? tuff_cli_train_load_measured_pairs(o, r->model, path, true, r->scored, out)
                           : tuff_cli_train_load_some_pairs(o, r->model, path, false, out);
    if (task == TUFF_CLI_SFT) task = tuff_cli_task_of_file(path);
    if (task < 0) return TUFF_CANCELLED;                                  /* it was said why */
    if (!strstr(tuff_cli_task_name(task), "classification")) like = NULL; /* labels are the first file's */
    data.threads = o->common.threads;
    data.quiet = o->common.quiet || o->common.verbose;
    data.split_seed = o->seed;
    data.held_out = r->held_out;
    if (r->held_out) data.block_stride = 0; /* each token is measured once */
    return tuff_cli_load_data(r->model, path, task, &data, r->block, o->format == TUFF_CLI_FORMAT_TEXT,
                              !r->held_out, like, out);
}

static double examples_of(const tuff_dataset *data)
{
    const int64_t n = tuff_dataset_blocks(data);
    return n ? (double)n : 1;
}

/* The first file's labels are those of the others. What is held out is measured once, each of it. */
static tuff_status load_parts(reading r, tuff_dataset *parts[TUFF_ARG_LIST_MAX], tuff_dataset **out)
{
    double weights[TUFF_ARG_LIST_MAX];
    tuff_cli_mixed part;
    tuff_status status = TUFF_OK;
    for (size_t i = 0; status == TUFF_OK && tuff_cli_mixture_part(r.options, i, &part); i++) {
        weights[i] = part.weight;
        status = load_part(&r, part.path, &parts[i]);
        if (!r.held_out) r.like = parts[0];
        if (r.held_out && status == TUFF_OK) weights[i] = examples_of(parts[i]);
    }
    if (status != TUFF_OK) return status;
    return tuff_dataset_mix((const tuff_dataset *const *)parts, weights, r.options->mix.count,
                            r.held_out ? TUFF_MIXTURE_ALL_EXHAUSTED : (tuff_mixture_end)r.options->mix_end,
                            out);
}

tuff_status tuff_cli_train_load_mixture(const tuff_cli_train_options *o, const tuff_model *model,
                                        int64_t block, tuff_dataset *parts[TUFF_ARG_LIST_MAX],
                                        tuff_dataset **out_train)
{
    return load_parts((reading){o, model, block, NULL, false, false}, parts, out_train);
}

tuff_status tuff_cli_train_load_held_out(const tuff_cli_train_options *o, const tuff_model *model,
                                         int64_t block, const tuff_dataset *train,
                                         tuff_dataset **out_validation)
{
    tuff_dataset *parts[TUFF_ARG_LIST_MAX] = {NULL};
    reading r = {o, model, block, train, true, o->task == TUFF_CLI_TRAIN_EMBEDDING};
    tuff_status status = load_parts(r, parts, out_validation);
    tuff_cli_mixture_free(parts);
    if (status == TUFF_OK || !r.scored) return status;
    r.scored = false; /* of one kind are all of them, or of the other */
    status = load_parts(r, parts, out_validation);
    tuff_cli_mixture_free(parts);
    return status;
}

void tuff_cli_mixture_free(tuff_dataset *parts[TUFF_ARG_LIST_MAX])
{
    for (int i = 0; i < TUFF_ARG_LIST_MAX; i++)
        tuff_dataset_destroy(&parts[i]);
}

int64_t tuff_cli_mixture_examples(const tuff_dataset *train)
{
    int64_t all = 0, examples, of_epoch;
    for (size_t i = 0; tuff_dataset_mixed(train, i, &examples, &of_epoch); i++)
        all += examples;
    return all ? all : tuff_dataset_blocks(train);
}

void tuff_cli_mixture_report(const tuff_cli_train_options *o, const tuff_dataset *train,
                             tuff_dataset *const parts[TUFF_ARG_LIST_MAX])
{
    tuff_cli_mixed part;
    int64_t examples, of_epoch;
    for (size_t i = 0; tuff_cli_mixture_part(o, i, &part); i++) {
        if (!tuff_dataset_mixed(train, i, &examples, &of_epoch)) break;
        tuff_cli_report("file", part.path, parts[i]);
        tuff_cli_row("weight", "%g: %s of the %s examples of an epoch (%.2f times all of them)", part.weight,
                     tuff_cli_count(of_epoch), tuff_cli_count(tuff_dataset_blocks(train)),
                     (double)of_epoch / (double)examples);
    }
}

void tuff_cli_mixture_json(const tuff_cli_train_options *o, const tuff_dataset *train)
{
    tuff_cli_mixed part;
    int64_t examples, of_epoch;
    for (size_t i = 0; tuff_cli_mixture_part(o, i, &part); i++) {
        if (!tuff_dataset_mixed(train, i, &examples, &of_epoch)) break;
        printf("%s{\"file\": ", i ? ", " : ", \"mixture\": [");
        tuff_cli_json_text(stdout, part.path, strlen(part.path));
        printf(", \"weight\": ");
        tuff_cli_json_number(stdout, part.weight);
        printf(", \"examples\": %lld, \"examples_of_epoch\": %lld}", (long long)examples,
               (long long)of_epoch);
    }
    if (o->mix.count) printf("]");
}
