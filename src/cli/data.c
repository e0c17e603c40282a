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

/* Of a head of an adapter's own texts are not made, nor vectors. */
tuff_status tuff_cli_load_speaking(const char *path, const char *adapter, tuff_model **out_base,
                                   tuff_model **out_adapted, const tuff_model **out_model)
{
    tuff_model_info base = TUFF_MODEL_INFO_INIT, adapted = TUFF_MODEL_INFO_INIT;
    tuff_status status = tuff_cli_load_adapted(path, adapter, out_base, out_adapted, out_model);
    if (status == TUFF_OK) status = tuff_model_get_info(*out_base, &base);
    if (status == TUFF_OK) status = tuff_model_get_info(*out_model, &adapted);
    const tuff_tokenizer *tokenizers[2] = {NULL, NULL};
    if (status != TUFF_OK || tuff_model_get_tokenizer(*out_base, &tokenizers[0]) != TUFF_OK ||
        tuff_model_get_tokenizer(*out_model, &tokenizers[1]) != TUFF_OK)
        return status;
    if (adapted.vocab_size == base.vocab_size && adapted.tied == base.tied && tokenizers[0] == tokenizers[1])
        *out_model = *out_base;
    return TUFF_OK;
}

static bool is_own(const char *name)
{
    for (size_t i = 0; tuff_chat_template_name(i); i++)
        if (strcmp(tuff_chat_template_name(i), name) == 0) return true;
    return false;
}

tuff_status tuff_cli_choose_template(const char *name, const tuff_model *model,
                                     tuff_chat_template **out_template)
{
    const tuff_tokenizer *tokenizer;
    tuff_status status = tuff_model_get_tokenizer(model, &tokenizer);
    if (status != TUFF_OK) return status;
    if (name && is_own(name)) return tuff_chat_template_named(name, tokenizer, out_template);
    if (name && !tuff_cli_exists(name) && strchr(name, '/')) {
        tuff_cli_say("tuff: --chat-template %s: there is no such file", name);
        return TUFF_OK;
    }
    if (!name || !tuff_cli_exists(name)) return tuff_chat_template_of_model(model, name, out_template);
    char *text = tuff_cli_read_text(name);
    if (text) status = tuff_chat_template_create(text, strlen(text), tokenizer, out_template);
    free(text);
    return status;
}

/* A file of a directory; NULL: it is not there. */
static const char *file_beside(const char *directory, const char *name)
{
    static char path[TUFF_CLI_PATH];
    if (!directory) return NULL;
    const size_t size = strlen(directory);
    const char *slash = size && directory[size - 1] == '/' ? "" : "/";
    const int n = snprintf(path, sizeof path, "%s%s%s", directory, slash, name);
    return n > 0 && (size_t)n < sizeof path && tuff_cli_exists(path) ? path : NULL;
}

const char *tuff_cli_adapter_template(const char *adapter)
{
    return file_beside(adapter, "chat_template.jinja");
}

const char *tuff_cli_layout(const char *directory)
{
    static char name[32];
    const char *path = file_beside(directory, "chat_layout.txt");
    char *text = path ? tuff_cli_read_text(path) : NULL;
    if (!text) return NULL;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "\r\n"), text);
    free(text);
    return is_own(name) ? name : NULL;
}

tuff_status tuff_cli_load_data(const tuff_model *model, const char *path, int task,
                               const tuff_cli_data_options *o, int64_t block, bool allow_json, bool training,
                               const tuff_dataset *like, tuff_dataset **out_dataset)
{
    static const char *const formats[] = {NULL, "messages", "sharegpt", "completion", "alpaca"};
    static const char *const problems[] = {NULL, "regression", "single_label_classification",
                                           "multi_label_classification"};
    char loss[16];
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
    p.chat_template_kwargs = o->chat_template_kwargs;
    p.conversation_format = formats[o->conversation_format];
    p.loss_on_prompts = o->assistant_only_loss != 0;
    p.truncate_left = o->truncation_side != 0;
    p.packing = o->packing;
    p.strict = o->strict;
    p.loss = word(TUFF_CLI_PREFERENCES, o->preference, loss, sizeof loss);
    p.beta = o->beta;
    p.label_smoothing = o->label_smoothing;
    p.desirable_weight = o->desirable_weight;
    p.undesirable_weight = o->undesirable_weight;
    p.no_cache = o->no_cache;
    p.block_stride = o->block_stride;
    p.validation_split = o->validation_split;
    p.held_out = o->held_out;
    p.split_seed = (uint64_t)o->split_seed;
    p.threads = (uint32_t)o->threads;
    tuff_chat_template *template = NULL;
    tuff_status status = TUFF_OK;
    const char *given = o->chat_template ? o->chat_template : tuff_cli_adapter_template(o->adapter);
    if (given) status = tuff_cli_choose_template(given, model, &template);
    if (status == TUFF_OK && given && !template) return TUFF_CANCELLED; /* it was said why */
    p.chat_template = template;
    if (status == TUFF_OK) status = tuff_dataset_load(model, path, &p, out_dataset);
    if (status == TUFF_OK && task == TUFF_CLI_CAUSAL_LM && !allow_json && !o->quiet &&
        tuff_cli_names_records(path))
        tuff_cli_say("tuff: %s: the text is what its records have as \"%s\"", path,
                     o->text_field ? o->text_field : "text");
    tuff_chat_template_destroy(&template);
    return status;
}

bool tuff_cli_names_records(const char *path)
{
    static const char *const endings[] = {".jsonl", ".ndjson", ".json", ".csv", ".tsv"};
    const size_t size = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = strlen(endings[i]);
        if (size >= n && strcmp(path + size - n, endings[i]) == 0) return true;
    }
    return false;
}

int tuff_cli_task_of_file(const char *path)
{
    const char *task;
    if (tuff_data_recognize(path, &task) == TUFF_BAD_FORMAT) {
        tuff_cli_failed();
        return -1;
    }
    return task && strcmp(task, "sft") == 0 ? TUFF_CLI_SFT : TUFF_CLI_CAUSAL_LM;
}

const char *tuff_cli_check_conversations(const tuff_cli_data_options *o, int task, const char *file,
                                         bool as_text)
{
    const bool sft = o->conversation_format || o->assistant_only_loss || o->packing;
    const bool all = o->chat_template || o->chat_template_kwargs || o->truncation_side;
    if (o->strict && task == TUFF_CLI_CAUSAL_LM && as_text)
        return "--strict is of records, and files that are taken as text have none";
    if (o->strict && task == TUFF_CLI_CAUSAL_LM && !tuff_cli_names_records(file) &&
        !tuff_cli_is_directory(file))
        return "--strict is of tasks that learn from records, and causal-lm learns from text";
    if (sft && task == TUFF_CLI_PREFERENCE)
        return "--conversation-format, --assistant-only-loss and --packing are of --task sft";
    if ((sft || all) && task != TUFF_CLI_SFT && task != TUFF_CLI_PREFERENCE)
        return "options of conversations are of --task sft and preference";
    return NULL;
}

const char *tuff_cli_check_answers(const tuff_cli_data_options *o, int task)
{
    if (o->predict_with_generate && task != TUFF_CLI_SEQ2SEQ && task != TUFF_CLI_SFT)
        return "--predict-with-generate is of --task seq2seq and sft";
    if (o->use_stemmer && !o->predict_with_generate && task != TUFF_CLI_SEQ2SEQ)
        return "--use-stemmer is of answers that the model gives by itself: it needs --predict-with-generate";
    return NULL;
}

const char *tuff_cli_check_preferences(const tuff_cli_data_options *o, int task)
{
    const bool given = o->preference || o->beta != 0.1 || o->label_smoothing > 0 ||
                       o->desirable_weight != 1 || o->undesirable_weight != 1;
    if (!given || task == TUFF_CLI_PREFERENCE) return NULL;
    return "--loss dpo and its kin, --beta, --label-smoothing, --desirable-weight and --undesirable-weight are of --task "
           "preference";
}

int tuff_cli_data_failed(tuff_status status, int task, const char *path, const char *option)
{
    if (status == TUFF_CANCELLED) return TUFF_EXIT_FAILED; /* it was said why */
    if (task == TUFF_CLI_CAUSAL_LM) return tuff_cli_text_failed(status, path, option);
    if ((task != TUFF_CLI_SFT && task != TUFF_CLI_PREFERENCE) || status != TUFF_NOT_FOUND)
        return tuff_cli_failed();
    tuff_cli_say("tuff: %s by --chat-template, such as chatml", tuff_error_message());
    return TUFF_EXIT_FAILED;
}
