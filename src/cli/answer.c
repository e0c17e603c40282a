/* tuff answer */
#include <stdlib.h>

#include "cli/predict.h"

typedef struct answer_options {
    tuff_cli_predict predict;
    tuff_arg_list questions;
    const char *context, *context_file;
    int64_t overlap, longest;
    bool maybe_none;
} answer_options;

#define AT(member) .offset = offsetof(answer_options, member)
static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "Options:"},
    TUFF_CLI_PREDICT_MODEL_ROW,
    {TUFF_ARG_LIST, "question", "TEXT", AT(questions), .help = "a question; may be given again"},
    {TUFF_ARG_TEXT, "context", "TEXT", AT(context), .help = "the text that holds the answer"},
    {TUFF_ARG_TEXT, "context-file", "FILE", AT(context_file), .help = "the same from a file"},
    {TUFF_ARG_INT, "top-k", "N", .offset = offsetof(tuff_cli_predict, k), 1, 64,
     "answers that are shown for each question; -k N is the same"},
    {TUFF_ARG_INT, "doc-stride", "N", AT(overlap), 1, 16777216,
     "tokens that a window of a long context shares with the one before it", "128, at most half a window"},
    {TUFF_ARG_INT, "max-answer-length", "N", AT(longest), 1, 4096, "tokens of an answer", "15"},
    {.kind = TUFF_ARG_FLAG,
     .name = "handle-impossible-answer",
     AT(maybe_none),
     .help = "that the context has no answer counts as one, for models that were trained so"},
    TUFF_CLI_PREDICT_ROWS,
    TUFF_CLI_DEVICE_ROWS,
    TUFF_CLI_JSON_ROW(
        "print a JSON object per question: question, answers (of each answer, score, start, end; "
        "places are bytes of the context)"),
    TUFF_CLI_TALK_ROWS,
};
static const tuff_args spec = {
    .verb = "answer",
    .usage = "--model PATH --question TEXT... (--context TEXT | --context-file FILE) [options]",
    .about = "Finds the answer to a question in a text, by a question answering model.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .examples = "tuff answer --model MODEL --question \"Who wrote it?\" --context-file book.txt",
    .stray = "the question as --question TEXT",
    .notes =
        "What is printed:\n"
        "  A line per answer, its score first: the probability of its beginning times that of its end. A context "
        "that is longer than --max-length (384 at most, where it is not given) is read in windows.\n",
};

static void print_answer(const answer_options *o, tuff_piece context, const tuff_answer *a)
{
    tuff_piece text = {context.data + a->span.start, a->span.end - a->span.start};
    if (!o->predict.common.json) {
        printf("%.4f  ", (double)a->score);
        tuff_cli_print_line(text.size ? text : tuff_cli_piece("(no answer)"));
        return;
    }
    putchar('{');
    tuff_cli_json_member("answer", text);
    printf(", \"score\": ");
    tuff_cli_json_number(stdout, (double)a->score);
    printf(", \"start\": %zu, \"end\": %zu}", a->span.start, a->span.end);
}

static void print_question(const answer_options *o, size_t q, tuff_piece context, const tuff_answer *answers,
                           size_t count)
{
    bool json = o->predict.common.json;
    if (json) {
        putchar('{');
        tuff_cli_json_member("question", tuff_cli_piece(o->questions.items[q]));
        printf(", \"answers\": [");
    } else if (o->questions.count > 1) {
        printf("%s%s\n", q ? "\n" : "", o->questions.items[q]);
    }
    for (size_t i = 0; i < count; i++) {
        if (json && i) printf(", ");
        print_answer(o, context, &answers[i]);
    }
    if (json) puts("]}");
}

static int find(const answer_options *o, tuff_predictor *predictor, tuff_piece context, tuff_answer *answers)
{
    tuff_predict_input inputs[TUFF_ARG_LIST_MAX] = {{{NULL, 0}, {NULL, 0}}};
    size_t counts[TUFF_ARG_LIST_MAX], n = o->questions.count, k = (size_t)o->predict.k;
    tuff_answer_params params = TUFF_ANSWER_PARAMS_INIT;
    params.answers = o->predict.k;
    params.overlap = o->overlap;
    params.longest = o->longest;
    params.maybe_none = o->maybe_none;
    for (size_t i = 0; i < n; i++)
        inputs[i] = (tuff_predict_input){tuff_cli_piece(o->questions.items[i]), context};
    tuff_status status = tuff_answer_questions(predictor, inputs, n, &params, answers, counts, NULL);
    tuff_cli_show_line("");
    if (status != TUFF_OK) return tuff_cli_predict_failed(status);
    for (size_t i = 0; i < n; i++)
        print_question(o, i, context, answers + i * k, counts[i]);
    return TUFF_EXIT_OK;
}

static int answer(const void *options, tuff_predictor *predictor, const tuff_tokenizer *tokenizer)
{
    const answer_options *o = options;
    (void)tokenizer;
    char *text = o->context_file ? tuff_cli_read_text(o->context_file) : NULL;
    tuff_answer *answers = calloc(o->questions.count * (size_t)o->predict.k, sizeof *answers);
    int code = TUFF_EXIT_FAILED;
    if (!answers)
        tuff_cli_say("tuff: out of memory");
    else if (text || !o->context_file)
        code = find(o, predictor, tuff_cli_piece(text ? text : o->context), answers);
    free(answers);
    free(text);
    return code;
}

int tuff_cli_answer(int argc, char **argv)
{
    answer_options options = {.predict.k = 1};
    tuff_cli_short_k(argc, argv);
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    const char *wrong =
        !options.questions.count                    ? "give --question TEXT"
        : !options.context && !options.context_file ? "give --context TEXT or --context-file FILE"
        : options.context && options.context_file   ? "give --context or --context-file, not both"
                                                    : NULL;
    if (wrong) tuff_cli_say("tuff: %s (see: tuff answer --help)", wrong);
    if (wrong) return TUFF_EXIT_USAGE;
    return tuff_cli_with_predictor(&options.predict, 0, answer);
}
