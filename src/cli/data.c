/* Examples out of files, as the verbs that train and measure are told. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* The words between bars, one at a time. */
static const char *word(const char *words, int index, char *text, size_t size)
{
    for (; index > 0; index--)
        words = strchr(words, '|') + 1;
    snprintf(text, size, "%.*s", (int)strcspn(words, "|"), words);
    return text;
}

const char *tuff_cli_task_name(int task)
{
    static char name[32];
    return word(TUFF_CLI_TASKS, task, name, sizeof name);
}

tuff_status tuff_cli_load_adapted(const char *path, const char *adapter, tuff_model **out_base,
                                  tuff_model **out_adapted, const tuff_model **out_model)
{
    tuff_status status = tuff_model_load(path, out_base);
    if (status == TUFF_OK && adapter) status = tuff_model_adapted(*out_base, adapter, out_adapted);
    *out_model = *out_adapted ? *out_adapted : *out_base;
    return status;
}

tuff_status tuff_cli_load_data(const tuff_model *model, const char *path, int task,
                               const tuff_cli_data_options *o, int64_t block, bool allow_json, bool training,
                               const tuff_dataset *like, tuff_dataset **out_dataset)
{
    static const char *const problems[] = {NULL, "regression", "single_label_classification",
                                           "multi_label_classification"};
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.task = tuff_cli_task_name(task);
    p.training = training;
    p.allow_json = allow_json;
    p.like = like;
    p.block_size = block;
    p.max_length = o->max_length;
    p.stride = o->stride;
    p.mlm_probability = o->mlm_probability;
    p.text_field = o->text_field;
    p.text_pair_field = o->text_pair_field;
    p.label_field = o->label_field;
    p.question_field = o->question_field;
    p.context_field = o->context_field;
    p.answers_field = o->answers_field;
    p.problem_type = problems[o->problem];
    p.source_prefix = o->source_prefix;
    p.watch = tuff_cli_watch();
    return tuff_dataset_load(model, path, &p, out_dataset);
}
