/* tuff classify */
#include <stdlib.h>
#include <string.h>
#include <tuff/records.h>

#include "cli/predict.h"

enum { PIECE = 256 }; /* records that are classified together */

typedef struct classify_options {
    tuff_cli_predict predict;
    tuff_arg_list texts;
    const char *pair, *file, *field, *pair_field;
    int scoring, aggregation;
} classify_options;

#define AT(member) .offset = offsetof(classify_options, member)
static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "What:"},
    TUFF_CLI_PREDICT_MODEL_ROW,
    {TUFF_ARG_LIST, "text", "TEXT", AT(texts), .help = "a text; may be given again"},
    {TUFF_ARG_TEXT, "text-pair", "TEXT", AT(pair),
     .help = "the second text, for models that compare two: the same for each --text"},
    {TUFF_ARG_TEXT, "file", "FILE", AT(file),
     .help = "a text per line, or by its name JSON (.jsonl, .json), CSV or TSV"},
    {TUFF_ARG_TEXT, "field", "NAME", AT(field),
     .help =
         "the key or column that holds the text; a number (1, 2, ...) is that of a column of a table without a row of names",
     .preset = "text"},
    {TUFF_ARG_TEXT, "pair-field", "NAME", AT(pair_field), .help = "the key or column of the second text"},
    {.kind = TUFF_ARG_GROUP, .name = "How:"},
    {TUFF_ARG_INT, "top-k", "N", .offset = offsetof(tuff_cli_predict, k), 1, 1048576,
     "classes of a text that are shown, best first; -k N is the same"},
    {TUFF_ARG_CHOICE, "function-to-apply", "model|softmax|sigmoid|none", AT(scoring),
     .help =
         "what makes scores of a model's outputs; model: as problem_type in its files says, else softmax, of a "
         "single output sigmoid"},
    {TUFF_ARG_CHOICE, "aggregation-strategy", "simple|none", AT(aggregation),
     .help =
         "models of classes of tokens; simple: neighbours of one class are one name, none: each token alone"},
    TUFF_CLI_PREDICT_ROWS,
    TUFF_CLI_DEVICE_ROWS,
    TUFF_CLI_JSON_ROW(
        "print a JSON object per text: text, pair, row (of --file), and labels (label, score) or "
        "entities (label, score, start, end, text; places are bytes)"),
    TUFF_CLI_TALK_ROWS,
};
static const tuff_args spec = {
    .verb = "classify",
    .usage = "--model PATH (--text TEXT... | --file FILE) [options]",
    .about = "Tells the classes of texts, or of the words in them, by a model with such a head.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .examples = "tuff classify --model MODEL --text \"what a film\"\n"
                "tuff classify --model MODEL --file reviews.csv --json",
    .stray = "the text as --text TEXT",
    .notes =
        "What is printed:\n"
        "  A line per class or name, its score first; with --file the number of the record before it, from 0. "
        "Classes of tokens leave out the class O.\n",
};

/* Some texts at a time: of the command line, or records of a file. */
typedef struct work {
    const classify_options *o;
    tuff_predictor *predictor;
    tuff_predict_input inputs[PIECE];
    char *owned[PIECE][2]; /* copies of records */
    size_t n;
    int64_t row; /* of the first */
    int64_t truncated;
    float *scores;
    int64_t *order;
} work;

/* ---- printing */

static void begin_text(const work *w, size_t i)
{
    if (!w->o->predict.common.json) return;
    putchar('{');
    if (w->o->file) printf("\"row\": %lld, ", (long long)(w->row + (int64_t)i));
    tuff_cli_json_member("text", w->inputs[i].text);
    if (w->inputs[i].pair.data) {
        printf(", ");
        tuff_cli_json_member("pair", w->inputs[i].pair);
    }
}

static void begin_line(const work *w, size_t i)
{
    if (w->o->file) printf("%lld  ", (long long)(w->row + (int64_t)i));
}

static void print_label(const work *w, size_t i, const char *label, float score, bool first)
{
    if (!w->o->predict.common.json) {
        begin_line(w, i);
        printf("%.4f  %s\n", (double)score, label);
        return;
    }
    printf("%s{", first ? "" : ", ");
    tuff_cli_json_member("label", tuff_cli_piece(label));
    printf(", \"score\": ");
    tuff_cli_json_number(stdout, (double)score);
    putchar('}');
}

/* The best k classes, of equal ones the first. */
static void print_classes(work *w, size_t i)
{
    int64_t labels = tuff_predictor_labels(w->predictor),
            k = w->o->predict.k < labels ? w->o->predict.k : labels;
    const float *scores = w->scores + (int64_t)i * labels;
    bool json = w->o->predict.common.json;
    begin_text(w, i);
    if (json) printf(", \"labels\": [");
    for (int64_t l = 0; l < labels; l++)
        w->order[l] = l;
    for (int64_t at = 0; at < k; at++) {
        int64_t best = at;
        for (int64_t l = at + 1; l < labels; l++)
            if (scores[w->order[l]] > scores[w->order[best]]) best = l;
        int64_t label = w->order[best];
        memmove(w->order + at + 1, w->order + at, (size_t)(best - at) * sizeof *w->order);
        w->order[at] = label;
        print_label(w, i, tuff_predictor_label(w->predictor, label), scores[label], at == 0);
    }
    if (json) puts("]}");
}

static void print_entity(const work *w, const tuff_entity *e, bool first)
{
    tuff_piece text = {w->inputs[e->input].text.data + e->span.start, e->span.end - e->span.start};
    if (!w->o->predict.common.json) {
        begin_line(w, e->input);
        printf("%.4f  %s  ", (double)e->score, e->name);
        tuff_cli_print_line(text);
        return;
    }
    printf("%s{", first ? "" : ", ");
    tuff_cli_json_member("label", tuff_cli_piece(e->name));
    printf(", \"score\": ");
    tuff_cli_json_number(stdout, (double)e->score);
    printf(", \"start\": %zu, \"end\": %zu, ", e->span.start, e->span.end);
    tuff_cli_json_member("text", text);
    putchar('}');
}

static void print_entities(const work *w, const tuff_entity *entities, size_t count)
{
    bool json = w->o->predict.common.json;
    for (size_t i = 0, at = 0; i < w->n; i++) {
        size_t first = at;
        begin_text(w, i);
        if (json) printf(", \"entities\": [");
        for (; at < count && entities[at].input == i; at++)
            print_entity(w, &entities[at], at == first);
        if (json) puts("]}");
    }
}

/* ---- texts */

static tuff_status classify_piece(work *w)
{
    tuff_predict_result result = TUFF_PREDICT_RESULT_INIT;
    tuff_status status;
    if (tuff_predictor_task(w->predictor) == TUFF_PREDICT_ENTITIES) {
        tuff_entities_params params = TUFF_ENTITIES_PARAMS_INIT;
        tuff_entity *entities = NULL;
        size_t count = 0;
        params.group = w->o->aggregation == 0;
        status = tuff_find_entities(w->predictor, w->inputs, w->n, &params, &entities, &count, &result);
        tuff_cli_show_line("");
        if (status == TUFF_OK) print_entities(w, entities, count);
        tuff_free(entities);
    } else {
        tuff_classify_params params = TUFF_CLASSIFY_PARAMS_INIT;
        params.scoring = (tuff_scoring)w->o->scoring;
        status = tuff_classify(w->predictor, w->inputs, w->n, &params, w->scores, &result);
        tuff_cli_show_line("");
        for (size_t i = 0; status == TUFF_OK && i < w->n; i++)
            print_classes(w, i);
    }
    w->truncated += result.truncated;
    w->row += (int64_t)w->n;
    return status;
}

static tuff_status classify_texts(work *w)
{
    const classify_options *o = w->o;
    for (w->n = 0; w->n < o->texts.count; w->n++)
        w->inputs[w->n] = (tuff_predict_input){tuff_cli_piece(o->texts.items[w->n]),
                                               o->pair ? tuff_cli_piece(o->pair) : (tuff_piece){NULL, 0}};
    return classify_piece(w);
}

static tuff_piece keep(work *w, size_t which, tuff_piece text)
{
    char *copy = malloc(text.size + 1);
    if (copy) memcpy(copy, text.data, text.size);
    if (copy) copy[text.size] = '\0';
    w->owned[w->n][which] = copy;
    return (tuff_piece){copy, text.size};
}

static void drop(work *w)
{
    for (size_t i = 0; i < PIECE; i++)
        for (int which = 0; which < 2; which++) {
            free(w->owned[i][which]);
            w->owned[i][which] = NULL;
        }
    w->n = 0;
}

/* Reads the next records; *out_more is false at the end of the file. */
static tuff_status read_piece(work *w, tuff_reader *reader, bool *out_more)
{
    bool pairs = w->o->pair_field != NULL;
    for (*out_more = true; w->n < PIECE; w->n++) {
        tuff_piece values[2];
        tuff_status status = tuff_reader_next(reader, values, out_more);
        if (status != TUFF_OK || !*out_more) return status;
        tuff_predict_input *in = &w->inputs[w->n];
        in->text = keep(w, 0, values[0]);
        in->pair = pairs ? keep(w, 1, values[1]) : (tuff_piece){NULL, 0};
        if (in->text.data && (in->pair.data || !pairs)) continue;
        tuff_cli_say("tuff: out of memory");
        return TUFF_OUT_OF_MEMORY;
    }
    return TUFF_OK;
}

/* What comes before a record that cannot be read is printed. */
static tuff_status classify_file(work *w)
{
    const classify_options *o = w->o;
    const char *const fields[] = {o->field ? o->field : "text", o->pair_field};
    tuff_reader *reader = NULL;
    tuff_status status = tuff_reader_open(o->file, fields, o->pair_field ? 2 : 1, &reader);
    for (bool more = true; status == TUFF_OK && more;) {
        status = read_piece(w, reader, &more);
        char reason[512];
        snprintf(reason, sizeof reason, "%s", status == TUFF_OK ? "" : tuff_error_message());
        tuff_status done = w->n ? classify_piece(w) : TUFF_OK;
        drop(w);
        if (done != TUFF_OK) {
            status = done;
        } else if (status != TUFF_OK) {
            tuff_cli_say("tuff: %s", reason);
            tuff_reader_close(&reader);
            return status;
        }
    }
    tuff_reader_close(&reader);
    if (status != TUFF_OK) tuff_cli_predict_failed(status);
    return status;
}

static int classify(const void *options, tuff_predictor *predictor, const tuff_tokenizer *tokenizer)
{
    const classify_options *o = options;
    (void)tokenizer;
    size_t labels = (size_t)tuff_predictor_labels(predictor);
    work *w = calloc(1, sizeof *w);
    float *scores = calloc(PIECE * labels + 1, sizeof *scores);
    int64_t *order = calloc(labels + 1, sizeof *order);
    tuff_status status = TUFF_OUT_OF_MEMORY;
    if (w && scores && order) {
        *w = (work){.o = o, .predictor = predictor, .scores = scores, .order = order};
        status = o->file ? classify_file(w) : classify_texts(w);
        if (status != TUFF_OK && !o->file) tuff_cli_predict_failed(status);
        tuff_cli_say_cut(&o->predict, predictor, w->truncated);
    } else {
        tuff_cli_say("tuff: out of memory");
    }
    free(order);
    free(scores);
    free(w);
    return status == TUFF_OK ? TUFF_EXIT_OK : TUFF_EXIT_FAILED;
}

int tuff_cli_classify(int argc, char **argv)
{
    classify_options options = {.predict.k = 1};
    tuff_cli_short_k(argc, argv);
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    const char *wrong = !options.texts.count && !options.file ? "give --text TEXT or --file FILE"
                        : options.texts.count && options.file ? "give --text or --file, not both"
                        : options.pair && options.file ? "--text-pair is for --text; --file has --pair-field"
                        : (options.field || options.pair_field) && !options.file
                            ? "--field and --pair-field are of --file, which is not given"
                            : NULL;
    if (wrong) tuff_cli_say("tuff: %s (see: tuff classify --help)", wrong);
    if (wrong) return TUFF_EXIT_USAGE;
    return tuff_cli_with_predictor(&options.predict, 0, classify);
}
