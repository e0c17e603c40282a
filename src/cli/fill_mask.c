/* tuff fill-mask */
#include <stdlib.h>

#include "cli/predict.h"

typedef struct fill_options {
    tuff_cli_predict predict;
    tuff_arg_list texts;
} fill_options;

static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "Options:"},
    TUFF_CLI_PREDICT_MODEL_ROW,
    {TUFF_ARG_LIST, "text", "TEXT", .offset = offsetof(fill_options, texts),
     .help = "a text with the model's mask in it, \"[MASK]\" or \"<mask>\"; may be given again"},
    {TUFF_ARG_INT, "top-k", "N", .offset = offsetof(tuff_cli_predict, k), 1, 1024,
     "tokens that are shown for each mask; -k N is the same"},
    TUFF_CLI_PREDICT_ROWS,
    TUFF_CLI_DEVICE_ROWS,
    TUFF_CLI_JSON_ROW("print a JSON object per text: text, masks (of each a list of token, text, score)"),
    TUFF_CLI_TALK_ROWS,
};
static const tuff_args spec = {
    .verb = "fill-mask",
    .usage = "--model PATH --text TEXT... [options]",
    .about = "Guesses the words behind the masks of a text, by a masked language model.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .examples = "tuff fill-mask --model MODEL --text \"Paris is the [MASK] of France.\"",
    .stray = "the text as --text TEXT",
    .notes = "What is printed:\n"
             "  A line per guess, its probability first; an empty line between two masks.\n",
};

static void print_guess(const tuff_guess *guess, const char *text, size_t size, bool json)
{
    if (!json) {
        printf("%.4f  %.*s\n", (double)guess->score, (int)size, text);
        return;
    }
    printf("{\"token\": %d, \"score\": ", guess->token);
    tuff_cli_json_number(stdout, (double)guess->score);
    printf(", ");
    tuff_cli_json_member("text", (tuff_piece){text, size});
    putchar('}');
}

static tuff_status print_mask(const tuff_guess *guesses, size_t k, const tuff_tokenizer *tokenizer, bool json)
{
    for (size_t i = 0; i < k; i++) {
        char *text = NULL;
        size_t size = 0;
        tuff_status status = tuff_tokenizer_decode(tokenizer, &guesses[i].token, 1, false, &text, &size);
        if (status != TUFF_OK) return status;
        if (json && i) printf(", ");
        print_guess(&guesses[i], text, size, json);
        tuff_free(text);
    }
    return TUFF_OK;
}

static tuff_status print_text(const fill_options *o, size_t i, const tuff_guess *guesses, size_t masks,
                              size_t k, const tuff_tokenizer *tokenizer)
{
    bool json = o->predict.common.json;
    if (json) {
        putchar('{');
        tuff_cli_json_member("text", tuff_cli_piece(o->texts.items[i]));
        printf(", \"masks\": [");
    }
    for (size_t m = 0; m < masks; m++) {
        if (json)
            printf("%s[", m ? ", " : "");
        else if (i || m)
            putchar('\n');
        tuff_status status = print_mask(guesses + m * k, k, tokenizer, json);
        if (status != TUFF_OK) return status;
        if (json) putchar(']');
    }
    if (json) puts("]}");
    return TUFF_OK;
}

static int fill(const void *options, tuff_predictor *predictor, const tuff_tokenizer *tokenizer)
{
    const fill_options *o = options;
    tuff_predict_input inputs[TUFF_ARG_LIST_MAX] = {{{NULL, 0}, {NULL, 0}}};
    size_t masks[TUFF_ARG_LIST_MAX], n = o->texts.count, k = (size_t)tuff_predictor_guesses(predictor);
    tuff_predict_result result = TUFF_PREDICT_RESULT_INIT;
    tuff_guess *guesses = NULL;
    for (size_t i = 0; i < n; i++)
        inputs[i] = (tuff_predict_input){tuff_cli_piece(o->texts.items[i]), {NULL, 0}};
    tuff_status status = tuff_fill_masks(predictor, inputs, n, NULL, masks, &guesses, &result);
    tuff_cli_show_line("");
    const tuff_guess *at = guesses;
    for (size_t i = 0; i < n && status == TUFF_OK; i++) {
        status = print_text(o, i, at, masks[i], k, tokenizer);
        at += masks[i] * k;
    }
    tuff_free(guesses);
    if (status != TUFF_OK) return tuff_cli_predict_failed(status);
    tuff_cli_say_cut(&o->predict, predictor, result.truncated);
    return TUFF_EXIT_OK;
}

int tuff_cli_fill_mask(int argc, char **argv)
{
    fill_options options = {.predict.k = 5};
    tuff_cli_short_k(argc, argv);
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    if (!options.texts.count) {
        tuff_cli_say("tuff: give --text TEXT (see: tuff fill-mask --help)");
        return TUFF_EXIT_USAGE;
    }
    return tuff_cli_with_predictor(&options.predict, options.predict.k, fill);
}
