/* tuff eval */
#include <string.h>
#include <tuff/train.h>

#include "cli/eval.h"

typedef tuff_cli_eval_options eval_options;

#define AT(field) .offset = offsetof(eval_options, field)
static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "Options:"},
    {TUFF_ARG_TEXT, "model", "PATH", AT(model), .help = TUFF_CLI_MODEL_HELP, .required = true},
    {TUFF_ARG_CHOICE, "task", TUFF_CLI_EVAL_TASKS, AT(task),
     .help =
         "causal-lm, mlm: how well texts are predicted; seq2seq: that, and how often texts are answered as they are to be; classification, token-classification, qa: how often the model is "
         "right; sts: whether vectors are near where people call texts alike; retrieval: "
         "whether search finds what answers a query; sft: how well the assistant's answers in conversations are predicted; "
         "preference: how often the answers that are preferred are rewarded more",
     .preset = "sft for files of conversations, else causal-lm"},
    {TUFF_ARG_TEXT, "file", "FILE", AT(file),
     .help =
         "causal-lm: the text, UTF-8; sts: pairs of texts with scores, else records: as JSON (.jsonl, .json), CSV or TSV"},
    {TUFF_ARG_CHOICE, "file-format", "auto|text", AT(format),
     .help =
         "auto: of a file of records the text is what they have as \"text\", or as --text-field says; text takes every file "
         "as it is written"},
    {TUFF_ARG_TEXT, "adapter", "DIR", AT(adapter),
     .help = "an adapter to apply, of PEFT or a .gguf file; several LoRAs by weight: a=0.7,b=0.3"},
    {TUFF_ARG_INT, "batch-size", "N", AT(batch_size), 1, 65536, "blocks or examples that run at once"},
    TUFF_CLI_DATA_ROWS(eval_options),
    TUFF_CLI_CONVERSATION_ROWS(eval_options),
    {.kind = TUFF_ARG_GROUP, .name = "Of seq2seq and sft:"},
    TUFF_CLI_ANSWER_ROWS(eval_options),
    {.kind = TUFF_ARG_GROUP, .name = "Of preference:"},
    {TUFF_ARG_CHOICE, "loss", TUFF_CLI_PREFERENCES, AT(data.preference),
     .help = "what the adapter was trained by; all but orpo are measured from the model without the adapter"},
    TUFF_CLI_PREFERENCE_ROWS(eval_options),
    {.kind = TUFF_ARG_GROUP, .name = "Of causal-lm:"},
    {TUFF_ARG_INT, "block-size", "N", AT(block_size), 2, 16777216, "tokens of a block",
     "1024, or the model's context if that is less"},
    TUFF_CLI_CACHE_ROW(eval_options),
    {TUFF_ARG_TEXT, "dump-logits", "FILE", AT(dump_logits),
     .help = "also write input_ids and logits of the first blocks, at most 4, as safetensors",
     .use = TUFF_USE_WRITTEN},
    {.kind = TUFF_ARG_GROUP, .name = "Of sts and retrieval:"},
    {TUFF_ARG_CHOICE, "pooling", "model|mean|cls|max|last|weighted-mean|mean-sqrt-len", AT(pooling),
     .help = "how the vectors of a text's tokens become one, as for `tuff embed`"},
    {TUFF_ARG_INT, "dimensions", "N", AT(dimensions), 1, 1048576, "only the first N numbers (Matryoshka)",
     "all"},
    {.kind = TUFF_ARG_GROUP, .name = "Of sts:"},
    {TUFF_ARG_TEXT, "sentence1", "NAME", AT(sentence1), .help = "the key or column of the first text",
     .preset = "sentence1"},
    {TUFF_ARG_TEXT, "sentence2", "NAME", AT(sentence2), .help = "that of the second", .preset = "sentence2"},
    {TUFF_ARG_TEXT, "score", "NAME", AT(score), .help = "that of how alike they are, on any scale",
     .preset = "score"},
    {TUFF_ARG_TEXT, "prompt", "TEXT", AT(prompt), .help = "put before every text",
     .preset = "the model's default prompt, if it has one"},
    {.kind = TUFF_ARG_GROUP, .name = "Of retrieval:"},
    {TUFF_ARG_TEXT, "docs", "FILE", AT(docs),
     .help = "the documents with their ids, as JSON (.jsonl, .json), CSV or TSV"},
    {TUFF_ARG_TEXT, "queries", "FILE", AT(queries), .help = "the queries with theirs"},
    {TUFF_ARG_TEXT, "qrels", "FILE", AT(qrels),
     .help =
         "which documents are relevant: lines \"query iteration document relevance\" (TREC) or \"query document "
         "relevance\" (BEIR)"},
    {TUFF_ARG_TEXT, "id-field", "NAME", AT(id_field), .help = "the key or column of ids", .preset = "_id"},
    {TUFF_ARG_TEXT, "query-prompt", "TEXT", AT(query_prompt), .help = "put before every query",
     .preset = "the model's prompt called \"query\", if it has one"},
    {TUFF_ARG_TEXT, "document-prompt", "TEXT", AT(document_prompt), .help = "put before every document",
     .preset = "the model's prompt called \"document\", \"passage\" or \"corpus\", if it has one"},
    TUFF_CLI_DEVICE_ROWS,
    TUFF_CLI_JSON_ROW("print one JSON object with the figures"),
    TUFF_CLI_TALK_ROWS,
};
static const tuff_args spec = {
    .verb = "eval",
    .usage =
        "--model PATH (--file FILE | --task retrieval --docs FILE --queries FILE --qrels FILE) [options]",
    .stray = "a model as --model PATH, a text as --file FILE",
    .about = "Measures how well a model predicts a text, or how good its vectors are.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .examples = "tuff eval --model MODEL --file text.txt\n"
                "tuff eval --task classification --model out --file test.tsv --text-field sentence --json",
    .notes =
        "How it is counted:\n"
        "  causal-lm: the text becomes one stream of tokens (special tokens spelled out in it are seen, none are added), cut "
        "into blocks of --block-size that do not overlap. In each block every token but the first is predicted "
        "from those before it in the block. A last block that is not full counts when it has two tokens. "
        "tokens is the number of predictions, loss their mean negative log-likelihood in nats, perplexity "
        "exp(loss). Numbers from other block sizes or tokenizers do not compare.\n"
        "  seq2seq: loss and perplexity of the tokens of targets, each given those before it and the source; accuracy is the "
        "share of them that are the most probable ones there. Of what the model answers by itself, always taking the most "
        "probable token, up to twice as many as the target has and 16: bleu and chrf as sacrebleu counts them with its "
        "defaults (tokenizer 13a, exponential smoothing; 0 to 100), rouge1, rouge2, rougeL and rougeLsum as rouge-score does "
        "(means of F-measures; sentences are lines), exact_match the share of answers that are the same text. White space "
        "around texts does not count.\n"
        "  sft: the tokens that the assistant says, and those that end answers, given what stands before them: loss, perplexity, "
        "and as accuracy the share of them that are the most probable ones there; with --predict-with-generate the same of "
        "each answer by itself as for seq2seq.\n"
        "  preference: the loss, and the means of rewards, their margins, how often the chosen answer has the larger one "
        "(rewards/accuracies), and of the logarithms of the answers' probabilities, as TRL counts them.\n"
        "  mlm: loss and perplexity of the tokens that are hidden, which are the same in every run.\n"
        "  classification, token-classification (of each word's first token), as scikit-learn counts them: accuracy; F1, "
        "precision and recall as means over the classes (_macro), weighted by how often they occur (_weighted), and of all "
        "labels together (_micro); of two classes those of the second; mcc, Matthews' correlation. Where words have labels "
        "such as B-PER, I-PER and O, those of whole entities, as seqeval does (entity_f1). Of numbers mse, rmse, mae and "
        "the correlations.\n"
        "  qa: exact_match and f1 as SQuAD counts them, in percent.\n"
        "  sts: the correlation of the cosines of pairs with their scores, by rank (spearman; equal ones share their mean "
        "rank) and as numbers (pearson).\n"
        "  retrieval: every query is compared with every document by cosine. Means over the queries that have a relevant "
        "document; ndcg is of relevant or not, map over min(100, relevant documents).\n",
};

static void print_result(const eval_options *o, const tuff_dataset *data, const tuff_eval_result *r,
                         int64_t block)
{
    const bool tokens = o->task == TUFF_CLI_CAUSAL_LM || o->task == TUFF_CLI_SFT;
    const char *counted = tokens ? "tokens" : "labels";
    tuff_eval_figure all[TUFF_EVAL_FIGURES + 2] = {{"loss", r->loss}, {"perplexity", r->perplexity}};
    size_t n = r->perplexity > 0 ? 2 : 1;
    for (int64_t i = 0; i < r->count; i++)
        all[n++] = r->figures[i];
    int width = 12;
    for (size_t i = 0; i < n; i++)
        if ((int)strlen(all[i].name) >= width) width = (int)strlen(all[i].name) + 1;
    for (size_t i = 0; i < n; i++) {
        if (o->common.json) {
            printf("%s\"%s\": ", i ? ", " : "{", all[i].name);
            tuff_cli_json_number(stdout, all[i].value);
        } else {
            printf("%-*s%.*f\n", width, all[i].name, i ? 4 : 6, all[i].value);
        }
    }
    if (o->common.json)
        printf(", \"%s\": %lld", counted, (long long)r->tokens);
    else
        printf("%-*s%s", width, counted, tuff_cli_count(r->tokens));
    if (o->task == TUFF_CLI_CAUSAL_LM)
        printf(o->common.json ? ", \"block_size\": %lld" : " in blocks of %lld", (long long)block);
    if (o->common.json) {
        printf(", \"data\": ");
        tuff_cli_report_json(stdout, data, NULL);
    }
    puts(o->common.json ? "}" : "");
}

static int evaluate(const eval_options *o, const tuff_model *model, tuff_device *device)
{
    int64_t block = tuff_cli_block_size(model, o->block_size);
    const tuff_watch *watch = tuff_cli_watch();
    tuff_eval_params params = TUFF_EVAL_PARAMS_INIT;
    params.batch_size = o->batch_size;
    params.adapter = o->adapter;
    params.watch = watch;
    params.predict_with_generate = o->data.predict_with_generate;
    params.use_stemmer = o->data.use_stemmer;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    tuff_dataset *data = NULL;
    int code = TUFF_EXIT_OK;
    tuff_cli_data_options from = o->data;
    from.threads = o->common.threads;
    from.quiet = o->common.quiet || o->common.verbose;
    tuff_status status = tuff_cli_load_data(model, o->file, o->task, &from, block,
                                            o->format == TUFF_CLI_FORMAT_TEXT, false, NULL, &data);
    if (status != TUFF_OK)
        return tuff_cli_data_failed(status, o->task, o->file,
                                    o->format == TUFF_CLI_FORMAT_TEXT ? NULL : "file-format");
    if (o->task == TUFF_CLI_SFT && !o->common.quiet) tuff_cli_report("data", o->file, data);
    if (o->task != TUFF_CLI_SFT && !o->common.quiet) tuff_cli_report_left_out(data);
    tuff_cli_catch_interrupt();
    status = tuff_evaluate(model, device, data, &params, &result);
    if (status == TUFF_OK && o->dump_logits)
        status = tuff_save_logits(model, device, data, o->adapter, watch, o->dump_logits);
    if (status == TUFF_CANCELLED && tuff_cli_interrupted()) {
        tuff_cli_say("tuff: interrupted");
        code = TUFF_EXIT_FAILED;
    } else if (status != TUFF_OK) {
        code = tuff_cli_failed();
    } else {
        tuff_cli_show_line("");
        print_result(o, data, &result, block);
    }
    tuff_dataset_destroy(&data);
    return code;
}

static int measure(const eval_options *o, const tuff_model *model, tuff_device *device)
{
    return o->task < TUFF_CLI_TASK_COUNT ? evaluate(o, model, device)
                                         : tuff_cli_eval_embeddings(o, model, device);
}

/* What is measured where no --task says so. */
static bool settle_task(eval_options *o)
{
    if (o->task >= 0) return true;
    const bool text = !o->file || o->format == TUFF_CLI_FORMAT_TEXT || o->block_size || o->dump_logits;
    o->task = text ? TUFF_CLI_CAUSAL_LM : tuff_cli_task_of_file(o->file);
    return o->task >= 0;
}

static bool check(const eval_options *o)
{
    bool search = o->task == TUFF_CLI_EVAL_RETRIEVAL;
    const char *wrong = NULL;
    if (search && !(o->docs && o->queries && o->qrels))
        wrong = "--task retrieval needs --docs FILE, --queries FILE and --qrels FILE";
    else if (search && o->file)
        wrong = "--task retrieval takes --docs, --queries and --qrels, no --file";
    else if (!search && (o->docs || o->queries || o->qrels))
        wrong = "--docs, --queries and --qrels are of --task retrieval";
    else if (!search && !o->file)
        wrong = "give --file FILE";
    else if (o->task != TUFF_CLI_SEQ2SEQ && o->data.source_prefix)
        wrong = "--source-prefix is of --task seq2seq";
    else
        wrong = tuff_cli_check_conversations(&o->data, o->task, o->file, o->format == TUFF_CLI_FORMAT_TEXT);
    if (!wrong) wrong = tuff_cli_check_answers(&o->data, o->task);
    if (!wrong) wrong = tuff_cli_check_preferences(&o->data, o->task);
    if (!wrong && o->task != TUFF_CLI_CAUSAL_LM && (o->dump_logits || o->block_size))
        wrong = "--dump-logits and --block-size are of --task causal-lm";
    if (wrong) tuff_cli_say("tuff: %s (see: tuff eval --help)", wrong);
    return !wrong;
}

int tuff_cli_eval(int argc, char **argv)
{
    eval_options options = {.task = -1, .batch_size = 4, .data = TUFF_CLI_DATA_DEFAULTS};
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    if (!settle_task(&options) || !check(&options)) return TUFF_EXIT_USAGE;
    tuff_cli_begin(&options.common);
    if (!tuff_cli_find_model(&options.model, options.common.quiet) ||
        !tuff_cli_find_adapter(&options.adapter, options.common.quiet))
        return TUFF_EXIT_FAILED;
    options.data.adapter = options.adapter;
    if (!tuff_cli_check_outputs(&spec, &options)) return TUFF_EXIT_FAILED;
    tuff_model *base = NULL, *adapted = NULL;
    const tuff_model *model = NULL;
    tuff_device *device = NULL;
    int code = tuff_cli_load_adapted(options.model, options.adapter, &base, &adapted, &model) == TUFF_OK &&
                       tuff_cli_open_device(&options.common, false, &device) == TUFF_OK
                   ? measure(&options, model, device)
                   : tuff_cli_failed();
    tuff_cli_device_stats(&options.common, device);
    tuff_device_destroy(&device);
    tuff_model_destroy(&adapted);
    tuff_model_destroy(&base);
    return code;
}
